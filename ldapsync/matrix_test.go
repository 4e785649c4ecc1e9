package ldapsync_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/model"
)

// row is one thing that goes wrong, at one search of a run.
type row struct {
	on     func(query) bool // the searches it can happen to; nil: any
	answer func(p *passing) ([]byte, after)
	ask    func(m *ber.Packet) *ber.Packet
	codes  []model.Code // of the run's error; none: it ends without, and is not proven
	// harmless: the run has to be complete all the same.
	harmless bool
	// hides: the server answers with success and leaves something out. What changed of it may be seen by the next full read only.
	hides bool
	// mild: nothing that was asked for may be wrong.
	mild bool
	// found: it does not matter where the entry that was looked for is found.
	found bool
	// meanwhile: there is nothing wrong, but somebody changes the directory.
	meanwhile bool
	// ofAD: Active Directory alone does so.
	ofAD bool
	// again: an empty page comes first, and then all that there is.
	again bool
	// odd: no server does so; a broken one, or somebody in between. One kind of server stands for all.
	odd  bool
	idle time.Duration
}

func paged(q query) bool    { return q.paged }
func told(q query) bool     { return q.sync || q.dirSync } // what the server itself says has changed
func lists(q query) bool    { return paged(q) || told(q) }
func goesOn(q query) bool   { return q.cookie != "" }
func ofBase(q query) bool   { return !q.paged && q.scope == ldap.ScopeBaseObject }
func ofGroups(q query) bool { return slices.Contains(q.attrs, "member") }

// atDone changes the final answer only.
func atDone(do func(p *passing) ([]byte, after)) func(p *passing) ([]byte, after) {
	return func(p *passing) ([]byte, after) {
		if p.op != opDone {
			return p.raw, goOn
		}
		return do(p)
	}
}

// atEntry changes the entries only.
func atEntry(do func(p *passing) ([]byte, after)) func(p *passing) ([]byte, after) {
	return func(p *passing) ([]byte, after) {
		if p.op != opEntry {
			return p.raw, goOn
		}
		return do(p)
	}
}

// code is another result than the one the server gave, after all of its entries.
func code(n int64, codes ...model.Code) row {
	return row{answer: atDone(func(p *passing) ([]byte, after) { return doneWith(p.id, n), goOn }), codes: codes}
}

// inject sends something before the final answer.
func inject(make func(p *passing) []byte, codes ...model.Code) row {
	return row{answer: atDone(func(p *passing) ([]byte, after) { return slices.Concat(make(p), p.raw), goOn }), codes: codes, odd: true}
}

