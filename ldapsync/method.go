package ldapsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// method finds what changed by what one kind of server keeps for that.
type method interface {
	// begin finds out from where changes will be looked for. It comes before anything is read. What the server answers to it, and unfit,
	// let change stamps be used instead.
	begin(ctx context.Context, r *run) (position, error)
	// since looks for changes. What the server answers to it, and a *model.Doubt, let everything be read.
	since(ctx context.Context, r *run, from position) (found, error)
	// behind compares two positions of the method. known is false when nothing follows from them.
	behind(was, now position) (known, behind bool, seen string)
}

// methodOf is the method of that name; nil for change stamps, and for none.
func methodOf(name entry.Method) method {
	switch name {
	case entry.MethodSyncrepl:
		return syncrepl{}
	case entry.MethodUSN:
		return usnChanged{}
	case entry.MethodDirSync:
		return dirSync{}
	case entry.MethodChangelog:
		return retroChangelog{}
	case entry.MethodEntryUSN:
		return entryUSN{}
	}
	return nil
}

// natives lists the methods that are some server's own.
func natives() []entry.Method {
	return []entry.Method{entry.MethodSyncrepl, entry.MethodUSN, entry.MethodDirSync, entry.MethodChangelog, entry.MethodEntryUSN}
}

// native is the method in force; nil when changes are found by stamps, or not at all.
func (s *Source) native() method {
	if !s.o.Delta {
		return nil
	}
	return methodOf(s.o.Incremental)
}

// unfit says why a method cannot be used.
type unfit struct{ text string }

func (r unfit) Error() string { return r.text }

// refused says whether err is an answer of the server, or our own, that lets something else be tried; and what to say about it.
func (r *run) refused(err error) (why string, ok bool) {
	var own unfit
	var answer *ldap.Error
	switch {
	case errors.As(err, &own):
		return own.text, true
	case r.sess.conn.Err() != nil || !errors.As(err, &answer):
		return "", false
	}
	switch answer.ResultCode {
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable:
		return "", false
	}
	return inWords(answer, answer).Error(), true
}

// orDoubt lets everything be read when the server refuses a search that only a read of changes makes: it may have no index for it.
func (r *run) orDoubt(err error) error {
	if why, ok := r.refused(err); ok {
		return &model.Doubt{Text: "the changes cannot be followed: " + why}
	}
	return err
}

// found is what changed since a position.
type found struct {
	changed map[string]change // by id
	gone    []string          // ids of entries that the server names as gone, of the source or not
	// recorded: of each of these its deletion. Otherwise an entry may as well be out of our sight.
	recorded bool
	// listAll: who is gone shows only in a list of everybody.
	listAll bool
	next    position
	seen    string // in words
}

func (f *found) none() bool { return len(f.changed) == 0 && len(f.gone) == 0 && !f.listAll }

// note adds an entry that changed.
func (f *found) note(id string, c change) error {
	if f.changed == nil {
		f.changed = map[string]change{}
	}
	f.changed[id] = c
	if len(f.changed) > mostChanged {
		return &model.Doubt{Text: fmt.Sprintf("more than %d entries changed", mostChanged)}
	}
	return nil
}

// lose adds an entry that is gone.
func (f *found) lose(id string) error {
	if f.gone = append(f.gone, id); len(f.gone) > mostGone {
		return &model.Doubt{Text: fmt.Sprintf("more than %d entries are gone", mostGone)}
	}
	return nil
}

// mostGone bounds how many are named: a server may name those that were never of the source.
const mostGone = 100_000

// of is the name of the method by which the position was found.
func (p position) of() entry.Method {
	if p.Method == "" {
		return entry.MethodModifyTime
	}
	return p.Method
}

// wanted is the method that was configured then.
func (p position) wanted() entry.Method {
	if p.Instead != "" {
		return p.Instead
	}
	return p.of()
}

// parsePosition reads a mark; the zero position when there is none that can be used.
func parsePosition(mark string) (p position) {
	if json.Unmarshal([]byte(mark), &p) != nil {
		return position{}
	}
	return p
}

// startMark finds the position from which on changes will be looked for, by the method configured, or says that stamps do it.
func (r *run) startMark(ctx context.Context) error {
	m := r.src.native()
	if m == nil {
		r.stamps = r.src.stamp() != ""
		return nil
	}
	p, err := m.begin(ctx, r)
	if err == nil {
		r.mark = p
		return nil
	}
	why, ok := r.refused(err)
	if !ok {
		return err
	}
	r.instead, r.stamps = fmt.Sprintf("%s cannot be used: %s", r.src.o.Incremental, why), true
	return nil
}

// methodSeen says how changes are found from this read on.
func (r *run) methodSeen() string {
	switch {
	case r.mark.empty():
		return ""
	case r.instead != "":
		return string(r.mark.of()) + ", because " + r.instead
	case r.mark.Instead != "":
		return fmt.Sprintf("%s, because %s could not be used when everything was read last", r.mark.of(), r.mark.Instead)
	case r.mark.Blind:
		return string(r.mark.of()) + "; no deleted entries are shown to us, so that a census has to find who is gone"
	}
	return string(r.mark.of())
}

// reads sends several searches at once. answers are the server's, nil for success.
func (c *session) reads(ctx context.Context, step string, list []wire.Search, each func(n int, e *wire.Entry)) (answers []error, err error) {
	for i := range list {
		list[i].TimeLimit = int(c.src.o.Timeouts.Run.Seconds())
		if c.src.preset.DomainScope {
			list[i].Controls = append(list[i].Controls, ldap.NewControlString(oidDomainScope, false, ""))
		}
	}
	answers, seen, err := c.conn.Reads(list, each)
	c.noteReferrals(seen)
	switch {
	case ctx.Err() != nil:
		return nil, c.src.failed(model.CodeSourceInterrupted, step, context.Cause(ctx))
	case err != nil:
		return nil, c.src.failedAnswer(ctx, step, true, err)
	}
	for i, a := range answers {
		if a != nil {
			answers[i] = c.src.failedAnswer(ctx, step, true, a)
		}
	}
	return answers, nil
}

// refresh is a search with the Sync Request Control, RFC 4533.
func (c *session) refresh(ctx context.Context, step string, req wire.Search, cookie []byte, each func(*wire.Entry, wire.UUID, wire.SyncState) error,
	named func(wire.UUID, bool) error,
) (wire.Refresh, error) {
	req.TimeLimit = int(c.src.o.Timeouts.Run.Seconds())
	var own error
	done, err := c.conn.Refresh(req, cookie, func(e *wire.Entry, id wire.UUID, state wire.SyncState) error {
		own = each(e, id, state)
		return own
	}, func(id wire.UUID, present bool) error {
		own = named(id, present)
		return own
	})
	c.noteReferrals(done.Done)
	switch {
	case own != nil:
		return done, own
	case ctx.Err() != nil:
		return done, c.src.failed(model.CodeSourceInterrupted, step, context.Cause(ctx))
	case err != nil:
		return done, c.src.failedAnswer(ctx, step, true, err)
	}
	return done, nil
}

func (c *session) noteReferrals(d wire.Done) {
	c.referrals += d.References
	if c.firstReferral == "" {
		c.firstReferral = d.Reference
	}
}
