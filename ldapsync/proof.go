package ldapsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"jmld/model"
)

// prove says whether everything was seen. Each condition stands beside what was seen of it; those that were not
// reached do not hold.
func (r *run) prove(err error) model.Proof {
	p := model.Proof{
		Server: r.src.o.URL, Users: r.users, Groups: r.groups, Unresolved: r.unresolved, Skipped: r.skipped,
	}
	p.Conditions = append(p.Conditions, r.conditions(err)...)
	if c := r.sess; c != nil {
		p.Pages, p.Bytes = c.pages, c.conn.Received()
		p.Server += " (" + c.conn.RemoteAddr().String() + ")"
	}
	p.Complete = err == nil
	for _, c := range p.Conditions {
		p.Complete = p.Complete && c.OK
	}
	return p
}

func (r *run) conditions(err error) []model.Condition {
	c := r.sess
	if c == nil {
		return []model.Condition{{Name: "connected and bound", Seen: err.Error()}}
	}
	list := []model.Condition{{Name: "connected and bound", OK: true, Seen: "as " + r.src.o.BindDN}}
	add := func(name string, ok bool, format string, args ...any) {
		seen := fmt.Sprintf(format, args...)
		if !r.finished {
			ok, seen = false, seen+" before the read failed"
		}
		list = append(list, model.Condition{Name: name, OK: ok, Seen: seen})
	}
	if err != nil {
		list = append(list, model.Condition{Name: "read to the end", Seen: err.Error()})
	} else {
		add("read to the end", r.finished, "%d people, %d groups", r.users, r.groups)
	}
	add("every page answered with success", c.pages > 0, "%d pages", c.pages)
	add("paging control on every page", c.unpaged == 0, "%d pages without", c.unpaged)
	add("last cookie empty", c.openCookies == 0, "%d lists with an open end", c.openCookies)
	add("one connection", true, "%s", c.conn.RemoteAddr())
	add("no referral", c.referrals == 0, "%s", referralsSeen(c))
	add("no unknown message", true, "0") // the first one ends the read
	basesOK, bases := r.basesSeen()
	add("base entries unchanged", basesOK, "%s", bases)
	if r.whoKnown {
		add("identity unchanged", r.who == r.whoAfter, "%s", r.who)
	} else {
		add("identity unchanged", true, "one bind; the server does not answer who we are")
	}
	add("every entry has an id", r.nameless == 0, "%d without %s", r.nameless, r.src.o.ID)
	add("no id twice", r.duplicates == 0, "%d twice", r.duplicates)
	add("every DN understood", r.unnamed == 0, "%d not", r.unnamed)
	lost := r.seen.lost()
	add("listed twice alike", lost == 0, "%d listed first and missing then", lost)
	add("people found", r.seen.count(userListed|userRead) > 0, "%d", r.seen.count(userListed|userRead))
	add("skipped entries named", r.skippedMore == 0, "%d, %d more than can be named", len(r.skipped)+r.skippedMore, r.skippedMore)
	if r.src.o.Groups != nil {
		seen := fmt.Sprintf("%d groups with a part of their members", r.partial)
		if r.firstPartial != "" {
			seen += ", first " + printable(r.firstPartial)
		}
		add("all members listed", r.partial == 0, "%s", seen)
		// No member of any group is what an account sees that may not read the attribute, and what a wrong one gives.
		add("members found", r.groups == 0 || r.members > 0, "%d members of %d groups, %d values name nobody here", r.members, r.groups, r.unresolved)
	}
	return list
}

func referralsSeen(c *session) string {
	if c.referrals == 0 {
		return "0"
	}
	return fmt.Sprintf("%d, first %s", c.referrals, printable(c.firstReferral))
}

// basesSeen compares the ids of the base entries before and after.
func (r *run) basesSeen() (bool, string) {
	ok := len(r.before) > 0
	var text []string
	for _, dn := range slices.Sorted(maps.Keys(r.before)) {
		id := r.before[dn]
		switch {
		case id == "":
			ok = false
			text = append(text, dn+" has no "+r.src.o.ID)
		case r.after[dn] != id:
			ok = false
			text = append(text, fmt.Sprintf("%s was %s and is %q", dn, id, r.after[dn]))
		default:
			text = append(text, dn+" "+id)
		}
	}
	return ok, strings.Join(text, "; ")
}
