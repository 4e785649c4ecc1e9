package conformance

import (
	"context"
	"slices"
)

func cursorChecks() []check {
	need := write | cursors | filter
	return []check{
		must("cursor-walk", "9865 §2", "R148 R150", need, "nextCursor leads through all pages, each resource once, and is missing on the last",
			func(ctx context.Context, p *probe) error {
				var all []string
				cursor := ""
				for page := 1; ; page++ {
					a, list, err := p.scopedPage(ctx, "cursor", cursor, "count", "1")
					if err != nil {
						return err
					}
					all = append(all, ids(list)...)
					next, _ := a.doc["nextCursor"].(string)
					if next == "" {
						break
					}
					if page == 10 {
						return wrong("the last page after three", "still a nextCursor after ten")
					}
					cursor = next
				}
				slices.Sort(all)
				return same("the number of different resources", len(slices.Compact(all)), 3)
			}),
		must("cursor-first", "9865 §2", "R148", need, "the first page has no previousCursor",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.scopedPage(ctx, "cursor", "", "count", "1")
				if err != nil {
					return err
				}
				return unassigned("previousCursor", a.doc["previousCursor"])
			}),
		must("cursor-count", "9865 §2", "R150", need, "a page has no more than count",
			func(ctx context.Context, p *probe) error {
				_, list, err := p.scopedPage(ctx, "cursor", "", "count", "2")
				if err != nil {
					return err
				}
				if len(list) > 2 {
					return wrong("at most 2 resources", "%d", len(list))
				}
				return nil
			}),
		must("cursor-invalid", "9865 §2.1", "R149 R151", cursors, "a cursor that the server did not make is 400 invalidCursor",
			func(ctx context.Context, p *probe) error {
				a, err := p.get(ctx, query("/Users", "cursor", "nonsense", "count", "1"))
				if err != nil {
					return err
				}
				return a.refused("invalidCursor")
			}),
		should("cursor-index", "9865 §2.4", "R152", cursors, "without cursor a query is paged by index as before",
			func(ctx context.Context, p *probe) error {
				a, err := p.get(ctx, "/Users?startIndex=1&count=1")
				if err != nil {
					return err
				}
				if err := a.found(); err != nil {
					return err
				}
				return same("startIndex", a.doc["startIndex"], any(1.0))
			}),
	}
}

// scopedPage is a page of the set; without that a cursor would lead through everybody.
func (p *probe) scopedPage(ctx context.Context, pairs ...string) (*answer, []map[string]any, error) {
	if !p.canScope(ctx) {
		return nil, nil, skip("it needs a filter that selects the users of the test")
	}
	return p.page(ctx, pairs...)
}
