package ldapsync_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

// mustFail checks what every failed read promises: an error with the code, a proof that proves nothing, a sentence
// that names the source and the server and never the password.
func mustFail(t *testing.T, o ldapsync.Options, p model.Proof, err error, codes ...model.Code) {
	t.Helper()
	if err == nil || p.Complete {
		t.Fatalf("err %v, complete %v; want an error and an incomplete read", err, p.Complete)
	}
	ok := false
	for _, c := range codes {
		ok = ok || model.CodeOf(err) == c
	}
	if !ok {
		t.Errorf("code %s, want one of %v: %v", model.CodeOf(err), codes, err)
	}
	if !strings.Contains(err.Error(), o.Name) || !strings.Contains(err.Error(), o.URL) {
		t.Errorf("the error names not source and server: %v", err)
	}
	for _, c := range p.Conditions {
		if strings.Contains(c.Seen, testserver.Password) {
			t.Errorf("a condition shows the password: %s", c.Seen)
		}
	}
	if strings.Contains(err.Error(), testserver.Password) {
		t.Errorf("the error shows the password: %v", err)
	}
}

// D-01, M-45: what goes wrong has its own code, and nothing of it is a complete read.
func TestEachCauseHasItsCode(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(150, 2, 5) + `dn: ou=elsewhere,dc=example,dc=org
objectClass: referral
objectClass: extensibleObject
ou: elsewhere
ref: ldap://ldap2.example.org/ou=elsewhere,dc=example,dc=org

`})
	other := testserver.Slapd(t, testserver.SlapdOptions{})
	other.Kill()
	for name, c := range map[string]struct {
		change func(*ldapsync.Options)
		code   model.Code
		text   string
	}{
		"nobody listens":            {func(o *ldapsync.Options) { o.URL = other.TLSURL }, model.CodeSourceUnreachable, "refused"},
		"no such host":              {func(o *ldapsync.Options) { o.URL = "ldaps://nowhere.invalid" }, model.CodeSourceUnreachable, "nowhere.invalid"},
		"certificate of another CA": {func(o *ldapsync.Options) { o.CAFile = other.CAFile }, model.CodeSourceTLS, "signed by nobody"},
		"system CAs":                {func(o *ldapsync.Options) { o.CAFile = "" }, model.CodeSourceTLS, "signed by nobody"},
		"CA file missing":           {func(o *ldapsync.Options) { o.CAFile = "/nonexistent/ca.pem" }, model.CodeSourceTLS, "/nonexistent/ca.pem"},
		"wrong name": {func(o *ldapsync.Options) { o.ServerName = "ldap.example.com" }, model.CodeSourceTLS,
			"another name than ldap.example.com"},
		"StartTLS, certificate of another CA": {func(o *ldapsync.Options) { o.URL, o.StartTLS, o.CAFile = s.URL, true, other.CAFile },
			model.CodeSourceTLS, "signed by nobody"},
		"StartTLS, wrong name": {func(o *ldapsync.Options) { o.URL, o.StartTLS, o.ServerName = s.URL, true, "x.example.org" },
			model.CodeSourceTLS, "another name"},
		"LDAPS on a port without TLS": {func(o *ldapsync.Options) { o.URL = "ldaps://" + s.Addr }, model.CodeSourceTLS, "handshake"},
		"wrong password": {func(o *ldapsync.Options) { o.Password = func() (string, error) { return "wrong", nil } },
			model.CodeSourceCredentials, testserver.SyncDN},
		"empty password": {func(o *ldapsync.Options) { o.Password = func() (string, error) { return "", nil } },
			model.CodeSourceCredentials, "empty"},
		"no password": {func(o *ldapsync.Options) { o.Password = func() (string, error) { return "", errors.New("file gone") } },
			model.CodeSourceCredentials, "file gone"},
		"unknown bind DN":      {func(o *ldapsync.Options) { o.BindDN = "cn=nobody," + testserver.Base }, model.CodeSourceCredentials, "bind"},
		"base missing":         {func(o *ldapsync.Options) { o.Base = "dc=example,dc=com" }, model.CodeSourceBase, "dc=example,dc=com"},
		"people base missing":  {func(o *ldapsync.Options) { o.People.Base = "ou=x," + testserver.Base }, model.CodeSourceBase, "ou=x,"},
		"groups base missing":  {func(o *ldapsync.Options) { o.Groups.Base = "ou=y," + testserver.Base }, model.CodeSourceBase, "ou=y,"},
		"nobody matches":       {func(o *ldapsync.Options) { o.People.Filter = "(uid=nobody)" }, model.CodeSourceEmpty, "(uid=nobody)"},
		"unknown attribute":    {func(o *ldapsync.Options) { o.People.Filter = "(uidd=*)" }, model.CodeSourceEmpty, "(uidd=*)"},
		"filter without right": {func(o *ldapsync.Options) { o.BindDN = testserver.PagedDN; o.People.Filter = "(employeeNumber=*)" }, model.CodeSourceEmpty, ""},
		"id attribute missing": {func(o *ldapsync.Options) { o.ID = "initials" }, model.CodeSourceEmpty, "initials"},
		"hidden base": {func(o *ldapsync.Options) { o.BindDN = testserver.PagedDN; o.People.Base = testserver.HiddenBase },
			model.CodeSourceBase, testserver.HiddenBase},
		"size limit":          {func(o *ldapsync.Options) { o.BindDN = testserver.SmallDN }, model.CodeSourceLimit, "Size Limit"},
		"size limit in pages": {func(o *ldapsync.Options) { o.BindDN = testserver.SmallDN; o.PageSize = 30 }, model.CodeSourceLimit, "Size Limit"},
		"base elsewhere": {func(o *ldapsync.Options) { o.People.Base = "ou=elsewhere," + testserver.Base },
			model.CodeSourceReferral, "ou=elsewhere"},
		"people elsewhere": {func(o *ldapsync.Options) { o.People.Base = testserver.Base; o.People.Filter = "(uid=nobody)" },
			model.CodeSourceReferral, "ldap2.example.org"},
		"run timeout": {func(o *ldapsync.Options) { o.Timeouts.Run = time.Millisecond }, model.CodeSourceInterrupted, "timeouts.run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(s)
			c.change(&o)
			_, p, err := read(t.Context(), source(t, o))
			mustFail(t, o, p, err, c.code)
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q is not in: %v", c.text, err)
			}
		})
	}
}

