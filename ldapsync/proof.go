package ldapsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// prove says whether everything was seen.
func (r *run) prove(err error) model.Proof {
	p := model.Proof{
		Server: r.src.where(), Users: r.users, Groups: r.groups, Unresolved: r.unresolved, Skipped: r.skipped,
		Unknown: r.unknownAll, UnknownAt: r.unknown,
	}
	p.Conditions = r.conditions(err)
	if r.clock != nil {
		p.Clock = new(r.clock.Milliseconds())
	}
	if c := r.sess; c != nil {
		p.Pages, p.Bytes = c.pages, c.conn.Received()
		for _, ph := range []struct {
			name string
			took time.Duration
		}{{"connect", c.connected}, {"bind", c.bound}, {"read", time.Since(c.since) - r.elsewhere}} {
			p.Phases = append(p.Phases, model.Phase{Name: ph.name, Took: ph.took.Milliseconds()})
		}
		p.Server += " (" + c.conn.RemoteAddr().String() + ")"
	}
	if err == nil {
		if p.Method = r.methodSeen(); r.once == nil {
			p.Mark = r.mark.String()
		}
	}
	p.Complete = err == nil && r.finished
	for _, c := range p.Conditions {
		p.Complete = p.Complete && c.OK
	}
	return p
}

// conditions lists what must hold, each with what was seen. Of a read that failed only the failure is known for sure,
// and what was seen to be wrong before it.
func (r *run) conditions(err error) []model.Condition {
	c, o := r.sess, r.src.o
	if c == nil {
		return []model.Condition{{Name: "connected and bound", Seen: err.Error()}}
	}
	list := []model.Condition{{Name: "connected and bound", OK: true, Seen: "as " + r.src.who() + r.src.alsoFailed(c.instead)}}
	if err != nil {
		list = append(list, model.Condition{Name: "read to the end", Seen: err.Error()})
	}
	at := func(name string, known, ok bool, format string, args ...any) {
		if known {
			list = append(list, model.Condition{Name: name, OK: ok, Seen: fmt.Sprintf(format, args...)})
		}
	}
	// atEnd is for what only the end shows, always for what any part of the read may show to be wrong.
	atEnd := func(name string, ok bool, format string, args ...any) { at(name, r.finished, ok, format, args...) }
	always := func(name string, ok bool, format string, args ...any) {
		at(name, r.finished || !ok, ok, format, args...)
	}

	atEnd("read to the end", err == nil, "%d people, %d groups", r.users, r.groups)
	// Who follows changes one by one may have nobody to read: they were of others, or of who is gone.
	atEnd("every page answered with success", c.pages > 0 || r.few != nil, "%d pages", c.pages)
	always("paging control on every page", c.unpaged == 0, "%d pages without", c.unpaged)
	always("last cookie empty", c.openCookies == 0, "%d lists with an open end", c.openCookies)
	atEnd("one connection", true, "%s", c.conn.RemoteAddr())
	always("no referral", c.referrals == 0, "%s", referralsSeen(c))
	atEnd("no unknown message", true, "0") // the first one ends the read
	basesOK, bases := r.basesSeen()
	atEnd("base entries unchanged", basesOK, "%s", bases)
	if r.whoKnown {
		atEnd("identity unchanged", r.who == r.whoAfter, "%s, then %s", r.who, r.whoAfter)
	} else if r.finished {
		list = append(list, model.Condition{Name: "identity unchanged", OK: true, Unseen: true, Seen: "one bind; the server does not answer who we are"})
	}
	switch {
	case r.clock != nil: // the guard judges it
		atEnd("clocks compared", true, "the server's is %s off ours", r.clock.Round(time.Second))
	case r.full && r.finished:
		list = append(list, model.Condition{Name: "clocks compared", OK: true, Unseen: true, Seen: "the server does not tell its time to us: a wrong clock would not be noticed"})
	}
	always("every entry has an id", r.nameless == 0, "%d without %s", r.nameless, o.ID)
	always("no id twice", r.duplicates == 0, "%d twice", r.duplicates)
	always("every DN understood", r.unnamed == 0, "%d not", r.unnamed)
	lost := r.seen.lost()
	switch {
	case r.once == nil:
		atEnd("listed twice alike", lost == 0, "%d listed first and missing then", lost)
	case r.once.listed:
		atEnd("listed twice alike", lost == 0, "%d missing first and listed then", lost)
	default:
		atEnd("listed twice alike", lost == 0, "everybody listed is who was known, and everybody known was listed")
	}
	found := r.seen.count(userRead)
	atEnd("people found", found > 0, "%d", found)
	always("skipped entries named", r.skippedMore == 0, "%d skipped, %d of them without a name here", len(r.skipped)+r.skippedMore, r.skippedMore)
	known, ok, seen := r.notOlder()
	at("not older than the last read", r.finished && r.full && known, ok, "%s", seen)
	if r.ambiguous > 0 { // groups with them are skipped
		always("user names of several people", true, "%d, and no group that names one is changed", r.ambiguous)
	}
	if o.Groups != nil && r.src.preset.Primary { // an end of the right to read them would end every such membership
		always("primary groups told", r.noPrimary+r.noSID == 0, "%d accounts without a usable primaryGroupID and objectSid, %d groups without objectSid",
			r.noPrimary, r.noSID)
	}
	if o.Groups != nil {
		always("all members listed", r.partial == 0, "%s", r.partialSeen())
		// No member of any group is what an account sees that may not read the attribute, and what a wrong one gives.
		atEnd("members found", r.groups == 0 || r.members > 0, "%d members of %d groups, %d values name nobody here",
			r.members, r.groups, r.unresolved)
	}
	return list
}

func (r *run) partialSeen() string {
	if r.partial == 0 {
		return "0 groups with a part of their members"
	}
	return fmt.Sprintf("%d groups with a part of their members, first %s", r.partial, printable(r.firstPartial))
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