// rows are what goes wrong, by what an operator would say about it.
func rows() map[string]row {
	const interrupted, limit, unreachable = model.CodeSourceInterrupted, model.CodeSourceLimit, model.CodeSourceUnreachable
	operation := func(tag ber.Tag) *ber.Packet {
		return ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	}
	deep := func() *ber.Packet {
		p := ber.NewSequence("")
		for range 2000 {
			outer := ber.NewSequence("")
			outer.AppendChild(p)
			p = outer
		}
		return p
	}
	all := map[string]row{
		// Limits and refusals: entries, and then another result than success.
		"size limit":             code(ldap.LDAPResultSizeLimitExceeded, limit),
		"time limit":             code(ldap.LDAPResultTimeLimitExceeded, limit),
		"look-through limit":     code(ldap.LDAPResultAdminLimitExceeded, limit),
		"busy":                   code(ldap.LDAPResultBusy, unreachable),
		"going down":             code(ldap.LDAPResultUnavailable, unreachable),
		"unwilling":              code(ldap.LDAPResultUnwillingToPerform, interrupted),
		"taken for anonymous":    code(ldap.LDAPResultOperationsError, interrupted),
		"right lost":             code(ldap.LDAPResultInsufficientAccessRights, model.CodeSourceBase),
		"referred elsewhere":     code(ldap.LDAPResultReferral, model.CodeSourceReferral),
		"internal error":         code(ldap.LDAPResultOther, interrupted),
		"refused before a thing": {answer: func(p *passing) ([]byte, after) { return doneWith(p.id, ldap.LDAPResultOther), cut }, codes: []model.Code{interrupted}},

		"no such object": {answer: atDone(func(p *passing) ([]byte, after) { return doneWith(p.id, ldap.LDAPResultNoSuchObject), goOn }),
			codes: []model.Code{model.CodeSourceBase, model.CodeSourceUnproven}, found: true},

		// The connection.
		"cut before the answer": {answer: func(*passing) ([]byte, after) { return nil, cut }, codes: []model.Code{interrupted}},
		"cut within an entry":   {answer: func(p *passing) ([]byte, after) { return p.raw[:len(p.raw)/2], cut }, codes: []model.Code{interrupted}},
		"cut after an entry": {answer: func(p *passing) ([]byte, after) {
			if p.op == opEntry {
				return p.raw, cut
			}
			return nil, cut
		}, codes: []model.Code{interrupted}},
		"cut before the end":    {answer: atDone(func(*passing) ([]byte, after) { return nil, cut }), codes: []model.Code{interrupted}},
		"cut within the end":    {answer: atDone(func(p *passing) ([]byte, after) { return p.raw[:len(p.raw)-1], cut }), codes: []model.Code{interrupted}},
		"cut before the next":   {answer: atDone(func(p *passing) ([]byte, after) { return p.raw, cut }), codes: []model.Code{interrupted}, mild: true},
		"silent at once":        {answer: func(*passing) ([]byte, after) { return nil, quiet }, codes: []model.Code{interrupted}, idle: 500 * time.Millisecond},
		"silent before the end": {answer: atDone(func(*passing) ([]byte, after) { return nil, quiet }), codes: []model.Code{interrupted}, idle: 500 * time.Millisecond},

		// Pages.
		"no paging control":      {on: paged, answer: atDone(func(p *passing) ([]byte, after) { return doneWith(p.id, 0), goOn })},
		"two paging controls":    {on: paged, answer: atDone(func(p *passing) ([]byte, after) { return doneWith(p.id, 0, pagingControl(""), pagingControl("")), goOn }), codes: []model.Code{interrupted}},
		"list ends too early":    {on: paged, answer: atDone(func(p *passing) ([]byte, after) { return doneWith(p.id, 0, pagingControl("")), goOn }), hides: true, mild: true},
		"a page without entries": {on: lists, answer: atEntry(func(*passing) ([]byte, after) { return nil, goOn }), hides: true, mild: true},
		"an entry left out": {on: lists, answer: atEntry(func(p *passing) ([]byte, after) {
			if p.entries == 0 {
				return nil, goOn
			}
			return p.raw, goOn
		}), hides: true, mild: true},
		"an entry twice": {on: lists, answer: atEntry(func(p *passing) ([]byte, after) {
			if p.entries == 0 {
				return slices.Concat(p.raw, p.raw), goOn
			}
			return p.raw, goOn
		}), mild: true},
		"no control of changes": {on: told, answer: atDone(func(p *passing) ([]byte, after) { return doneWith(p.id, 0), goOn })},
		"one more answer":       {on: func(q query) bool { return q.dirSync }, answer: atDone(oneMore), harmless: true},
		"a message about changes left out": {on: told, answer: func(p *passing) ([]byte, after) {
			if p.op == opIntermediate {
				return nil, goOn
			}
			return p.raw, goOn
		}, hides: true, mild: true},
		"cookie of nobody": {on: told, ask: func(m *ber.Packet) *ber.Packet {
			return withControls(m, func(c ldap.Control) ldap.Control {
				switch c.GetControlType() {
				case ldap.ControlTypeDirSync:
					return ldap.NewRequestControlDirSync(ldap.DirSyncObjectSecurity|ldap.DirSyncIncrementalValues, 1<<20, []byte("nobody's"))
				case ldap.ControlTypeSyncRequest:
					return ldap.NewControlSyncRequest(ldap.SyncRequestModeRefreshOnly, []byte("nobody's"), false)
				}
				return nil
			})
		}, mild: true},
		"cookie of another connection": {on: goesOn, ask: func(m *ber.Packet) *ber.Packet {
			return withControls(m, func(c ldap.Control) ldap.Control {
				paging, ok := c.(*ldap.ControlPaging)
				if !ok {
					return nil
				}
				other := ldap.NewControlPaging(paging.PagingSize)
				for _, b := range paging.Cookie {
					other.Cookie = append(other.Cookie, b^0x07)
				}
				return other
			})
		}, codes: []model.Code{interrupted}},

		// Messages.
		"entry of another search": inject(func(p *passing) []byte { return message(p.id+7, entryPacket("cn=x", "cn", "x")) }, interrupted),
		"message without an id": inject(func(p *passing) []byte {
			m := ber.NewSequence("")
			m.AppendChild(octet("one"))
			m.AppendChild(entryPacket("cn=x", "cn", "x"))
			return m.Bytes()
		}, interrupted),
		"unknown operation":     inject(func(p *passing) []byte { return message(p.id, operation(30)) }, interrupted),
		"intermediate response": inject(func(p *passing) []byte { return message(p.id, operation(ldap.ApplicationIntermediateResponse)) }, interrupted),
		"answer to a bind":      inject(func(p *passing) []byte { return message(p.id, result(ldap.ApplicationBindResponse, 0)) }, interrupted),
		"notice of disconnection": inject(func(*passing) []byte {
			return message(0, result(ldap.ApplicationExtendedResponse, ldap.LDAPResultUnavailable))
		}, interrupted),
		"length of 400 MB":     inject(func(p *passing) []byte { return []byte{0x30, 0x84, 0x17, 0xd7, 0x84, 0x00, 0x02, 0x01} }, interrupted),
		"length over 2 GiB":    inject(func(p *passing) []byte { return []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02, 0x01} }, interrupted),
		"length of nine bytes": inject(func(p *passing) []byte { return []byte{0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1} }, interrupted),
		"endless length":       inject(func(p *passing) []byte { return []byte{0x30, 0x80, 2, 1, byte(p.id)} }, interrupted),
		"2,000 levels deep":    inject(func(p *passing) []byte { return deep().Bytes() }, interrupted),
		"entry without values": inject(func(p *passing) []byte {
			op := operation(ldap.ApplicationSearchResultEntry)
			op.AppendChild(octet("cn=x"))
			return message(p.id, op)
		}, interrupted),
		"HTTP":         inject(func(*passing) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, interrupted),
		"a second end": {answer: atDone(func(p *passing) ([]byte, after) { return slices.Concat(p.raw, p.raw), goOn }), codes: []model.Code{interrupted}, mild: true, odd: true},
		"continuation reference": {answer: atDone(func(p *passing) ([]byte, after) {
			op := operation(ldap.ApplicationSearchResultReference)
			op.AppendChild(octet("ldap://elsewhere.example.org/"))
			return slices.Concat(message(p.id, op), p.raw), goOn
		}), found: true},

		// Rights and contents.
		"base entry hidden":     {on: ofBase, answer: atEntry(func(*passing) ([]byte, after) { return nil, goOn }), codes: []model.Code{model.CodeSourceBase, ""}, mild: true},
		"base entry is another": {on: ofBase, answer: atEntry(func(p *passing) ([]byte, after) { return otherID(p.raw), goOn }), codes: []model.Code{"", model.CodeSourceUnproven}, mild: true},
		"ids hidden": {on: paged, answer: atEntry(func(p *passing) ([]byte, after) {
			return without(without(without(p.raw, "entryUUID"), "nsUniqueId"), "objectGUID"), goOn
		}), mild: true, hides: true},
		"members hidden": {on: ofGroups, answer: atEntry(func(p *passing) ([]byte, after) { return without(p.raw, "member"), goOn }), mild: true},

		// Nothing is wrong.
		"byte by byte": {answer: func(p *passing) ([]byte, after) { return p.raw, goOn }, harmless: true},
		"a control nobody asked for": {answer: atDone(func(p *passing) ([]byte, after) {
			cookie, ok := cookieOf(p.raw)
			unknown := ldap.NewControlString("1.2.3.4", false, "x").Encode()
			if !ok {
				return doneWith(p.id, 0, unknown), goOn
			}
			return doneWith(p.id, 0, unknown, pagingControl(cookie)), goOn
		}), harmless: true},
		"changed in the middle": {answer: atDone(func(p *passing) ([]byte, after) { return p.raw, goOn }), mild: true, meanwhile: true},
		"slow":                  {answer: atDone(func(p *passing) ([]byte, after) { time.Sleep(20 * time.Millisecond); return p.raw, goOn }), harmless: true},
	}
	maps.Copy(all, windowsRows())
	return all
}

