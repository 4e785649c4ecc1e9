package ldapsync

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

func testSource(tb testing.TB, change func(*Options)) *Source {
	tb.Helper()
	o := Options{
		Name: "corp", URL: "ldaps://ldap.example.org", BindDN: "cn=reader,dc=example,dc=org",
		Password: func() (string, error) { return "x", nil }, Base: "dc=example,dc=org", Groups: &Groups{},
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// saysEmpty maps attributes whose absence means that there is none.
func saysEmpty(o *Options) {
	o.People.Attributes = map[string]entry.Attribute{
		"title": {From: []string{"title", "description"}, SaysEmpty: true}, "emails": {From: []string{"mail"}, SaysEmpty: true},
		"name.familyName": {From: []string{"sn"}, SaysEmpty: true}, "manager": {From: []string{"manager"}, SaysEmpty: true},
	}
}

func testEntry(dn string, pairs ...string) *wire.Entry {
	e := &wire.Entry{DN: dn}
	for i := 0; i < len(pairs); i += 2 {
		at := slices.IndexFunc(e.Attrs, func(a wire.Attr) bool { return a.Name == pairs[i] })
		if at < 0 {
			at = len(e.Attrs)
			e.Attrs = append(e.Attrs, wire.Attr{Name: pairs[i]})
		}
		e.Attrs[at].Values = append(e.Attrs[at].Values, []byte(pairs[i+1]))
	}
	return e
}

func TestEntriesBecomeSCIMShapedRecords(t *testing.T) {
	t.Parallel()
	resolve := func(dn []byte) (string, bool) { return "id-of-boss", string(dn) == "uid=boss,dc=example,dc=org" }
	const ent = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	for name, c := range map[string]struct {
		change func(*Options)
		entry  *wire.Entry
		want   string
		active bool
	}{
		"the least there can be": {nil, testEntry("uid=ada", "uid", "Ada"), `{"active":true,"userName":"Ada"}`, true},
		"several mails: sorted, the least is primary": {nil, testEntry("uid=ada", "uid", "ada", "mail", "b@example.org", "mail", "a@example.org", "mail", "b@example.org"),
			`{"active":true,"emails":[{"primary":true,"type":"work","value":"a@example.org"},{"type":"work","value":"b@example.org"}],"userName":"ada"}`, true},
		"one value of several: the one in the DN": {nil, testEntry("uid=zoe,dc=example,dc=org", "uid", "adams", "uid", "Zoe", "title", "b", "title", "a"),
			`{"active":true,"title":"a","userName":"Zoe"}`, true},
		"manager by record id": {nil, testEntry("uid=ada", "uid", "ada", "manager", "uid=boss,dc=example,dc=org"),
			`{"active":true,` + ent + `:{"manager":{"value":"id-of-boss"}},"userName":"ada"}`, true},
		"a manager who is not in the read is left out": {nil, testEntry("uid=ada", "uid", "ada", "manager", "uid=other,dc=example,dc=org"),
			`{"active":true,"userName":"ada"}`, true},
		"attribute names without case, options are other attributes": {nil,
			testEntry("uid=ada", "UID", "ada", "SN", "Lovelace", "sn;lang-de", "Liebreiz", "cn;binary", "x"),
			`{"active":true,"name":{"familyName":"Lovelace"},"userName":"ada"}`, true},
		"values are kept as they are, empty ones are none": {nil, testEntry("uid=ada", "uid", "ada", "title", "  ", "sn", `<O'"Brien & Söhne>`),
			`{"active":true,"name":{"familyName":"<O'\"Brien & Söhne>"},"userName":"ada"}`, true},
		"an attribute whose absence is a word is null": {saysEmpty, testEntry("uid=ada", "uid", "ada"),
			`{"active":true,"emails":null,"name":{"familyName":null},"title":null,` + ent + `:{"manager":null},"userName":"ada"}`, true},
		"of several LDAP attributes one is enough": {saysEmpty, testEntry("uid=ada", "uid", "ada", "sn", "Kern", "mail", "a@example.org", "description", "Lead"),
			`{"active":true,"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"name":{"familyName":"Kern"},"title":"Lead",` + ent + `:{"manager":null},"userName":"ada"}`, true},
		"a manager who is not in the read is not none": {saysEmpty, testEntry("uid=ada", "uid", "ada", "title", "x", "sn", "Kern", "mail", "a@example.org", "manager", "uid=other,dc=example,dc=org"),
			`{"active":true,"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"name":{"familyName":"Kern"},"title":"x","userName":"ada"}`, true},
		"what could not be computed is not none": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{"title": {CEL: "entry.title[0]", SaysEmpty: true}}
		}, testEntry("uid=ada", "uid", "ada"), `{"active":true,"userName":"ada"}`, true},
		"changed mapping": {func(o *Options) {
			o.People.Attributes = simple(map[string]string{
				"userName": "sAMAccountName", "emails.home": "homeMail", "emails": "mail", "phoneNumbers.mobile": "mobile", "title": "",
				"urn:example:params:scim:schemas:hr:2.0:User:startDate": "hireDate", "addresses.locality": "l", "addresses.country": "c",
				"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "department", "roles": "businessCategory",
			})
		}, testEntry("cn=ada", "sAMAccountName", "ada", "uid", "ignored", "homeMail", "a@home.example", "mail", "z@example.org", "mobile", "1", "title", "ignored",
			"hireDate", "2026-01-01", "l", "Berlin", "c", "DE", "department", "R&D", "departmentNumber", "ignored", "businessCategory", "r1"),
			`{"active":true,"addresses":[{"country":"DE","locality":"Berlin","type":"work"}],` +
				`"emails":[{"primary":true,"type":"work","value":"z@example.org"},{"type":"home","value":"a@home.example"}],` +
				`"phoneNumbers":[{"primary":true,"type":"mobile","value":"1"}],"roles":[{"value":"r1"}],` +
				`"urn:example:params:scim:schemas:hr:2.0:User":{"startDate":"2026-01-01"},` + ent + `:{"department":"R&D"},"userName":"ada"}`, true},
		"computed, converted, the first that has a value": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{
				"userName": {CEL: "entry.mail[0].lowerAscii()"}, "employeeNumber": {From: []string{"employeeID", "uidNumber"}},
				"emails": {CEL: "entry.mail.map(m, m.lower())"}, "displayName": {CEL: "entry.sn[0] + ', ' + entry.givenName[0]"},
				hr + ":contractEnd": {From: []string{"accountExpires"}}, hr + ":remote": {From: []string{"remote"}, Type: entry.Boolean},
				hr + ":level": {CEL: "int(entry.level[0]) + 1"}, hr + ":sid": {From: []string{"objectSid"}},
				hr + ":sponsor": {From: []string{"sponsor"}, Type: entry.Reference}, hr + ":key": {From: []string{"key"}, Type: entry.Base64},
			}
		}, testEntry("cn=ada", "mail", "B@Example.org", "mail", "Ada@Example.org", "uidNumber", "1001", "sn", "Kern", "givenName", "Ada",
			"accountExpires", "132539328000000000", "remote", "TRUE", "level", "2", "objectSid", "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00",
			"sponsor", "uid=boss,dc=example,dc=org", "key", "\x00\xff"),
			`{"active":true,"displayName":"Kern, Ada","emails":[{"primary":true,"type":"work","value":"ada@example.org"},{"type":"work","value":"b@example.org"}],` +
				`"name":{"familyName":"Kern","givenName":"Ada"},` +
				`"` + hr + `":{"contractEnd":"2021-01-01T00:00:00Z","key":"AP8=","level":3,"remote":true,"sid":"S-1-5-32-544","sponsor":{"value":"id-of-boss"}},` +
				ent + `:{"employeeNumber":"1001"},"userName":"ada@example.org"}`, true},
		"preset active-directory, disabled": {func(o *Options) { o.Preset, o.ID = entry.ActiveDirectory, "" },
			testEntry("cn=ada", "userPrincipalName", "ada@ad.example.org", "sAMAccountName", "ada", "userAccountControl", "514"),
			`{"active":false,"userName":"ada@ad.example.org"}`, false},
		"preset active-directory, no UPN": {func(o *Options) { o.Preset, o.ID = entry.ActiveDirectory, "" },
			testEntry("cn=ada", "sAMAccountName", "ada", "userAccountControl", "512", "employeeID", "7"),
			`{"active":true,` + ent + `:{"employeeNumber":"7"},"userName":"ada"}`, true},
		"another choice of rules": {func(o *Options) { o.Preset, o.Inactive.When = entry.OpenLDAP, []string{entry.Locked} },
			testEntry("uid=ada", "uid", "ada", "pwdAccountLockedTime", "20261122105900Z"), `{"active":false,"userName":"ada"}`, false},
		"inactive by presence": {func(o *Options) { o.Inactive.Attribute = "pwdAccountLockedTime" },
			testEntry("uid=ada", "uid", "ada", "pwdaccountlockedtime", "20260101000000Z"), `{"active":false,"userName":"ada"}`, false},
		"active without it": {func(o *Options) { o.Inactive.Attribute = "pwdAccountLockedTime" },
			testEntry("uid=ada", "uid", "ada"), `{"active":true,"userName":"ada"}`, true},
		"inactive by value": {func(o *Options) {
			o.Inactive = Inactive{Attribute: "employeeType", Values: []string{"former", "Retired"}}
		},
			testEntry("uid=ada", "uid", "ada", "employeeType", "retired"), `{"active":false,"userName":"ada","userType":"retired"}`, false},
		"active with another value": {func(o *Options) { o.Inactive = Inactive{Attribute: "employeeType", Values: []string{"former"}} },
			testEntry("uid=ada", "uid", "ada", "employeeType", "employee"), `{"active":true,"userName":"ada","userType":"employee"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _, err := testSource(t, c.change).person(c.entry, "id", resolve)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, r.Attrs); d != "" || r.Active != c.active {
				t.Errorf("active %v, want %v; (-want +got):\n%s", r.Active, c.active, d)
			}
		})
	}
}

const hr = "urn:example:params:scim:schemas:hr:2.0:User"

// byDN resolves members whatever their attribute.
func byDN(resolve func([]byte) (string, bool)) resolver {
	return func(_ string, v []byte) (string, bool) { return resolve(v) }
}

// simple maps each path to one LDAP attribute.
func simple(m map[string]string) map[string]entry.Attribute {
	out := map[string]entry.Attribute{}
	for path, attr := range m {
		out[path] = entry.Of(attr)
	}
	return out
}

func TestUserNameKeysAreNFKCWithoutCase(t *testing.T) {
	t.Parallel()
	s := testSource(t, nil)
	var keys []string
	for _, name := range []string{"Zoë", "Zoe\u0308", "ＺＯË", " zoë "} {
		r, _, err := s.person(testEntry("cn=x", "uid", name), "id", nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.UserName != name {
			t.Errorf("userName %q, want it as it came: %q", r.UserName, name)
		}
		keys = append(keys, r.UserNameKey)
	}
	if len(slices.Compact(keys)) != 1 {
		t.Errorf("keys %q differ", keys)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attr, value, want, err string }{
		{"entryUUID", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""},
		{"nsUniqueId", "f7c3a20a-12ab11ef-A1b2c3d4-e5f60718", "f7c3a20a-12ab11ef-a1b2c3d4-e5f60718", ""},
		{"objectGUID", "\x10\xb8\xa7\x6b\xad\x9d\xd1\x11\x80\xb4\x00\xc0\x4f\xd4\x30\xc8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""},
		{"OBJECTGUID", "short", "", "16"},
		{"GUID", "\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""},
		{"objectSid", "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00", "s-1-5-32-544", ""},
		{"objectSid", "\x01\x05\x00", "", "length"},
		{"employeeNumber", " A 1 ", "a 1", ""},
		{"employeeNumber", "  ", "", "empty"},
		{"employeeNumber", "a\nb", "", "control"},
		{"employeeNumber", "\xff", "", "text"},
		{"employeeNumber", strings.Repeat("x", 256), "", "255"},
	} {
		got, err := decodeID(c.attr, []byte(c.value))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s %q: %q, %v; want %q, %q", c.attr, c.value, got, err, c.want, c.err)
		}
	}
}

func TestSpellingsOfADNAreOneName(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"uid=ada,ou=people,dc=example,dc=org", "UID=Ada, OU=People ,dc=example,DC=ORG", `uid=ad\61,ou=people,dc=example,dc=org`,
			"uid=ada,ou=people,dc=example,dc=org#'0101'B"},
		{`cn=Kowalski\, Jr.,dc=example`, `cn=Kowalski\2C Jr.,dc=example`, `CN=kowalski\2c  jr.,DC=Example`},
		{"cn=a+uid=b,dc=x", "uid=B+cn=A,dc=x"},
		{"cn=Björn,dc=x", "cn=Bjo\u0308rn,dc=x", `cn=Bj\C3\B6rn,dc=x`, "CN=BJÖRN,DC=X"},
		{"cn=group 1,dc=x", "cn=group  1,dc=x"},
	} {
		first, err := dnKey(same[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, dn := range same[1:] {
			if key, err := dnKey(dn); err != nil || key != first {
				t.Errorf("%q is not the same as %q (%v)", dn, same[0], err)
			}
		}
	}
	all := []string{"uid=ada,dc=x", "uid=ada,dc=y", "cn=ada,dc=x", "uid=ada+cn=x,dc=x", "dc=x", `uid=ada\,dc=x`, "uid=ada,cn=x,dc=x", "uid=ad a,dc=x"}
	seen := map[nameKey]string{}
	for _, dn := range all {
		key, err := dnKey(dn)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q are the same", dn, other)
		}
		seen[key] = dn
	}
	for _, bad := range []string{"", "ada", "uid=", "=ada", ",", "uid=ada,", "uid=ada,,dc=x"} {
		if text, ok := plainDN(nil, bad); ok {
			t.Errorf("plainDN takes %q as %q", bad, text)
		}
	}
}

// Whatever takes the short way has the key of the long way.
func TestTheShortWayToANameIsRight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dn := rapid.StringMatching(`[A-Za-z]{1,3}=[ -~]{0,8}(,[a-z]{1,2}=[A-Za-z0-9 .#'+;"\\]{0,6}){0,3}`).Draw(t, "dn")
		text, ok := plainDN(nil, dn)
		if !ok {
			return
		}
		d, err := ldap.ParseDN(dn)
		if err != nil {
			t.Fatalf("plainDN takes %q, which is no DN: %v", dn, err)
		}
		var long []string
		for _, rdn := range d.RDNs {
			if len(rdn.Attributes) != 1 {
				t.Fatalf("plainDN takes %q", dn)
			}
			long = append(long, strings.ToLower(rdn.Attributes[0].Type)+"="+foldKey(rdn.Attributes[0].Value))
		}
		if want := strings.Join(long, "\x00"); want != string(text) {
			t.Fatalf("%q: %q, want %q", dn, text, want)
		}
	})
}

