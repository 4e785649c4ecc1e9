package ldapsync_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/model"
)

const (
	fewerEntries = 2
	fewerValues  = 2
)

func windowsLayer() *fault {
	return &fault{
		request: func(_ int, q query, m *ber.Packet) *ber.Packet {
			if !q.paged {
				return m
			}
			return withControls(m, func(c ldap.Control) ldap.Control {
				paging, ok := c.(*ldap.ControlPaging)
				if !ok {
					return nil
				}
				smaller := ldap.NewControlPaging(min(paging.PagingSize, fewerEntries))
				smaller.SetCookie(paging.Cookie)
				return smaller
			})
		},
		answer: atEntry(func(p *passing) ([]byte, after) {
			return rewritten(p.raw, func(_ string, attrs [][]string) [][]string {
				out := [][]string{}
				for _, a := range attrs {
					name, option, _ := strings.Cut(a[0], ";range=")
					first := 0
					fmt.Sscanf(option, "%d-", &first) //nolint:errcheck // without a range from 0
					if !strings.EqualFold(name, "member") || len(a)-1 <= fewerValues {
						out = append(out, a)
						continue
					}
					part := append([]string{fmt.Sprintf("%s;range=%d-%d", name, first, first+fewerValues-1)}, a[1:1+fewerValues]...)
					if option == "" {
						out = append(out, []string{name})
					}
					out = append(out, part)
				}
				return out
			}), goOn
		}),
	}
}

// windowsRows are more of rows: what Windows does, and what servers say about themselves.
func windowsRows() map[string]row {
	const interrupted, limit = model.CodeSourceInterrupted, model.CodeSourceLimit
	return map[string]row{
		// What Windows says, and Samba does not.
		"page forgotten": inWindows(goesOn, ldap.LDAPResultUnavailableCriticalExtension,
			"00002040: SvcErr: DSID-031401E7, problem 5010 (UNAVAIL_EXTENSION), data 0", interrupted),
		"too expensive":         inWindows(paged, ldap.LDAPResultAdminLimitExceeded, "00002024: SvcErr: DSID-02050D0D, problem 5008 (ADMIN_LIMIT_EXCEEDED), data -1026", limit),
		"cookie too old":        inWindows(dirSynced, ldap.LDAPResultUnavailableCriticalExtension, "00000057: LdapErr: DSID-0C090A92, comment: Error processing control, data 0, v4563"),
		"no right to replicate": inWindows(dirSynced, ldap.LDAPResultInsufficientAccessRights, "00002105: LdapErr: DSID-0C0909DD, comment: Error processing control, data 0, v4563"),
		"bind forgotten": inWindows(nil, ldap.LDAPResultOperationsError,
			"000004DC: LdapErr: DSID-0C0909A2, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563", interrupted),
		"object gone": {answer: inWindows(nil, ldap.LDAPResultNoSuchObject, "0000208D: NameErr: DSID-0310028C, problem 2001 (NO_OBJECT), data 0, best match of: ''").answer,
			codes: []model.Code{model.CodeSourceBase, model.CodeSourceUnproven}, found: true, ofAD: true},
		"a first page without entries": {on: func(q query) bool { return paged(q) && !goesOn(q) }, again: true, harmless: true},

		// What the server says about itself.
		"another server": {on: aboutItself, answer: atEntry(func(p *passing) ([]byte, after) {
			return changed(p.raw, map[string]string{"invocationId": "another server..", "netscapemdsuffix": "cn=another"}), goOn
		}), mild: true},
		"a counter that goes back": {on: aboutItself, answer: atEntry(func(p *passing) ([]byte, after) {
			return changed(p.raw, map[string]string{"highestCommittedUSN": "1", "lastChangeNumber": "1", "lastusn;userroot": "1"}), goOn
		}), mild: true},
		"a clock of next year": {on: aboutItself, answer: atEntry(func(p *passing) ([]byte, after) {
			return changed(p.raw, map[string]string{"currentTime": time.Now().AddDate(1, 0, 0).UTC().Format("20060102150405") + ".0Z"}), goOn
		}), mild: true},
		"nothing about itself": {on: aboutItself, answer: atEntry(func(p *passing) ([]byte, after) {
			return rewritten(p.raw, func(string, [][]string) [][]string { return [][]string{} }), goOn
		}), mild: true},
	}
}