// oneMore has the answer to DirSync say that there is more; the next one says what there is.
func oneMore(p *passing) ([]byte, after) {
	m, err := ber.DecodePacketErr(p.raw)
	if err != nil || len(m.Children) < 3 {
		return p.raw, goOn
	}
	for _, c := range m.Children[2].Children {
		if len(c.Children) < 2 || c.Children[0].Value != ldap.ControlTypeDirSync {
			continue
		}
		value, err := ber.DecodePacketErr(c.Children[len(c.Children)-1].ByteValue)
		if err != nil || len(value.Children) != 3 {
			continue
		}
		other := ber.NewSequence("")
		other.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(1), ""))
		other.AppendChild(value.Children[1])
		other.AppendChild(value.Children[2])
		return doneWith(p.id, 0, ldap.NewControlString(ldap.ControlTypeDirSync, true, string(other.Bytes())).Encode()), goOn
	}
	return p.raw, goOn
}

// otherID gives an entry another id.
func otherID(raw []byte) []byte {
	return rewritten(raw, func(_ string, attrs [][]string) [][]string {
		for _, a := range attrs {
			if len(a) == 2 && slices.Contains([]string{"entryUUID", "nsUniqueId", "objectGUID"}, a[0]) {
				first := "9"
				if a[1][0] == '9' {
					first = "8"
				}
				a[1] = first + a[1][1:]
			}
		}
		return attrs
	})
}