// Attributes and values are sets: their order changes nothing.
func TestOrderChangesNothing(t *testing.T) {
	t.Parallel()
	s := testSource(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		pair := rapid.Custom(func(t *rapid.T) [2]string {
			return [2]string{rapid.SampledFrom([]string{"uid", "mail", "cn", "sn", "telephoneNumber", "title"}).Draw(t, "name"), rapid.StringMatching(`[a-c]{1,2}`).Draw(t, "value")}
		})
		pairs := rapid.SliceOfN(pair, 1, 12).Draw(t, "pairs")
		pairs = append(pairs, [2]string{"uid", "x"})
		other := rapid.Permutation(pairs).Draw(t, "other")
		flat := func(list [][2]string) (out []string) {
			for _, p := range list {
				out = append(out, p[0], p[1])
			}
			return out
		}
		a, _, errA := s.person(testEntry("uid=x", flat(pairs)...), "id", nil)
		b, _, errB := s.person(testEntry("uid=x", flat(other)...), "id", nil)
		if errA != nil || errB != nil || !cmp.Equal(a, b) {
			t.Fatalf("%v %v\n%s", errA, errB, cmp.Diff(a, b))
		}
	})
}

func TestGroupsHashTheirMembers(t *testing.T) {
	t.Parallel()
	s := testSource(t, nil)
	resolve := func(dn []byte) (string, bool) {
		return strings.TrimPrefix(string(dn), "uid="), strings.HasPrefix(string(dn), "uid=")
	}
	read := func(pairs ...string) model.Entry {
		t.Helper()
		g, _, err := s.group(testEntry("cn=g", append([]string{"cn", "g"}, pairs...)...), "id", byDN(resolve))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	a := read("member", "uid=b", "member", "uid=a", "member", "cn=nobody", "member", "uid=a")
	if d := cmp.Diff([]string{"a", "b"}, a.Members); d != "" {
		t.Errorf("members (-want +got):\n%s", d)
	}
	const outside = `{"displayName":"g","urn:ietf:params:scim:schemas:extension:jmld:2.0:Group":{"outside":{"count":1,"names":["cn=nobody"]}}}`
	if d := cmp.Diff(outside, a.Attrs); d != "" {
		t.Errorf("who is nobody in the read is kept and counted (-want +got):\n%s", d)
	}
	if b := read("member", "cn=nobody", "member", "uid=a", "member", "uid=b"); string(a.Hash) != string(b.Hash) {
		t.Error("the same members have another hash")
	}
	hashes := map[string]bool{string(a.Hash): true}
	for _, g := range []model.Entry{read("member", "uid=a", "member", "uid=b"), read("member", "uid=a"), read("member", "uid=ab"), read()} {
		hashes[string(g.Hash)] = true
	}
	if len(hashes) != 5 {
		t.Errorf("%d hashes for 5 sets of members", len(hashes))
	}
}

func TestMistakesInTheOptionsAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Options)
		text   string
	}{
		"no name":             {func(o *Options) { o.Name = "" }, "name"},
		"plain to a host":     {func(o *Options) { o.URL = "ldap://ldap.example.org" }, "in the clear"},
		"plain to an address": {func(o *Options) { o.URL = "ldap://192.0.2.1" }, "in the clear"},
		"StartTLS on ldaps":   {func(o *Options) { o.StartTLS = true }, "start_tls"},
		"another scheme":      {func(o *Options) { o.URL = "http://ldap.example.org" }, "scheme"},
		"no host":             {func(o *Options) { o.URL = "ldaps://" }, "ldaps://ldap.example.org"},
		"password in the URL": {func(o *Options) { o.URL = "ldaps://u:hunter2@ldap.example.org" }, "own keys"},
		"a path":              {func(o *Options) { o.URL = "ldaps://ldap.example.org/dc=x" }, "own keys"},
		"port":                {func(o *Options) { o.URL = "ldaps://ldap.example.org:70000" }, "port"},
		"anonymous":           {func(o *Options) { o.BindDN = "" }, "bind_dn"},
		"no password":         {func(o *Options) { o.Password = nil }, "password"},
		"base":                {func(o *Options) { o.Base = "example.org" }, "base"},
		"no base":             {func(o *Options) { o.Base = "" }, "base"},
		"people's filter":     {func(o *Options) { o.People.Filter = "(uid=*" }, "people.filter"},
		"groups' filter":      {func(o *Options) { o.Groups.Filter = "cn" }, "groups.filter"},
		"page size":           {func(o *Options) { o.PageSize = -1 }, "page_size"},
		"timeout":             {func(o *Options) { o.Timeouts.Idle = -1 }, "timeouts"},
		"preset":              {func(o *Options) { o.Preset = "novell" }, "preset"},
		"generic without id":  {func(o *Options) { o.Preset = entry.Generic }, "id"},
		"rule":                {func(o *Options) { o.Preset, o.Inactive.When = entry.DS389, []string{entry.Locked} }, "inactive.when"},
		"rule without preset": {func(o *Options) { o.Inactive.When = []string{entry.Locked} }, "inactive.when"},
		"rules twice":         {func(o *Options) { o.Inactive = Inactive{Attribute: "a", When: []string{entry.Locked}} }, "one of them"},
		"expression": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{"title": {CEL: "entry.title"}}
		}, "title: cel: the expression yields list(string)"},
		"type": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{"title": {From: []string{"x"}, Type: "float"}}
		}, "float"},
		"secret": {func(o *Options) { o.People.Attributes = simple(map[string]string{"title": "sambaNTPassword"}) }, "title: sambaNTPassword is a password"},
		"secret in an expression": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{"title": {CEL: "has(entry.unicodePwd) ? 'set' : 'none'"}}
		}, "title: cel: unicodePwd is a password"},
		"secret, first without": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{"title": {From: []string{"title", "USERPASSWORD"}}}
		}, "USERPASSWORD is a password"},
		"reference": {func(o *Options) {
			o.People.Attributes = map[string]entry.Attribute{"title": {From: []string{"x"}, Type: entry.Reference}}
		}, "reference"},
		"SCIM path":       {func(o *Options) { o.People.Attributes = simple(map[string]string{"name.nick": "cn"}) }, "name.nick"},
		"unknown path":    {func(o *Options) { o.People.Attributes = simple(map[string]string{"shoeSize": "cn"}) }, "shoeSize"},
		"active":          {func(o *Options) { o.People.Attributes = simple(map[string]string{"active": "cn"}) }, "inactive"},
		"LDAP attribute":  {func(o *Options) { o.People.Attributes = simple(map[string]string{"title": "job title"}) }, "job title"},
		"no userName":     {func(o *Options) { o.People.Attributes = simple(map[string]string{"userName": ""}) }, "userName"},
		"one place twice": {func(o *Options) { o.People.Attributes = simple(map[string]string{"emails.work": "otherMail"}) }, "the same"},
		"sub-attribute":   {func(o *Options) { o.People.Attributes = simple(map[string]string{"title.x": "cn"}) }, "title"},
		"enterprise":      {func(o *Options) { o.People.Attributes = simple(map[string]string{enterprise + ":salary": "x"}) }, "salary"},
	} {
		o := Options{
			Name: "corp", URL: "ldaps://ldap.example.org", BindDN: "cn=reader,dc=example,dc=org",
			Password: func() (string, error) { return "x", nil }, Base: "dc=example,dc=org", Groups: &Groups{},
		}
		c.change(&o)
		_, err := New(o)
		if err == nil || model.CodeOf(err) != model.CodeConfig || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s with %q", name, err, model.CodeConfig, c.text)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	for _, url := range []string{"ldap://localhost", "ldap://127.0.0.1:3389", "ldap://[::1]", "ldaps://ldap.example.org:636/"} {
		testSource(t, func(o *Options) { o.URL = url })
	}
	testSource(t, func(o *Options) { o.URL, o.StartTLS = "ldap://ldap.example.org", true })
}