// inWindows is a refusal in the words of Windows, in place of all entries.
func inWindows(on func(query) bool, n int64, text string, codes ...model.Code) row {
	return row{on: on, codes: codes, ofAD: true, answer: func(p *passing) ([]byte, after) {
		if p.op != opDone {
			return nil, goOn
		}
		return saying(p.id, n, text), goOn
	}}
}

func dirSynced(q query) bool   { return q.dirSync }
func aboutItself(q query) bool { return ofServer(q) && !q.sync } // whose rewriting loses controls

// changed is the entry with other values of those attributes that it has.
func changed(raw []byte, values map[string]string) []byte {
	return rewritten(raw, func(_ string, attrs [][]string) [][]string {
		for i, a := range attrs {
			for name, value := range values {
				if strings.EqualFold(a[0], name) {
					attrs[i] = []string{a[0], value}
				}
			}
		}
		return attrs
	})
}

// emptyFirst lets an empty page, which is not the last one, come before all that there is, as a server may that was busy with entries which do not match.
func emptyFirst(at func(n int, q query) bool, hit *atomic.Bool) *fault {
	const anew = "from the beginning"
	return &fault{
		answer: func(p *passing) ([]byte, after) {
			if !at(p.n, p.asked) {
				return p.raw, goOn
			}
			hit.Store(true)
			if p.op != opDone {
				return nil, goOn
			}
			return doneWith(p.id, 0, pagingControl(anew)), goOn
		},
		request: func(_ int, q query, m *ber.Packet) *ber.Packet {
			if q.cookie != anew {
				return m
			}
			return withControls(m, func(c ldap.Control) ldap.Control {
				if paging, ok := c.(*ldap.ControlPaging); ok {
					return ldap.NewControlPaging(paging.PagingSize)
				}
				return nil
			})
		},
	}
}

// M-36: whoever stands below a container that got another name has another name, too. An empty page is not the answer that nobody does.
func TestAnEmptyPageBelowAContainerIsNotTheLast(t *testing.T) {
	t.Parallel()
	tr := openLDAPEstate(t).plant(t, "emptyfirst", 7)
	inner := "ou=inner," + tr.base
	below := "uid=" + nameOf(tr.people[1]) + "," + inner
	tr.do(func(c *ldap.Conn) error {
		if err := c.ModifyDN(ldap.NewModifyDNRequest(tr.people[1], "uid="+nameOf(tr.people[1]), true, inner)); err != nil {
			return err
		}
		return replaceAttr(c, tr.people[4], "manager", below)
	})
	tr.people[1] = below
	w := newWard(t, tr, entry.MethodSyncrepl, "")
	w.clean(model.ModeFull)
	if d := w.differs(); d != "" {
		t.Fatalf("(-directory +database):\n%s", d)
	}
	tr.do(func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(inner, "ou=renamed", true, "")) })
	var hit atomic.Bool
	w.tamper.set(emptyFirst(func(_ int, q query) bool { return paged(q) && !goesOn(q) }, &hit))
	out, err := w.sync(t.Context(), model.ModeDelta)
	if err != nil || !hit.Load() || out.Run.Verdict != model.VerdictComplete || !strings.Contains(out.Proof.Instead, "the container") {
		t.Errorf("%v, %q, %q", err, out.Proof.Instead, failedConditions(out.Proof))
	}
	if d := w.differs(); d != "" { // a manager by the old name is nobody's
		t.Errorf("(-directory +database):\n%s", d)
	}
}