// D-01, M-36: each row at each search of a full read, a read of changes and a census, on each kind of server, with real changes
// between: nobody leaves who is there, no change is lost, and no run says that it was complete and was not. Without -matrix.all a
// row has one of the methods and modes and some of the searches, and each server of two that are one in truth has a half of the rows; with the
// race detector a quarter of that.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	modes := []model.Mode{model.ModeFull, model.ModeDelta, model.ModeCensus}
	for k, kind := range kinds() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			for s, e := range kind.start(t) {
				all := rows()
				for i, title := range slices.Sorted(maps.Keys(all)) {
					if all[title].ofAD && e.options.Preset != entry.ActiveDirectory {
						continue
					}
					if !*everything && (all[title].odd && k != 0 || e.shared && (i+s)%2 == 0 || raced && (i/2+k)%4 != 0) {
						continue
					}
					t.Run(e.name+"/"+title, func(t *testing.T) {
						t.Parallel()
						if !*everything {
							e.withstands(t, all[title], i, e.methods[i%len(e.methods)], modes[(i/len(e.methods)+s)%len(modes)])
							return
						}
						for _, method := range e.methods {
							e.withstands(t, all[title], i, method, modes...)
						}
					})
				}
			}
		})
	}
}

// serverKind is a kind of server that there is.
type serverKind struct {
	name  string
	start func(*testing.T) []*estate
}

func kinds() []serverKind {
	return []serverKind{{"openldap", one(openLDAPEstate)}, {"389ds", one(ds389Estate)}, {"active directory", activeDirectories}}
}

func one(start func(*testing.T) *estate) func(*testing.T) []*estate {
	return func(t *testing.T) []*estate { return []*estate{start(t)} }
}

// withstands plays one row with one method.
func (e *estate) withstands(t *testing.T, r row, offset int, method entry.Method, modes ...model.Mode) {
	tr := e.plant(t, fmt.Sprintf("t%d", plot.Add(1)), 7)
	w := newWard(t, tr, method, "")
	hurried := w.engine
	if r.idle > 0 {
		hurried = w.engineWith(r.idle)
	}
	w.clean(model.ModeFull)
	if d := w.differs(); d != "" {
		t.Fatalf("the first read (-directory +database):\n%s", d)
	}
	runs := 0
	for _, mode := range modes {
		tr.change(runs, true)
		w.clean(mode)
		list := positions(w.tamper.seen())
		if !*everything {
			list = thinned(list, offset)
		}
		for i, n := range list {
			runs++
			tr.change(runs, i == 3)
			w.meets(r, hurried, mode, n)
		}
		if r.hides {
			w.clean(model.ModeFull)
		}
		w.clean(model.ModeDelta)
		w.settle()
		if d := w.differs(); d != "" {
			t.Fatalf("after %s (-directory +database):\n%s", mode, d)
		}
	}
	t.Logf("%s: %d runs", method, runs)
}

// positions are the searches of a run that something happens to: all, but of those that look for one missing entry after the
// other, and for others that are there, the first, the last and one between.
func positions(searches []query) []int {
	var list, alone []int
	for i, q := range searches {
		if q.alone() {
			alone = append(alone, i+1)
		} else {
			list = append(list, i+1)
		}
	}
	if n := len(alone); n > 0 {
		list = append(list, slices.Compact([]int{alone[0], alone[n/2], alone[n-1]})...)
	}
	return list
}

// thinned are about four of the positions, which ones depends on the offset: the rows together have all of them.
func thinned(list []int, offset int) []int {
	const few = 4
	step := max(1, len(list)/few)
	var out []int
	for i := offset % step; i < len(list); i += step {
		out = append(out, list[i])
	}
	return out
}

