package ldapsync_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// living is a directory that changes at random. It knows which entries there are.
type living struct {
	t      *testing.T
	r      *rand.Rand
	as     func(func(*ldap.Conn) error)
	people []string // DNs
	groups []string
	made   int
}

// step makes one change; what the server refuses is no change.
func (l *living) step() {
	pick := func(list []string) int { return l.r.IntN(len(list)) }
	place := []string{testserver.PeopleBase, "ou=inner," + testserver.PeopleBase, "ou=services," + testserver.Base}
	l.made++
	l.as(func(c *ldap.Conn) error {
		set := func(dn, attr string, values ...string) error {
			req := ldap.NewModifyRequest(dn, nil)
			req.Replace(attr, values)
			return c.Modify(req)
		}
		i := pick(l.people)
		switch l.r.IntN(12) {
		case 0, 1:
			return set(l.people[i], "title", fmt.Sprint("Title ", l.made))
		case 2:
			return set(l.people[i], "employeeType", []string{"employee", "former"}[l.r.IntN(2)])
		case 3:
			return set(l.people[i], "description", []string{"suspended", "here"}[l.r.IntN(2)])
		case 4:
			return set(l.people[i], "manager", l.people[pick(l.people)])
		case 5:
			superior := place[l.r.IntN(3)]
			rdn := fmt.Sprintf("uid=r%d", l.made)
			if err := c.ModifyDN(ldap.NewModifyDNRequest(l.people[i], rdn, true, superior)); err != nil {
				return err
			}
			l.people[i] = rdn + "," + superior
			return nil
		case 6: // somebody else gets the name
			dn := l.people[i]
			moved := fmt.Sprintf("uid=r%d", l.made)
			if err := c.ModifyDN(ldap.NewModifyDNRequest(dn, moved, true, testserver.PeopleBase)); err != nil {
				return err
			}
			l.people[i] = moved + "," + testserver.PeopleBase
			return l.add(c, dn)
		case 7:
			if len(l.people) < 20 {
				return nil
			}
			if err := c.Del(ldap.NewDelRequest(l.people[i], nil)); err != nil {
				return err
			}
			l.people = slices.Delete(l.people, i, i+1)
			return nil
		case 8:
			return l.add(c, fmt.Sprintf("uid=n%d,%s", l.made, testserver.PeopleBase))
		case 9, 10:
			members := []string{l.people[i], "uid=nobody," + testserver.PeopleBase}
			for range l.r.IntN(6) {
				members = append(members, l.people[pick(l.people)], l.groups[pick(l.groups)])
			}
			slices.Sort(members)
			return set(l.groups[pick(l.groups)], "member", slices.Compact(members)...)
		default:
			g := pick(l.groups)
			rdn := fmt.Sprintf("cn=g%d", l.made)
			if err := c.ModifyDN(ldap.NewModifyDNRequest(l.groups[g], rdn, true, "")); err != nil {
				return err
			}
			l.groups[g] = rdn + "," + testserver.GroupsBase
			return nil
		}
	})
}

func (l *living) add(c *ldap.Conn, dn string) error {
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return err
	}
	req := ldap.NewAddRequest(dn, nil)
	for attr, v := range map[string]string{"objectClass": "inetOrgPerson", "uid": d.RDNs[0].Attributes[0].Value, "cn": "New", "sn": "New", "employeeType": "employee",
		"manager": l.people[l.r.IntN(len(l.people))]} {
		req.Attribute(attr, []string{v})
	}
	if err := c.Add(req); err != nil {
		return err
	}
	l.people = append(l.people, dn)
	return nil
}

// M-36: whatever happens, and in however many pieces it is seen, the database says what a full read says.
// syncrepl #5: somebody else came under the name of who was deleted.
func TestRandomChangesEqualAFullRead(t *testing.T) {
	t.Parallel()
	const users, groups = 40, 8
	ldif := testserver.LDIF(users, groups, 30) + "dn: ou=inner,ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: inner\n\n"
	for _, how := range []entry.Method{entry.MethodSyncrepl, entry.MethodModifyTime, entry.MethodChangelog, entry.MethodEntryUSN} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			l := &living{t: t, r: rand.New(rand.NewPCG(seed, 1))}
			for i := range users {
				l.people = append(l.people, testserver.UserDN(i))
			}
			for i := range groups {
				l.groups = append(l.groups, testserver.GroupDN(i))
			}
			var o ldapsync.Options
			switch how {
			case entry.MethodSyncrepl, entry.MethodModifyTime:
				s := testserver.Slapd(t, testserver.SlapdOptions{Syncrepl: true, LDIF: ldif})
				o, l.as = options(s), s.As
			default:
				s := testserver.DS389(t, testserver.DS389Options{LDIF: ldif})
				l.as = s.As
				o = ldapsync.Options{Name: "corp", URL: s.URL, Preset: entry.DS389, BindDN: testserver.DS389AdminDN, Password: password, Base: testserver.Base,
					People: ldapsync.People{Base: testserver.PeopleBase}, Groups: &ldapsync.Groups{Base: testserver.GroupsBase}, PageSize: 100}
			}
			o.People.Filter = "(&(objectClass=inetOrgPerson)(employeeType=employee))"
			o.Inactive = ldapsync.Inactive{Attribute: "description", Values: []string{"suspended"}}
			o.Incremental, o.Delta = how, true
			m := newMirror(t, o)
			m.sync(model.ModeFull)
			for round := range 8 {
				for range 1 + l.r.IntN(8) {
					l.step()
				}
				out := m.sync(model.ModeDelta)
				if out.Proof.Instead != "" {
					t.Errorf("round %d was read in full: %s", round, out.Proof.Instead)
				}
				if how == entry.MethodModifyTime || how == entry.MethodSyncrepl { // it takes two to be sure of a deletion
					m.sync(model.ModeCensus)
					m.sync(model.ModeCensus)
				}
				if how == entry.MethodModifyTime {
					time.Sleep(1100 * time.Millisecond) // stamps are of whole seconds
					m.sync(model.ModeDelta)
				}
				m.equals(o, fmt.Sprint("round ", round))
				if t.Failed() {
					return
				}
			}
		})
	}
}