// Any entry is a record with valid canonical JSON, or an error.
func FuzzPerson(f *testing.F) {
	f.Add("uid=ada,dc=x", "uid", []byte("ada"), "mail", []byte("a@example.org"), "manager", []byte("uid=b,dc=x"))
	f.Add("cn=x", "UID", []byte("\xff"), "cn", []byte("\x00"), "sn;lang-de", []byte(" "))
	s := testSource(f, func(o *Options) { o.Inactive.Attribute = "title" })
	resolve := func(dn []byte) (string, bool) {
		_, err := dnKey(dn)
		return strings.ToValidUTF8(string(dn), "?"), err == nil
	}
	f.Fuzz(func(t *testing.T, dn, n1 string, v1 []byte, n2 string, v2 []byte, n3 string, v3 []byte) {
		e := &wire.Entry{DN: dn}
		for _, a := range []struct {
			n string
			v []byte
		}{{n1, v1}, {n2, v2}, {n3, v3}} {
			e.Attrs = append(e.Attrs, wire.Attr{Name: a.n, Values: [][]byte{a.v}})
		}
		r, _, err := s.person(e, "id", resolve)
		if err == nil {
			check(t, r.Record)
		}
		g, _, err := s.group(e, "id", byDN(resolve))
		if err == nil {
			check(t, g.Record)
		}
		if id, err := s.entryID(e); err == nil && (id == "" || !utf8.ValidString(id)) {
			t.Fatalf("id %q", id)
		}
		printable(dn)
	})
}

