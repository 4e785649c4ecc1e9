package ldapsync

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"jmld/jml/entry"
)

// changes tries each way to find what changed, with the rights of the account.
func (p *probe) changes(ctx context.Context) bool {
	s := p.src
	var works, seen []string
	why := map[entry.Method]string{}
	for _, how := range natives() {
		r := newRun(s)
		r.sess = p.sess
		at, err := methodOf(how).begin(ctx, r)
		switch text, refused := "", false; {
		case err == nil && at.Blind:
			works, seen = append(works, string(how)), append(seen, string(how)+" (no deleted entries are shown)")
		case err == nil:
			works, seen = append(works, string(how)), append(seen, string(how))
		default:
			if text, refused = r.refused(err); !refused {
				p.fail("changes", err)
				return false
			}
			why[how] = text
		}
	}
	const stamps = string(entry.MethodModifyTime)
	seen = append(seen, stamps)
	all := "here work " + strings.Join(seen, ", ")
	how := s.o.Incremental
	switch {
	case how == entry.MethodNone || how == entry.MethodModifyTime:
		p.ok("changes", "incremental is %s; %s", how, all)
	case slices.Contains(works, string(how)):
		p.ok("changes", "incremental is %s; %s", how, all)
	default:
		p.warn("changes", fmt.Sprintf("Choose one that works as incremental, or enable what is missing. Until then changes are found by %s, which sees less.", stamps),
			"%s cannot be used: %s; %s", how, orElse(why[how], "nobody knows it"), all)
	}
	return p.sess.conn.Err() == nil
}
