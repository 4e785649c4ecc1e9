package ldapsync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Passwords, hashes and keys are never shown, whoever may read them; bytes and long values are made fit for a terminal.
func TestWhatIsShownOfAnAttribute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value string
		mapped      bool
		want        ViewAttr
	}{
		{"title", "Engineer", false, ViewAttr{Name: "title", Values: []string{"Engineer"}, Count: 1}},
		{"userPassword", "{SSHA}x", true, ViewAttr{Name: "userPassword", Count: 1, Withheld: true}},
		{"reqMod", "userPassword:+ x", true, ViewAttr{Name: "reqMod", Count: 1, Withheld: true}},
		{"olcRootPW", "{SSHA}x", false, ViewAttr{Name: "olcRootPW", Count: 1, Withheld: true}},
		{"nsslapd-rootpw", "{SSHA}x", false, ViewAttr{Name: "nsslapd-rootpw", Count: 1, Withheld: true}},
		{"changes", "add: userPassword", false, ViewAttr{Name: "changes", Count: 1, Withheld: true}},
		{"unicodePwd;binary", "x", false, ViewAttr{Name: "unicodePwd;binary", Count: 1, Withheld: true}},
		{"ms-Mcs-AdmPwd", "x", false, ViewAttr{Name: "ms-Mcs-AdmPwd", Count: 1, Withheld: true}},
		{"exampleClientSecret", "x", false, ViewAttr{Name: "exampleClientSecret", Count: 1, Withheld: true}},
		{"krbPasswordExpiration", "20270101000000Z", true, ViewAttr{Name: "krbPasswordExpiration", Values: []string{"20270101000000Z"}, Count: 1}},
		{"pwdLastSet", "0", false, ViewAttr{Name: "pwdLastSet", Values: []string{"0"}, Count: 1}},
		{"jpegPhoto", "\x00\xff", false, ViewAttr{Name: "jpegPhoto", Values: []string{"base64:AP8="}, Count: 1}},
		{"info", strings.Repeat("ä", 200), false, ViewAttr{Name: "info", Values: []string{strings.Repeat("ä", 150) + "… (400 bytes)"}, Count: 1}},
	} {
		if d := cmp.Diff(c.want, viewAttr(c.name, [][]byte{[]byte(c.value)}, c.mapped)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	many := viewAttr("member", make([][]byte, 60), false)
	if len(many.Values) != maxShown || many.Count != 60 {
		t.Errorf("%d of %d values", len(many.Values), many.Count)
	}
}