// M-45: the three ways to connect, each verified.
func TestLDAPSAndStartTLSAndLoopback(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(20, 1, 5)})
	for name, change := range map[string]func(*ldapsync.Options){
		"ldaps":             func(*ldapsync.Options) {},
		"ldaps by name":     func(o *ldapsync.Options) { o.ServerName = "localhost" },
		"StartTLS":          func(o *ldapsync.Options) { o.URL, o.StartTLS = s.URL, true },
		"plain on loopback": func(o *ldapsync.Options) { o.URL, o.CAFile = s.URL, "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(s)
			change(&o)
			if got := mustRead(t, source(t, o)); len(got) != 21 {
				t.Errorf("%d records, want 21", len(got))
			}
		})
	}
}

// D-01: entries the account may not see are no proof of their absence when other things give it away, and a referral
// within the tree is a part that was not read.
// trino-gateway #1173: a referral at the root was followed, and hung.
func TestAReferralWithinTheTreeIsNotComplete(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(30, 1, 5) + `dn: ou=elsewhere,ou=people,dc=example,dc=org
objectClass: referral
objectClass: extensibleObject
ou: elsewhere
ref: ldap://ldap2.example.org/ou=elsewhere,dc=example,dc=org

`})
	got, p, err := read(t.Context(), source(t, options(s)))
	if err != nil || p.Complete || len(got) != 31 {
		t.Fatalf("err %v, complete %v, %d records; want an incomplete read of 31 without error", err, p.Complete, len(got))
	}
	if f := failedConditions(p); len(f) != 1 || !strings.HasPrefix(f[0], "no referral: ") || !strings.Contains(f[0], "ldap2.example.org") {
		t.Errorf("conditions that fail: %q", f)
	}
}

