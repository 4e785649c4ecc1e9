package conformance

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

func pageChecks() []check {
	return []check{
		must("page-list", "7644 §3.4.2", "R65", nothing, "a query is answered with a ListResponse and totalResults as a number",
			func(ctx context.Context, p *probe) error {
				a, err := p.get(ctx, "/Users?count=2")
				if err != nil {
					return err
				}
				if _, err := a.list(); err != nil {
					return err
				}
				if err := lists(a, urnList); err != nil {
					return err
				}
				_, err = number(a, "totalResults")
				return err
			}),
		must("page-items", "7644 §3.4.2.4", "R65", write, "itemsPerPage is how many resources the answer has",
			func(ctx context.Context, p *probe) error {
				a, list, err := p.page(ctx, "count", "2")
				if err != nil {
					return err
				}
				n, err := number(a, "itemsPerPage")
				if err != nil {
					return err
				}
				return same("itemsPerPage", n, len(list))
			}),
		must("page-start-index", "7644 §3.4.2.4", "R65", write, "startIndex is answered as it was asked",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.page(ctx, "startIndex", "2", "count", "1")
				if err != nil {
					return err
				}
				n, err := number(a, "startIndex")
				if err != nil {
					return err
				}
				return same("startIndex", n, 2)
			}),
		must("page-count", "7644 §3.4.2.4", "R85", write, "a page has no more than count",
			func(ctx context.Context, p *probe) error {
				_, list, err := p.page(ctx, "count", "2")
				if err != nil {
					return err
				}
				if len(list) > 2 {
					return wrong("at most 2 resources", "%d", len(list))
				}
				return nil
			}),
		must("page-total", "7644 §3.4.2", "R65", write, "totalResults is how many there are, whatever the page has", pageTotal),
		must("page-walk", "7644 §3.4.2.4", "R66 R84", write, "pages one after the other have everybody once", pageWalk),
		must("page-stable", "7644 §3.4.2.4", "R66", write, "the same page twice is the same page",
			func(ctx context.Context, p *probe) error {
				_, first, err := p.page(ctx, "count", "3")
				if err != nil {
					return err
				}
				_, second, err := p.page(ctx, "count", "3")
				if err != nil {
					return err
				}
				if !slices.Equal(ids(first), ids(second)) {
					return wrong("the same order", "another one")
				}
				return nil
			}),
		must("page-count-zero", "7644 §3.4.2.4", "R84", write, "count 0 asks for the total alone",
			func(ctx context.Context, p *probe) error { return p.noneBut(ctx, "0") }),
		must("page-count-negative", "7644 §3.4.2.4", "R84", write, "a negative count is read as 0",
			func(ctx context.Context, p *probe) error { return p.noneBut(ctx, "-1") }),
		must("page-start-zero", "7644 §3.4.2.4", "R84", write, "a startIndex below 1 is read as 1",
			func(ctx context.Context, p *probe) error {
				_, first, err := p.page(ctx, "startIndex", "1", "count", "1")
				if err != nil {
					return err
				}
				for _, start := range []string{"0", "-3"} {
					_, list, err := p.page(ctx, "startIndex", start, "count", "1")
					if err != nil {
						return err
					}
					if !slices.Equal(ids(first), ids(list)) {
						return wrong("the first page for startIndex "+start, "another one")
					}
				}
				return nil
			}),
		must("page-beyond", "7644 §3.4.2.4", "R86", write, "a page beyond the end is empty",
			func(ctx context.Context, p *probe) error {
				a, list, err := p.page(ctx, "startIndex", "1000000", "count", "2")
				if err != nil {
					return err
				}
				if len(list) > 0 {
					return wrong("no resources", "%d", len(list))
				}
				if amount(a, "totalResults") < 0 {
					return wrong("totalResults", "none")
				}
				return nil
			}),
		must("page-huge", "7644 §3.4.2.4", "R85", write, "a count beyond the server's maximum is served up to it",
			func(ctx context.Context, p *probe) error {
				if !p.canScope(ctx) {
					return skip("without filters the answer would be everybody")
				}
				_, list, err := p.page(ctx, "count", "1000000")
				if err != nil {
					return err
				}
				return same("the number of resources", len(list), 3)
			}),
		should("page-not-number", "7644 §3.4.2.4", "R87", nothing, "a startIndex or count that is no number is 400",
			func(ctx context.Context, p *probe) error {
				for _, name := range []string{"startIndex", "count"} {
					a, err := p.get(ctx, query("/Users", name, "many"))
					if err != nil {
						return err
					}
					if err := a.refused("invalidValue"); err != nil {
						return err
					}
				}
				return nil
			}),
	}
}

