package entry_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml/entry"
)

func TestConversionsOfOneValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ       entry.Type
		in, want  string
		wantError string
	}{
		{entry.Text, "Łucja", "Łucja", ""},
		{entry.Text, "\xff", "", "UTF-8"},
		{entry.Boolean, "TRUE", "true", ""},
		{entry.Boolean, "false", "false", ""},
		{entry.Boolean, "yes", "", "TRUE or FALSE"},
		{entry.Integer, "0042", "42", ""},
		{entry.Integer, "4x", "", "whole number"},
		{entry.Time, "20261122110000Z", "2026-11-22T11:00:00Z", ""},
		{entry.Time, "20261122110000.5Z", "2026-11-22T11:00:00.5Z", ""},
		{entry.Time, "2026112211+0130", "2026-11-22T09:30:00Z", ""},
		{entry.Time, "202611221159,5Z", "2026-11-22T11:59:30Z", ""},
		{entry.Time, "20261122110000", "", "generalized time"},
		{entry.Time, "20261322110000Z", "", "generalized time"},
		{entry.Time, "20261122110000.Z", "", "generalized time"},
		{entry.FileTime, "0", "", ""},
		{entry.FileTime, strconv.FormatInt(math.MaxInt64, 10), "", ""},
		{entry.FileTime, "116444736000000000", "1970-01-01T00:00:00Z", ""},
		{entry.FileTime, "132539328000000000", "2021-01-01T00:00:00Z", ""},
		{entry.FileTime, "-1", "", "FILETIME"},
		{entry.Days, "-1", "", ""},
		{entry.Days, "18628", "2021-01-01T00:00:00Z", ""},
		{entry.Days, "soon", "", "days"},
		{entry.GUID, "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "00112233-4455-6677-8899-aabbccddeeff", ""},
		{entry.UUID, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "00112233-4455-6677-8899-aabbccddeeff", ""},
		{entry.GUID, "short", "", "16"},
		{entry.SID, "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00", "S-1-5-32-544", ""},
		{entry.SID, "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00", "", "length"},
		{entry.Base64, "\x00\xff", "AP8=", ""},
	} {
		got, err := c.typ.Convert([]byte(c.in))
		if got != c.want || (err == nil) != (c.wantError == "") || err != nil && !strings.Contains(err.Error(), c.wantError) {
			t.Errorf("%s %q: %q, %v; want %q %s", c.typ, c.in, got, err, c.want, c.wantError)
		}
	}
}

func TestTimesInTheirThreeNotationsAreOneTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-11_644_473_599, 253_402_300_799).Draw(t, "seconds"), 0).UTC()
		want := at.Format(time.RFC3339)
		file := strconv.FormatInt((at.Unix()+11_644_473_600)*1e7, 10)
		for typ, text := range map[entry.Type]string{entry.Time: at.Format("20060102150405Z0700"), entry.FileTime: file} {
			if got, err := typ.Convert([]byte(text)); err != nil || got != want {
				t.Fatalf("%s %s: %q, %v; want %s", typ, text, got, err, want)
			}
		}
	})
}

func FuzzConvert(f *testing.F) {
	for _, v := range []string{"20261122110000.5+0130", "0", "TRUE", "132539328000000000", "\x01\x01\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00"} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		for _, typ := range entry.Types() {
			got, err := entry.Type(typ).Convert(v)
			if err != nil && got != "" {
				t.Errorf("%s %q: both %q and %v", typ, v, got, err)
			}
			if typ == string(entry.Time) && err == nil {
				if _, err := time.Parse(time.RFC3339Nano, got); err != nil {
					t.Errorf("%q became %q", v, got)
				}
			}
		}
	})
}

func values(m map[string][]string, attrs []string) func(int) [][]byte {
	return func(i int) [][]byte {
		var list [][]byte
		for _, v := range m[attrs[i]] {
			list = append(list, []byte(v))
		}
		return list
	}
}

func TestExpressionsComputeValues(t *testing.T) {
	t.Parallel()
	ada := map[string][]string{"mail": {"Ada@Example.org", "a@example.org"}, "givenName": {"Ada"}, "sn": {"Kern"}, "x-level": {"3"}, "raw": {"\xff"}}
	for _, c := range []struct {
		text            string
		plural, literal bool
		want            []string
		wantError       string
	}{
		{"entry.mail[0].lowerAscii()", false, false, []string{"ada@example.org"}, ""},
		{"entry.mail.map(m, m.lower())", true, false, []string{"ada@example.org", "a@example.org"}, ""},
		{"entry.givenName[0] + ' ' + entry.sn[0]", false, false, []string{"Ada Kern"}, ""},
		{"has(entry.title) ? entry.title[0] : ''", false, false, nil, ""},
		{"'title' in entry ? entry['title'][0] : entry.sn[0]", false, false, []string{"Kern"}, ""},
		{"int(entry['x-level'][0]) > 2", false, true, []string{"true"}, ""},
		{"entry.title[0]", false, false, nil, "no title"},
		{"entry.mail[7]", false, false, nil, "index out of bounds"},
		{"entry.raw[0]", false, false, nil, "UTF-8"},
		{"dn.contains('ou=x') ? entry.sn[0] : dn", false, false, []string{"cn=ada,dc=example,dc=org"}, ""},
	} {
		x, bad := entry.Compile(c.text, c.plural, c.literal)
		if len(bad) > 0 {
			t.Errorf("%s: %v", c.text, bad)
			continue
		}
		got, err := x.Values("cn=ada,dc=example,dc=org", values(ada, x.Attributes()))
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.wantError == "") || err != nil && !strings.Contains(err.Error(), c.wantError) {
			t.Errorf("%s: %v, want %s\n%s", c.text, err, c.wantError, diff)
		}
	}
}

func TestMistakesInExpressionsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text      string
		line, col int
		want      string
	}{
		{"", 0, 0, "no expression"},
		{"entry.mail[0].lowerAsci()", 1, 24, "lowerAsci"},
		{"person.userName", 1, 1, "expected entry.ATTRIBUTE"},
		{"entry.mail", 1, 1, "yields list(string); expected text"},
		{"entry.mail[0] == 'x'", 1, 1, "yields bool; expected text"},
		{"'fixed'", 1, 1, "no attribute"},
		{"entry.map(k, entry[k][0])[0]", 1, 1, "without the name"},
		{"entry.sn[0] +\n  entry.mail.x", 2, 13, "does not support field selection"},
		{"entry.sn[0] + ", 1, 15, "ends too early"},
		{"entry.mail.map(a, entry.mail.map(b, entry.mail.map(c, entry.mail.map(d, a+b+c+d)[0])[0])[0])[0]", 1, 1, "too long"},
	} {
		x, bad := entry.Compile(c.text, false, false)
		if x != nil || len(bad) != 1 || bad[0].Line != c.line || bad[0].Col != c.col || !strings.Contains(bad[0].Text, c.want) {
			t.Errorf("%q: %+v; want %d:%d %s", c.text, bad, c.line, c.col, c.want)
		}
	}
}

func TestStatusOfEachPreset(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	type attrs = map[string][]string
	for name, c := range map[string]struct {
		preset  string
		entry   attrs
		active  bool
		because string // or the error
		notes   int
	}{
		"AD: ordinary":                       {entry.ActiveDirectory, attrs{"userAccountControl": {"512"}, "accountExpires": {"9223372036854775807"}}, true, "", 0},
		"AD: disabled":                       {entry.ActiveDirectory, attrs{"userAccountControl": {"514"}}, false, "disabled: userAccountControl is 514", 0},
		"AD: expired":                        {entry.ActiveDirectory, attrs{"userAccountControl": {"512"}, "accountExpires": {"132539328000000000"}}, false, "expired: accountExpires is 2021-01-01", 0},
		"AD: locked out is noted":            {entry.ActiveDirectory, attrs{"userAccountControl": {"512"}, "msDS-User-Account-Control-Computed": {"16"}}, true, "", 1},
		"AD: password expired is noted":      {entry.ActiveDirectory, attrs{"userAccountControl": {"512"}, "msDS-User-Account-Control-Computed": {"8388608"}}, true, "", 1},
		"AD: no right to the flags":          {entry.ActiveDirectory, attrs{}, true, "userAccountControl is missing", 0},
		"AD: a no outweighs unknown":         {entry.ActiveDirectory, attrs{"accountExpires": {"132539328000000000"}}, false, "expired", 0},
		"AD: broken flags":                   {entry.ActiveDirectory, attrs{"userAccountControl": {"x"}}, true, "whole number", 0},
		"OpenLDAP: ordinary":                 {entry.OpenLDAP, attrs{}, true, "", 0},
		"OpenLDAP: locked for ever":          {entry.OpenLDAP, attrs{"pwdAccountLockedTime": {"000001010000Z"}}, false, "disabled", 0},
		"OpenLDAP: locked out is noted":      {entry.OpenLDAP, attrs{"pwdAccountLockedTime": {"20261122105900Z"}}, true, "", 1},
		"OpenLDAP: expired":                  {entry.OpenLDAP, attrs{"shadowExpire": {"18628"}}, false, "expired", 0},
		"OpenLDAP: never expires":            {entry.OpenLDAP, attrs{"shadowExpire": {"-1"}}, true, "", 0},
		"389: locked":                        {entry.DS389, attrs{"nsAccountLock": {"TRUE"}}, false, "disabled", 0},
		"389: unlocked":                      {entry.DS389, attrs{"nsAccountLock": {"false"}}, true, "", 0},
		"FreeIPA: expired at this very time": {entry.DS389, attrs{"krbPrincipalExpiration": {"20261122110000Z"}}, false, "expired", 0},
		"FreeIPA: expires in a second":       {entry.DS389, attrs{"krbPrincipalExpiration": {"20261122110001Z"}}, true, "", 0},
		"FreeIPA: nonsense is unknown":       {entry.DS389, attrs{"krbPrincipalExpiration": {"never"}}, true, "generalized time", 0},
	} {
		p, ok := entry.PresetOf(c.preset)
		if !ok {
			t.Fatal(c.preset)
		}
		s := entry.StatusOf(p.Status, p.Inactive, func(i int) [][]byte {
			return values(c.entry, []string{p.Status[i].Attribute})(0)
		}, now)
		said := s.Because
		if s.Err != nil {
			said = s.Err.Error()
		}
		if s.Active != c.active || len(s.Notes) != c.notes || !strings.Contains(said, c.because) || (said == "") != (c.because == "") {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestEveryPresetIsWhole(t *testing.T) {
	t.Parallel()
	for _, name := range append(entry.Presets(), "") {
		p, ok := entry.PresetOf(name)
		if !ok || p.Name != name || p.ID == "" && name != entry.Generic || p.People == "" || p.Groups == "" || p.GroupName == "" || len(p.Members) == 0 ||
			p.PageSize == 0 || p.Incremental == "" || p.Attributes["userName"].Empty() {
			t.Errorf("%q is not whole: %+v", name, p)
		}
		for _, counting := range p.Inactive {
			if !slices.Contains(p.RuleNames(), counting) {
				t.Errorf("%q has no rule %s", name, counting)
			}
		}
	}
	if _, ok := entry.PresetOf("novell"); ok {
		t.Error("a preset nobody knows is there")
	}
}