// meets reads once while the row happens to the n-th search.
func (w *ward) meets(r row, e *engine.Engine, mode model.Mode, n int) {
	t := w.t
	t.Helper()
	before, there := w.last, w.tree.present()
	var hit, forgiven atomic.Bool
	f := &fault{answer: func(p *passing) ([]byte, after) {
		if r.answer == nil || p.n != n || r.on != nil && !r.on(p.asked) {
			return p.raw, goOn
		}
		send, then := r.answer(p)
		if r.meanwhile && p.op == opDone {
			hit.Store(true)
			w.tree.change(1000+n, n%3 == 0)
		}
		if then != goOn || string(send) != string(p.raw) {
			hit.Store(true)
			forgiven.Store(ofServer(p.asked) || ofWitness(p.asked) || mode == model.ModeFull && ofPosition(p.asked) || r.found && p.asked.alone())
		}
		return send, then
	}}
	if r.again {
		f = emptyFirst(func(at int, q query) bool { return at == n && r.on(q) }, &hit)
	}
	if r.ask != nil {
		f.request = func(at int, q query, m *ber.Packet) *ber.Packet {
			if at != n || r.on != nil && !r.on(q) {
				return m
			}
			hit.Store(true)
			return r.ask(m)
		}
	}
	w.tamper.set(f)
	out, err := e.Sync(t.Context(), "corp", engine.SyncOptions{Mode: mode, Trigger: "demand", Actor: "test"})
	searches := w.tamper.seen()
	w.tamper.set(nil)
	fired, spared := hit.Load(), forgiven.Load()
	at := fmt.Sprintf("%s, search %d of %d", mode, n, len(searches))
	if n <= len(searches) {
		at += ": " + searches[n-1].String()
	}
	if list := w.wrongLeavers(before, there); len(list) > 0 {
		t.Errorf("%s: wrong leavers %q", at, list)
	}
	complete := out.Run.Verdict == model.VerdictComplete
	switch {
	case complete && (!fired || r.harmless || r.mild || spared):
	case complete && out.Proof.Instead != "": // it looked again, at everything
	case complete && mode == model.ModeFull && strings.Contains(out.Proof.Method, "because"): // changes will be read in another way
	case complete:
		t.Errorf("%s: it says that it was complete", at)
	case !fired && r.idle > 0: // the machine was slow
	case r.harmless || !fired:
		t.Errorf("%s: not complete: %v %q", at, err, failedConditions(out.Proof))
	case err != nil && !slices.Contains(r.codes, model.CodeOf(err)):
		t.Errorf("%s: code %q, want one of %q: %v", at, model.CodeOf(err), r.codes, err)
	case err == nil && out.Run.ErrorCode != model.CodeSourceUnproven:
		t.Errorf("%s: code %q", at, out.Run.ErrorCode)
	}
}

// ofServer says whether a server is asked about itself, which it may keep to itself, or for a cookie, without which there are stamps.
func ofServer(q query) bool {
	return q.base == "" || strings.HasPrefix(q.base, "CN=NTDS Settings") || strings.HasSuffix(strings.ToLower(q.base), "cn=monitor") ||
		q.sync && q.scope == ldap.ScopeBaseObject
}

// ofPosition says whether a full read looks from where changes could be read later, and whether it would be shown who was deleted.
func ofPosition(q query) bool {
	return strings.HasPrefix(q.base, "CN=Deleted Objects") || q.filter == "(objectClass=nsTombstone)" || q.base == "cn=changelog" ||
		strings.HasPrefix(q.filter, "(entryUSN>=")
}

// ofWitness says whether it is looked what became of the entry that had changed last: what is shown of it counts, whatever comes after it, and
// what is not is a doubt.
func ofWitness(q query) bool { return slices.Equal(q.attrs, []string{"entryUSN"}) }

// alone says whether one entry is looked for by its id, or whether it would be listed.
func (q query) alone() bool {
	return slices.Contains(q.attrs, "isDeleted") || q.scope == ldap.ScopeBaseObject && q.filter != "(objectClass=*)"
}

// everything plays each row in each mode on each server.
var everything = flag.Bool("matrix.all", false, "play each fault in each mode on the slow servers, too") //nolint:gochecknoglobals // of this test binary

// plot numbers the trees.
var plot atomic.Int64 //nolint:gochecknoglobals // of this test binary