// canonical is JSON with sorted keys and no insignificant space, the slow way.
func canonical(v map[string]any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func check(t *testing.T, r model.Record) {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.Attrs), &v); err != nil {
		t.Fatalf("%v: %s", err, r.Attrs)
	}
	again, err := canonical(v)
	if err != nil || again != r.Attrs {
		t.Fatalf("not canonical: %s, %s", r.Attrs, again)
	}
	if len(r.Hash) != 16 || r.ID == "" || strings.ContainsRune(r.Attrs, 0) || !utf8.ValidString(r.Attrs) {
		t.Fatalf("%+v", r)
	}
	if r.Kind == model.KindUser && r.UserNameKey == "" || r.Kind == model.KindGroup && r.DisplayNameKey == "" {
		t.Fatalf("no key: %+v", r)
	}
}

// What cannot be told of an entry is unknown, with the reason, and is not empty (D-16).
func TestWhatCannotBeToldIsUnknown(t *testing.T) {
	t.Parallel()
	s := testSource(t, func(o *Options) {
		o.Preset, o.ID = entry.ActiveDirectory, ""
		o.People.Attributes = map[string]entry.Attribute{
			"title": {CEL: "entry.title[0]"}, "emails.home": {CEL: "entry.homeMail[0]"}, hr + ":end": {From: []string{"accountExpires"}},
			"userName": {CEL: "entry.uid[0]"}, "nickName": {CEL: "has(entry.nick) ? entry.nick[0] : ''"},
		}
	})
	got, doubts, err := s.person(testEntry("cn=ada", "mail", "ada@example.org", "accountExpires", "soon"), "id", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := model.Entry{Unknown: []string{"/active", "/emails", "/title", "/" + hr + "/end", "/userName"}}
	if d := cmp.Diff(want.Unknown, got.Unknown); d != "" {
		t.Error(d)
	}
	wantDoubts := []string{
		"emails.home: the entry has no homeMail", "title: the entry has no title", hr + `:end: accountExpires: "soon" is not a FILETIME`,
		"userName: the entry has no uid", "active: userAccountControl is missing; may it be read?\naccountExpires: \"soon\" is not a FILETIME",
	}
	if d := cmp.Diff(wantDoubts, doubts); d != "" {
		t.Error(d)
	}
	again, _, err := s.person(testEntry("cn=ada", "mail", "ada@example.org", "accountExpires", "soon", "title", "x"), "id", nil)
	if err != nil || cmp.Equal(again.Hash, got.Hash) {
		t.Errorf("the hash does not show that something is known again: %v", err)
	}
}
