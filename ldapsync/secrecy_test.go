package ldapsync_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"jmld/internal/testserver"
)

// M-45: the password appears nowhere, attribute values not in the log, and DNs there only at debug.
func TestNothingSecretIsLoggedOrProven(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(40, 2, 5)})
	for _, c := range []struct {
		level zapcore.Level
		wrong bool
	}{{zap.DebugLevel, false}, {zap.DebugLevel, true}, {zap.InfoLevel, false}, {zap.InfoLevel, true}} {
		var log bytes.Buffer
		o := options(s)
		o.Log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&log), c.level))
		secret := testserver.Password
		if c.wrong {
			secret = "canary-3f9b"
			o.Password = func() (string, error) { return secret, nil }
		}
		_, p, err := read(t.Context(), source(t, o))
		if (err != nil) != c.wrong {
			t.Fatal(err)
		}
		proof, jsonErr := json.Marshal(p)
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		text := log.String() + string(proof)
		if err != nil {
			text += err.Error()
		}
		if strings.Contains(text, secret) {
			t.Errorf("%s: the password stands in: %s", c.level, text)
		}
		if c.level == zap.InfoLevel && log.Len() > 0 {
			t.Errorf("logged at info: %s", log.String())
		}
		if c.level == zap.DebugLevel && !c.wrong && strings.Count(log.String(), "uid=u") < 40 {
			t.Errorf("debug shows not the DNs: %s", log.String())
		}
		for _, value := range []string{"@example.org", "+49 30", "Engineer"} {
			if strings.Contains(text, value) {
				t.Errorf("%s: the value %q stands in the log or the proof", c.level, value)
			}
		}
	}
}

// What the account may not read is not there. The proof cannot know of a part of the tree that the server denies: such
// a loss looks like people who left, and it is the guard that holds it.
func TestAnAccountSeesWhatItMayRead(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(30, 2, 5) + `dn: uid=secret,ou=hidden,dc=example,dc=org
objectClass: inetOrgPerson
uid: secret
cn: Secret
sn: Secret

`})
	o := options(s)
	o.People.Base = testserver.Base
	all := mustRead(t, source(t, o))
	o.BindDN = testserver.PagedDN
	some := mustRead(t, source(t, o))
	if len(all) != 33 || len(some) != 32 {
		t.Fatalf("%d and %d records, want 33 and 32", len(all), len(some))
	}
	id := testserver.UserID(3)
	if !strings.Contains(all[id].Attrs, `"employeeNumber":"100003"`) || strings.Contains(some[id].Attrs, "employeeNumber") {
		t.Errorf("employeeNumber: %s, %s", all[id].Attrs, some[id].Attrs)
	}
	if string(all[id].Hash) == string(some[id].Hash) {
		t.Error("an attribute that went is no change")
	}
}
