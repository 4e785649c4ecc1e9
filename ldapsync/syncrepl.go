package ldapsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// syncrepl asks an OpenLDAP server what changed, RFC 4533, refreshOnly. It asks for every entry, whatever its class, and reads those that
// changed by the filters of the source: a server need not report who left a filter. Who is gone counts when the server names them; a list
// of those present, or nothing at all, makes us list everybody ourselves, with proof.
type syncrepl struct{}

func (syncrepl) begin(ctx context.Context, r *run) (position, error) {
	s := r.src
	base := s.changeBase()
	switch {
	case !strings.EqualFold(s.o.ID, "entryUUID"):
		return position{}, unfit{"it names entries by entryUUID, and id is " + s.o.ID}
	case !s.covered():
		return position{}, unfit{"people and groups stand below no common base"}
	}
	p := position{Method: entry.MethodSyncrepl}
	var err error
	if p.Root, err = r.sess.namingContext(ctx); err != nil { // a container that is moved out of the base is seen there
		return position{}, err
	}
	if p.Base, err = r.sess.baseID(ctx, base); err != nil {
		return position{}, err
	}
	none := func(wire.UUID, bool) error { return nil }
	done, err := r.sess.refresh(ctx, "ask for a cookie at "+p.Root, wire.Search{Base: p.Root, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attrs: []string{"1.1"}}, nil,
		func(*wire.Entry, wire.UUID, wire.SyncState) error { return nil }, none)
	if err != nil {
		return position{}, err
	}
	if _, err := parseCookie(done.Cookie); err != nil {
		return position{}, unfit{err.Error()}
	}
	p.Cookie = string(done.Cookie)
	return p, nil
}

func (syncrepl) since(ctx context.Context, r *run, from position) (found, error) {
	s := r.src
	base := s.changeBase()
	f := found{next: from}
	was, err := parseCookie([]byte(from.Cookie))
	if err != nil {
		return f, &model.Doubt{Text: "the mark of the last read cannot be used: " + err.Error()}
	}
	done, err := r.sess.refresh(ctx, "ask for changes below "+from.Root,
		wire.Search{Base: from.Root, Scope: ldap.ScopeWholeSubtree, Filter: "(objectClass=*)", Attrs: []string{"hasSubordinates"}}, []byte(from.Cookie),
		func(e *wire.Entry, id wire.UUID, state wire.SyncState) error {
			switch state {
			case wire.SyncAdd, wire.SyncModify:
				return f.note(id.String(), change{dn: e.DN, leaf: childless(e)})
			case wire.SyncDelete:
				return f.lose(id.String())
			}
			f.listAll = true
			return nil
		},
		func(id wire.UUID, present bool) error {
			if present { // unchanged; servers have sent such lists cut short
				f.listAll = true
				return nil
			}
			return f.lose(id.String())
		})
	if err != nil {
		return f, err
	}
	if !done.Synced {
		return f, &model.Doubt{Text: "the server did not say up to where it told the changes"}
	}
	f.listAll = f.listAll || done.Presents || !done.RefreshDeletes
	if len(done.Cookie) > 0 { // none: as before
		now, err := parseCookie(done.Cookie)
		if err != nil {
			return f, &model.Doubt{Text: err.Error()}
		}
		if why := now.follows(was); why != "" {
			return f, &model.Doubt{Text: why}
		}
		f.next.Cookie = string(done.Cookie)
	}
	id, err := r.sess.baseID(ctx, base)
	switch {
	case err != nil:
		return f, err
	case id != from.Base:
		return f, &model.Doubt{Text: fmt.Sprintf("the entry %s is another one than before", base)}
	}
	f.seen = "nothing since " + f.next.Cookie
	return f, nil
}

func (syncrepl) behind(was, now position) (known, behind bool, seen string) {
	w, err := parseCookie([]byte(was.Cookie))
	if err != nil || was.Base != now.Base {
		return false, false, ""
	}
	n, err := parseCookie([]byte(now.Cookie))
	if err != nil {
		return false, false, ""
	}
	return true, n.older(w) != "", "context " + n.text + ", before " + w.text
}

// childless says whether the entry shows that nothing stands below it, RFC 3673 and X.501 §10.5.
func childless(e *wire.Entry) bool {
	v := rawValues(e, "hasSubordinates")
	return len(v) == 1 && strings.EqualFold(string(v[0]), "FALSE")
}

// cookie is what OpenLDAP says about its state: rid=…,sid=…,csn=…;….
type cookie struct {
	text string
	sid  string            // of the server
	csns map[string]string // by the server that made the change, the newest change
}

func parseCookie(b []byte) (cookie, error) {
	c := cookie{text: string(b), csns: map[string]string{}}
	if len(b) == 0 {
		return c, fmt.Errorf("the server gives no cookie")
	}
	if slices.ContainsFunc(b, func(x byte) bool { return x <= ' ' || x > '~' }) || len(b) > 64<<10 {
		return c, fmt.Errorf("the server's cookie is not one of OpenLDAP's")
	}
	for part := range strings.SplitSeq(c.text, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "sid":
			c.sid = value
		case "csn":
			for csn := range strings.SplitSeq(value, ";") {
				fields := strings.Split(csn, "#") // time#count#sid#modification
				if len(fields) != 4 || len(fields[0]) < len("20060102150405Z") {
					return c, fmt.Errorf("the server's cookie has no usable csn: %s", c.text)
				}
				c.csns[fields[2]] = csn
			}
		}
	}
	if len(c.csns) == 0 {
		return c, fmt.Errorf("the server's cookie has no csn: %s", c.text)
	}
	return c, nil
}

// follows says why the cookie is not one after was, "" when it is.
func (c cookie) follows(was cookie) string {
	if c.sid != was.sid {
		return fmt.Sprintf("the server is another one than before (sid %q, before %q)", c.sid, was.sid)
	}
	return c.older(was)
}

// older says in what the cookie lies before was, "" when in nothing.
func (c cookie) older(was cookie) string {
	for _, sid := range slices.Sorted(maps.Keys(was.csns)) {
		if c.csns[sid] < was.csns[sid] {
			return fmt.Sprintf("the server's newest change of server %s is %q, before it was %q", sid, c.csns[sid], was.csns[sid])
		}
	}
	return ""
}