// D-01: the server is killed while a page is being consumed, in either pass and at any page.
func TestAServerThatIsKilledNeverLooksComplete(t *testing.T) {
	t.Parallel()
	const users = 5000
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(users, 30, 1000)})
	o := options(s)
	rng := rand.New(rand.NewPCG(1, 2))
	moments := []int{1, 99, 100, 101, users - 1, users, users + 1, users + 29}
	for range 8 {
		moments = append(moments, 1+rng.IntN(users))
	}
	src := source(t, o)
	for _, at := range moments {
		seen := 0
		p, err := src.Read(t.Context(), func(model.Entry) error {
			if seen++; seen == at {
				s.Kill()
			}
			return nil
		})
		mustFail(t, o, p, err, model.CodeSourceInterrupted)
		if seen < at {
			t.Errorf("killed at %d: %d entries seen", at, seen)
		}
		s.Start()
	}
	// While only ids are listed nothing is emitted: kill by time.
	for range 8 {
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Duration(5+rng.IntN(60)) * time.Millisecond)
			s.Kill()
		})
		p, err := src.Read(t.Context(), func(model.Entry) error { return nil })
		wg.Wait()
		mustFail(t, o, p, err, model.CodeSourceInterrupted, model.CodeSourceUnreachable, model.CodeSourceTLS)
		s.Start()
	}
	if got := mustRead(t, src); len(got) != users+30 {
		t.Errorf("%d records after all that, want %d", len(got), users+30)
	}
}

// D-01: the connection is cut or goes silent at any byte of the answers.
func TestAConnectionCutAtAnyByteNeverLooksComplete(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(40, 4, 20)})
	rng := rand.New(rand.NewPCG(3, 4))
	for name, secure := range map[string]bool{"plain": false, "StartTLS": true} {
		proxy := testserver.Proxy(t, s.Addr)
		o := options(s)
		o.URL, o.StartTLS, o.PageSize = "ldap://"+proxy.Addr, secure, 7
		src := source(t, o)
		mustRead(t, src)
		total := proxy.Passed()
		if total < 10_000 {
			t.Fatalf("a read takes %d bytes: too little to mean anything", total)
		}
		offsets := []int64{0, 1, 2, 13, 14, 15, total - 1, total - 2, total - 30}
		for range 200 {
			offsets = append(offsets, rng.Int64N(total-64)) // TLS ends with an alert that may be cut
		}
		if secure {
			offsets = offsets[:6]
			for range 60 {
				offsets = append(offsets, rng.Int64N(total-200))
			}
		}
		for _, n := range offsets {
			proxy.Cut(n)
			p, err := src.Read(t.Context(), func(model.Entry) error { return nil })
			if err == nil {
				t.Fatalf("%s: cut after byte %d of %d: no error", name, n, total)
			}
			mustFail(t, o, p, err, model.CodeSourceInterrupted, model.CodeSourceUnreachable, model.CodeSourceTLS)
		}
		proxy.Pass()
		mustRead(t, src)
	}
}