// canScope says whether pages can be of the set alone. Whether filters work is the business of other checks.
func (p *probe) canScope(ctx context.Context) bool {
	if p.scoped != nil {
		return *p.scoped
	}
	ok := false
	if set, err := p.people(ctx); err == nil && p.server.filter {
		if a, err := p.get(ctx, query("/Users", "filter", "userName sw "+quoted(p.run+"-set-"))); err == nil {
			names, others := whom(set, elements(a.doc, "Resources"))
			ok = others == 0 && len(names) == 3
		}
	}
	p.scoped = &ok
	return ok
}

// page reads a page of the set, or, where it cannot be selected, of everybody.
func (p *probe) page(ctx context.Context, pairs ...string) (*answer, []map[string]any, error) {
	if _, err := p.people(ctx); err != nil {
		return nil, nil, err
	}
	if p.canScope(ctx) {
		pairs = append(pairs, "filter", "userName sw "+quoted(p.run+"-set-"))
	}
	a, err := p.get(ctx, query("/Users", pairs...))
	if err != nil {
		return nil, nil, err
	}
	list, err := a.list()
	return a, list, err
}

func ids(list []map[string]any) []string {
	var out []string
	for _, doc := range list {
		s, _ := doc["id"].(string)
		out = append(out, s)
	}
	return out
}

// number wants a whole JSON number.
func number(a *answer, key string) (int, error) {
	n, ok := a.doc[key].(float64)
	if !ok || n < 0 || n != float64(int(n)) {
		return 0, wrong(key+" is a number", "it is %s", show(a.doc[key]))
	}
	return int(n), nil
}

// amount reads a number even from text; -1: there is none.
func amount(a *answer, key string) int {
	switch v := a.doc[key].(type) {
	case float64:
		return int(v)
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
	}
	return -1
}

func pageTotal(ctx context.Context, p *probe) error {
	if !p.canScope(ctx) {
		return skip("without filters nobody knows how many there are")
	}
	for _, count := range []string{"1", "2", "10"} {
		a, _, err := p.page(ctx, "count", count)
		if err != nil {
			return err
		}
		if err := same("totalResults with count "+count, amount(a, "totalResults"), 3); err != nil {
			return err
		}
	}
	return nil
}

func pageWalk(ctx context.Context, p *probe) error {
	var all []string
	for start := 1; start <= 3; start++ {
		_, list, err := p.page(ctx, "startIndex", strconv.Itoa(start), "count", "1")
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return wrong("one resource at startIndex "+strconv.Itoa(start)+" with count 1", "%d", len(list))
		}
		all = append(all, ids(list)...)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 3 {
		return wrong("three resources in three pages of one", "some of them twice")
	}
	return nil
}

func (p *probe) noneBut(ctx context.Context, count string) error {
	a, list, err := p.page(ctx, "count", count)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return wrong("no resources for count "+count, "%d", len(list))
	}
	if n := amount(a, "totalResults"); n < 3 {
		return wrong("totalResults is at least 3", "it is %d", n)
	}
	return nil
}

func sortChecks() []check {
	order := func(want string, pairs ...string) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error {
			if !p.canScope(ctx) {
				return skip("it needs a filter that selects the users of the test")
			}
			_, list, err := p.page(ctx, pairs...)
			if err != nil {
				return err
			}
			var got []string
			for _, doc := range list {
				names, _ := whom(p.set, []map[string]any{doc})
				got = append(got, names...)
			}
			if s := strings.Join(got, " "); s != want {
				return wrong("the order "+want, "%s", s)
			}
			return nil
		}
	}
	need := write | sorting | filter
	return []check{
		must("sort-default", "7644 §3.4.2.3", "R83", need, "sortBy sorts in ascending order", order("ada bob eve", "sortBy", "userName")),
		must("sort-ascending", "7644 §3.4.2.3", "R83", need, "sortOrder ascending", order("ada bob eve", "sortBy", "userName", "sortOrder", "ascending")),
		must("sort-descending", "7644 §3.4.2.3", "R83", need, "sortOrder descending", order("eve bob ada", "sortBy", "userName", "sortOrder", "descending")),
		must("sort-missing", "7644 §3.4.2.3", "R83", need, "who has no value comes last in ascending order", order("ada bob eve", "sortBy", "title")),
		must("sort-sub", "7644 §3.4.2.3", "R83", need, "sortBy takes a sub-attribute", order("eve bob ada", "sortBy", "name.familyName")),
		interop("sort-harmless", "7644 §3.4.2.3", "R83", write, "sortBy is no error, even where there is no sorting", func(ctx context.Context, p *probe) error {
			_, _, err := p.page(ctx, "sortBy", "userName")
			return err
		}),
	}
}
