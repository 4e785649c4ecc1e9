package ldapsync_test

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

// accounts of the password policy, each in a state of its own.
func policyLDIF() string {
	var b strings.Builder
	b.WriteString(`dn: cn=policy,ou=services,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdMaxAge: 31536000
pwdExpireWarning: 31536000
pwdLockout: TRUE
pwdMustChange: TRUE

`)
	for name, state := range map[string]string{
		"expired": "pwdChangedTime: 20000101000000Z", "locked": "pwdAccountLockedTime: 000001010000Z",
		"reset": "pwdReset: TRUE", "fine": "pwdChangedTime: 20260101000000Z", "wrong": "pwdChangedTime: 20260101000000Z",
	} {
		b.WriteString("dn: cn=" + name + ",ou=services,dc=example,dc=org\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n" +
			"cn: " + name + "\nuserPassword: " + testserver.Password + "\n" + state + "\n\n")
	}
	return b.String()
}

// A bind that is refused says why, with a code of its own.
func TestWhyABindIsRefused(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{
		LDIF:   testserver.LDIF(3, 1, 2) + policyLDIF(),
		Global: "moduleload ppolicy",
		Database: `overlay ppolicy
ppolicy_default "cn=policy,ou=services,dc=example,dc=org"
ppolicy_use_lockout`,
	})
	for name, c := range map[string]struct {
		code model.Code
		text string
	}{
		"expired": {model.CodeSourcePassword, "the password has expired"},
		"locked":  {model.CodeSourceLocked, "the account is locked"},
		"reset":   {model.CodeSourcePassword, "has to be changed"},
		"wrong":   {model.CodeSourceCredentials, "wrong name or password"},
		"fine":    {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logged := observer.New(zap.WarnLevel)
			o := options(s)
			o.BindDN, o.Log = "cn="+name+",ou=services,"+testserver.Base, zap.New(core)
			if name == "wrong" {
				o.Password = func() (string, error) { return "wrong", nil }
			}
			_, p, err := read(t.Context(), source(t, o))
			if c.code == "" {
				if err != nil || !p.Complete {
					t.Fatalf("%v", err)
				}
				lines := logged.FilterMessage("the password of the bind account runs out").All()
				if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()[model.FieldReason].(string), "expires in") {
					t.Errorf("a password that runs out is not announced: %v", logged.All())
				}
				return
			}
			mustFail(t, o, p, err, c.code)
			if !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "bind as cn="+name) {
				t.Errorf("%q is not in: %v", c.text, err)
			}
		})
	}
}

// Without a password: the certificate, the user at the other end of the socket.
func TestExternal(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(20, 2, 5), Global: `TLSVerifyClient try
authz-regexp "cn=reader" "` + testserver.SyncDN + `"
authz-regexp "gidNumber=.*,cn=peercred,cn=external,cn=auth" "` + testserver.SyncDN + `"`})
	cert, key := s.ClientCertificate("reader")
	foreign, foreignKey := testserver.Slapd(t, testserver.SlapdOptions{}).ClientCertificate("reader")
	base := options(s)
	base.BindDN, base.Password, base.Auth = "", nil, ldapsync.AuthExternal
	for name, c := range map[string]struct {
		change func(*ldapsync.Options)
		code   model.Code
	}{
		"certificate, LDAPS": {func(o *ldapsync.Options) { o.ClientCertificate, o.ClientKey = cert, key }, ""},
		"certificate, StartTLS": {func(o *ldapsync.Options) {
			o.URL, o.StartTLS, o.ClientCertificate, o.ClientKey = s.URL, true, cert, key
		}, ""},
		"socket": {func(o *ldapsync.Options) { o.URL, o.CAFile = s.Socket, "" }, ""},
		"of another authority": {func(o *ldapsync.Options) { o.ClientCertificate, o.ClientKey = foreign, foreignKey },
			model.CodeSourceTLS},
		"missing": {func(o *ldapsync.Options) { o.ClientCertificate, o.ClientKey = cert+"x", key }, model.CodeSourceTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := base
			c.change(&o)
			if c.code == "" {
				if got := mustRead(t, source(t, o)); len(got) != 22 {
					t.Errorf("%d records, want 22", len(got))
				}
				return
			}
			_, p, err := read(t.Context(), source(t, o))
			mustFail(t, o, p, err, c.code)
		})
	}
	if _, err := ldapsync.New(base); err == nil {
		t.Error("EXTERNAL without a certificate is taken")
	}
	// A certificate beside a password is shown, too.
	o := options(s)
	o.ClientCertificate, o.ClientKey = cert, key
	mustRead(t, source(t, o))
}

// RFC 4752: a keytab in place of a password, with a real KDC.
func TestGSSAPI(t *testing.T) {
	t.Parallel()
	kdc := testserver.KDC(t)
	service := kdc.Keytab("ldap/localhost")
	keytab := kdc.Keytab("jmld")
	s := testserver.Slapd(t, testserver.SlapdOptions{
		LDIF: testserver.LDIF(20, 2, 5), Env: append(kdc.Env(), "KRB5_KTNAME="+service),
		Global: "sasl-host localhost\nauthz-regexp \"uid=jmld,.*cn=gssapi,cn=auth\" \"" + testserver.SyncDN + `"`,
	})
	o := options(s)
	o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1)
	o.BindDN, o.Password, o.Auth = "", nil, ldapsync.AuthGSSAPI
	o.Kerberos = ldapsync.Kerberos{Principal: "jmld@" + testserver.Realm, Keytab: keytab, Config: kdc.Config}
	if got := mustRead(t, source(t, o)); len(got) != 22 {
		t.Errorf("%d records, want 22", len(got))
	}
	byName := o
	byName.URL, byName.Kerberos.Service = s.TLSURL, "ldap/localhost"
	mustRead(t, source(t, byName))

	fail := func(name string, change func(*ldapsync.Options), code model.Code, text string) {
		t.Helper()
		o := o
		change(&o)
		_, p, err := read(t.Context(), source(t, o))
		mustFail(t, o, p, err, code)
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q is not in: %v", name, text, err)
		}
	}
	fail("unknown service", func(o *ldapsync.Options) { o.Kerberos.Service = "ldap/nowhere" }, model.CodeSourceCredentials, "by this name")
	fail("no keytab", func(o *ldapsync.Options) { o.Kerberos.Keytab += "x" }, model.CodeSourceCredentials, "no such file")
	fail("not in the keytab", func(o *ldapsync.Options) { o.Kerberos.Principal = "other@" + testserver.Realm }, model.CodeSourceCredentials, "")
	nobody := t.TempDir() + "/krb5.conf"
	conf := "[libdefaults]\n default_realm = " + testserver.Realm + "\n udp_preference_limit = 1\n[realms]\n " + testserver.Realm + " = {\n  kdc = 127.0.0.1:1\n }\n"
	if err := os.WriteFile(nobody, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	fail("no KDC", func(o *ldapsync.Options) { o.Kerberos.Config = nobody }, model.CodeSourceUnreachable, "no server of the realm answered")
	kdc.Keytab("jmld") // the key changes, the old keytab stays
	fail("old key", func(*ldapsync.Options) {}, model.CodeSourceCredentials, "not the principal's")
	kdc.Lock("jmld")
	fail("locked", func(*ldapsync.Options) {}, model.CodeSourceDisabled, "disabled, locked or expired")
}