// RustHound #15: a server that says nothing more, on a connection that lives, was waited for without end.
func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(40, 4, 20)})
	rng := rand.New(rand.NewPCG(5, 6))
	for _, secure := range []bool{false, true} {
		o := options(s)
		o.StartTLS, o.PageSize = secure, 7
		probe := testserver.Proxy(t, s.Addr)
		o.URL = "ldap://" + probe.Addr
		mustRead(t, source(t, o))
		total := probe.Passed()
		var wg sync.WaitGroup
		for i := range 24 {
			n := rng.Int64N(total - 200)
			if i < 3 {
				n = int64(i * 20) // while connecting
			}
			proxy := testserver.Proxy(t, s.Addr)
			proxy.Stall(n)
			o := o
			o.URL = "ldap://" + proxy.Addr
			o.Timeouts = ldapsync.Timeouts{Connect: 500 * time.Millisecond, Idle: 300 * time.Millisecond, Run: 5 * time.Minute}
			wg.Go(func() {
				start := time.Now()
				p, err := source(t, o).Read(t.Context(), func(model.Entry) error { return nil })
				if err == nil || p.Complete {
					t.Errorf("silent after byte %d of %d: err %v, complete %v", n, total, err, p.Complete)
				}
				if c := model.CodeOf(err); c != model.CodeSourceInterrupted && c != model.CodeSourceUnreachable {
					t.Errorf("silent after byte %d: code %s: %v", n, c, err)
				}
				if d := time.Since(start); d > time.Minute {
					t.Errorf("silent after byte %d: given up after %s", n, d)
				}
			})
		}
		wg.Wait()
	}
}

// A server that is stopped without a word keeps its connections.
func TestAPausedServerIsGivenUpAndASlowConsumerIsNot(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(300, 2, 20)})
	o := options(s)
	o.PageSize, o.Timeouts.Idle = 50, 2*time.Second
	n := 0
	p, err := source(t, o).Read(t.Context(), func(model.Entry) error {
		if n++; n == 1 || n == 75 || n == 150 { // at the beginning, within and at the end of a page
			time.Sleep(3 * time.Second)
		}
		return nil
	})
	if err != nil || !p.Complete || n != 302 {
		t.Errorf("slow consumer: err %v, complete %v, %d records; want all 302", err, p.Complete, n)
	}
	n = 0
	p, err = source(t, o).Read(t.Context(), func(model.Entry) error {
		if n++; n == 120 {
			s.Pause()
		}
		return nil
	})
	s.Resume()
	mustFail(t, o, p, err, model.CodeSourceInterrupted)
	if !strings.Contains(err.Error(), "silent") {
		t.Errorf("the error does not say so: %v", err)
	}
}

// go-ldap #432: closing a connection waited for ever.
func TestACancelledReadEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(2000, 2, 20)})
	o := options(s)
	o.Timeouts = ldapsync.Timeouts{Connect: 5 * time.Minute, Idle: 5 * time.Minute, Run: 5 * time.Minute}
	for _, at := range []int{1, 100, 950, 1999, 2001} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		var when time.Time
		p, err := source(t, o).Read(ctx, func(model.Entry) error {
			if n++; n == at {
				cancel()
				when = time.Now()
			}
			return nil
		})
		cancel()
		mustFail(t, o, p, err, model.CodeSourceInterrupted)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %d: %v is not context.Canceled", at, err)
		}
		if d := time.Since(when); d > time.Minute {
			t.Errorf("cancelled at %d: ended after %s", at, d)
		}
	}
}

func TestAnErrorOfTheConsumerEndsTheReadAndComesBackAsItIs(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(300, 2, 20)})
	full := errors.New("disk full")
	n := 0
	p, err := source(t, options(s)).Read(t.Context(), func(model.Entry) error {
		if n++; n == 150 {
			return full
		}
		return nil
	})
	if err != full || p.Complete || n != 150 { //nolint:errorlint // as it is
		t.Errorf("err %v, complete %v, %d emitted", err, p.Complete, n)
	}
}

func TestOneReadAtATime(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(30, 1, 5)})
	src := source(t, options(s))
	inner := error(nil)
	if _, err := src.Read(t.Context(), func(model.Entry) error {
		if inner == nil {
			_, inner = src.Read(t.Context(), func(model.Entry) error { return nil })
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if model.CodeOf(inner) != model.CodeSourceBusy {
		t.Errorf("the second read: %v, want %s", inner, model.CodeSourceBusy)
	}
}
