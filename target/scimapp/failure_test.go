package scimapp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jmld/internal/sampleapp"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/target/scimapp"
	"jmld/target/targettest"
)

// verdict is how an error steers the engine.
type verdict struct {
	code      model.Code
	permanent bool
	pause     time.Duration
}

func judge(err error) verdict {
	pause, _ := engine.Pause(err)
	return verdict{model.CodeOf(err), engine.IsPermanent(err), pause}
}

// Each way to misbehave has its cause, and steers the next try. No error repeats the token.
func TestMisbehaviourBecomesTheRightCause(t *testing.T) { // SailPoint 200651
	t.Parallel()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	retry := func(code model.Code) verdict { return verdict{code: code} }
	after := func(code model.Code, d time.Duration) verdict { return verdict{code: code, pause: d} }
	never := func(code model.Code) verdict { return verdict{code: code, permanent: true} }
	for name, c := range map[string]struct {
		faults sampleapp.Faults
		want   verdict
		says   string
	}{
		"connection dropped":            {sampleapp.Faults{Drop: true}, retry(model.CodeTargetUnreachable), "EOF"},
		"500":                           {sampleapp.Faults{Status: 500}, retry(model.CodeTargetUnreachable), "status 500"},
		"502 with a page":               {sampleapp.Faults{Status: 502, HTML: true}, retry(model.CodeTargetUnreachable), "status 502"},
		"503":                           {sampleapp.Faults{Status: 503}, retry(model.CodeTargetUnreachable), "status 503"},
		"503 with seconds":              {sampleapp.Faults{Status: 503, RetryAfter: "7"}, after(model.CodeTargetThrottled, 7*time.Second), "status 503"},
		"429 with seconds":              {sampleapp.Faults{Status: 429, RetryAfter: "120"}, after(model.CodeTargetThrottled, 2*time.Minute), "status 429"},
		"429 with a date":               {sampleapp.Faults{Status: 429, RetryAfter: "Sun, 22 Nov 2026 08:05:00 GMT"}, after(model.CodeTargetThrottled, 5*time.Minute), ""},
		"429 with a date that has been": {sampleapp.Faults{Status: 429, RetryAfter: "Sun, 22 Nov 2026 07:05:00 GMT"}, after(model.CodeTargetThrottled, time.Second), ""},
		"429 for years":                 {sampleapp.Faults{Status: 429, RetryAfter: "99999999999999999999"}, after(model.CodeTargetThrottled, 30*time.Second), ""},
		"429 for days":                  {sampleapp.Faults{Status: 429, RetryAfter: "999999999"}, after(model.CodeTargetThrottled, time.Hour), ""},
		"429 with nonsense":             {sampleapp.Faults{Status: 429, RetryAfter: "soon"}, after(model.CodeTargetThrottled, 30*time.Second), ""},
		"429 without":                   {sampleapp.Faults{Status: 429}, after(model.CodeTargetThrottled, 30*time.Second), ""},
		"401":                           {sampleapp.Faults{Status: 401}, after(model.CodeTargetCredentials, time.Minute), "status 401"},
		"403":                           {sampleapp.Faults{Status: 403, Detail: "not " + canary}, after(model.CodeTargetCredentials, time.Minute), "status 403"},
		"400 on create":                 {sampleapp.Faults{Status: 400, Only: "POST", Detail: "title is too long"}, never(model.CodeTargetRefused), "title is too long"},
		"400 that repeats the token":    {sampleapp.Faults{Status: 400, Only: "POST", Detail: "bad token " + canary + "!"}, never(model.CodeTargetRefused), "bad token [token]!"},
		"413 on create":                 {sampleapp.Faults{Status: 413, Only: "POST"}, never(model.CodeTargetRefused), "status 413"},
		"409 though nobody is there":    {sampleapp.Faults{Status: 409, Only: "POST"}, never(model.CodeTargetConflict), "status 409"},
		"404 on create":                 {sampleapp.Faults{Status: 404, Only: "POST"}, retry(model.CodeTargetBroken), "no SCIM service at this url"},
		"404 everywhere":                {sampleapp.Faults{Status: 404}, retry(model.CodeTargetBroken), "no SCIM service at this url"},
		"a web page":                    {sampleapp.Faults{HTML: true}, retry(model.CodeTargetBroken), "web page"},
		"404 with a web page":           {sampleapp.Faults{HTML: true, Status: 404}, retry(model.CodeTargetBroken), "web page"},
		"redirect":                      {sampleapp.Faults{Redirect: "https://login.example.org/?secret=1"}, retry(model.CodeTargetBroken), "https://login.example.org; redirects are not followed"},
		"JSON cut off":                  {sampleapp.Faults{Broken: true}, retry(model.CodeTargetBroken), "not a JSON object"},
		"an answer without end":         {sampleapp.Faults{Huge: 9 << 20}, retry(model.CodeTargetBroken), "longer than 8 MiB"},
		"no answer in time":             {sampleapp.Faults{Slow: time.Minute}, retry(model.CodeTargetUnreachable), "no answer within 2s"},
		"an answer that stops":          {sampleapp.Faults{Drip: true}, retry(model.CodeTargetUnreachable), "no whole answer within 2s"},
		"a write without answer":        {sampleapp.Faults{LoseAnswer: true, Only: "POST"}, retry(model.CodeTargetUnreachable), "EOF"},
		"neither search nor POST":       {sampleapp.Faults{Status: 501}, never(model.CodeTargetRefused), "status 501"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.faults, nil, func(o *scimapp.Options) {
				o.Now = func() time.Time { return now }
				if c.faults.Slow > 0 || c.faults.Drip {
					o.Timeout = 2 * time.Second
				}
			})
			_, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
			if got := judge(err); got != c.want {
				t.Fatalf("error %v: %+v, want %+v", err, got, c.want)
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q, want it to say %q and no secret", err, c.says)
			}
			if strings.Contains(err.Error(), "ada@") {
				t.Errorf("error %q names the person's attributes", err)
			}

			r.app.Misbehave(sampleapp.Faults{}) // and it catches up by itself
			got, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
			if err != nil || got.AppliedState != model.AccountActive {
				t.Fatalf("afterwards: %+v, %v", got, err)
			}
			if seen := targettest.List(t, r.target); len(seen) != 1 {
				t.Errorf("afterwards the app has %d accounts, want 1", len(seen))
			}
		})
	}
}

// What can go wrong once there is an account. D-13: a provider that says yes and does no is found out.
func TestMisbehaviourOnChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults sampleapp.Faults
		state  model.AccountState
		want   verdict
		says   string
	}{
		"deactivation accepted and not made": {sampleapp.Faults{LieActive: true}, model.AccountInactive, verdict{code: model.CodeTargetReadBack}, "to be inactive and it is active"},
		"the same by PUT":                    {sampleapp.Faults{LieActive: true, NoPatch: true}, model.AccountInactive, verdict{code: model.CodeTargetReadBack}, "to be inactive and it is active"},
		"deletion accepted and not made":     {sampleapp.Faults{LieDelete: true}, model.AccountAbsent, verdict{code: model.CodeTargetReadBack}, "still has the account (inactive)"},
		"neither PATCH nor PUT":              {sampleapp.Faults{NoPatch: true, NoPut: true}, model.AccountInactive, verdict{model.CodeTargetRefused, true, 0}, "status 501"},
		"DELETE refused":                     {sampleapp.Faults{Status: 405, Only: "DELETE"}, model.AccountAbsent, verdict{model.CodeTargetRefused, true, 0}, "status 405"},
		"a page instead of the account":      {sampleapp.Faults{Status: 404, HTML: true}, model.AccountAbsent, verdict{code: model.CodeTargetBroken}, "web page"},
		"the service is gone, in JSON":       {sampleapp.Faults{Status: 404}, model.AccountAbsent, verdict{code: model.CodeTargetBroken}, "no SCIM service"},
		"always changed meanwhile":           {sampleapp.Faults{Status: 412, Only: "PATCH"}, model.AccountInactive, verdict{code: model.CodeTargetReadBack}, "changes while"},
		"answer to DELETE lost":              {sampleapp.Faults{LoseAnswer: true, Only: "DELETE"}, model.AccountAbsent, verdict{code: model.CodeTargetUnreachable}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sampleapp.Faults{}, nil, nil)
			a, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
			if err != nil {
				t.Fatal(err)
			}
			r.app.Misbehave(c.faults)
			a.State = c.state
			_, err = r.target.Ensure(t.Context(), a)
			if got := judge(err); got != c.want || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v: %+v, want %+v saying %q", err, got, c.want, c.says)
			}
			r.app.Misbehave(sampleapp.Faults{})
			if got, err := r.target.Ensure(t.Context(), a); err != nil || got.AppliedState != c.state {
				t.Fatalf("afterwards: %+v, %v", got, err)
			}
		})
	}
}

// Seen at a low-code platform: without active a PUT deactivates.
func TestEveryPUTSaysActive(t *testing.T) {
	t.Parallel()
	r := newRig(t, sampleapp.Faults{NoPatch: true, PutActive: true}, nil, nil)
	a, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
	if err != nil {
		t.Fatal(err)
	}
	a.Desired = `{"displayName":"Countess","externalId":"identity-ada","userName":"ada@example.org"}`
	if a, err = r.target.Ensure(t.Context(), a); err != nil || a.AppliedState != model.AccountActive || a.Applied != a.Desired {
		t.Fatalf("%+v, %v", a, err)
	}
}

// M-45: a certificate nobody vouches for ends the connection before the token is sent.
func TestTLSIsChecked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := newTLSServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	for name, pool := range map[string]*x509.CertPool{"system authorities": nil, "another authority": x509.NewCertPool()} {
		target, err := scimapp.New(scimapp.Options{Name: "app", URL: server.URL, CA: pool, Token: func() (string, error) { return canary, nil }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Ensure(t.Context(), targettest.Want("app", "ada"))
		if got := judge(err); got != (verdict{code: model.CodeTargetUnreachable}) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: error %v: %+v", name, err, got)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests arrived", asked.Load())
	}
}

// M-45: plain http carries a token only within this machine.
func TestURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://app.example.org/scim/v2": true, "http://127.0.0.1:8080/scim/v2": true, "http://[::1]/scim": true, "http://localhost/x": true,
		"http://app.example.org/scim/v2": false, "http://127.0.0.1.example.org/": false, "http://10.0.0.1/": false, "ftp://app.example.org": false,
		"app.example.org": false, "": false, "https://user:" + canary + "@app.example.org/": false, "https://app.example.org/?k=" + canary: false,
		"https://app.example.org/#x": false, "https://us er:" + canary + "@app.example.org:x/": false,
	} {
		_, err := scimapp.New(scimapp.Options{Name: "app", URL: url})
		if (err == nil) != ok || !ok && model.CodeOf(err) != model.CodeConfig {
			t.Errorf("%q: error %v, want accepted: %v", url, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
	if _, err := scimapp.New(scimapp.Options{Name: "app", URL: "http://app.example.org", Insecure: true}); err != nil {
		t.Errorf("insecure: %v", err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token func() (string, error)
		says  string
	}{
		"cannot be read": {func() (string, error) { return "", errors.New("open /run/secrets/app: no such file") }, "/run/secrets/app"},
		"empty":          {func() (string, error) { return " \n", nil }, "empty"},
		"two lines":      {func() (string, error) { return canary + "\r\nX: y", nil }, "characters that no token has"},
		"wrong":          {func() (string, error) { return "wrong-" + canary, nil }, "status 401"},
		"none":           {nil, "status 401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sampleapp.Faults{}, nil, func(o *scimapp.Options) { o.Token = c.token })
			_, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
			if got := judge(err); got != (verdict{code: model.CodeTargetCredentials, pause: time.Minute}) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v: %+v", err, got)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

func TestTheTokenIsAskedForEachTime(t *testing.T) {
	t.Parallel()
	var renewed atomic.Bool
	r := newRig(t, sampleapp.Faults{}, nil, func(o *scimapp.Options) {
		o.Token = func() (string, error) {
			if renewed.Load() {
				return canary, nil
			}
			return "old", nil
		}
	})
	if _, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada")); model.CodeOf(err) != model.CodeTargetCredentials {
		t.Fatalf("error %v", err)
	}
	renewed.Store(true)
	if _, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada")); err != nil {
		t.Fatal(err)
	}
}

func TestAnEndedContextIsNotTheTargetsFault(t *testing.T) {
	t.Parallel()
	r := newRig(t, sampleapp.Faults{Slow: time.Minute}, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	_, err := r.target.Ensure(ctx, targettest.Want("app", "ada"))
	if !errors.Is(err, context.Canceled) || engine.IsPermanent(err) || time.Since(start) > 50*time.Second {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
}

func TestANetworkWithoutServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://%s/scim/v2", l.Addr())
	l.Close()
	target, err := scimapp.New(scimapp.Options{Name: "app", URL: url})
	if err != nil {
		t.Fatal(err)
	}
	_, err = target.Ensure(t.Context(), targettest.Want("app", "ada"))
	if got := judge(err); got != (verdict{code: model.CodeTargetUnreachable}) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v: %+v", err, got)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var clients sync.Map
	r := newRig(t, sampleapp.Faults{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			clients.Store(req.RemoteAddr, true)
			next.ServeHTTP(w, req)
		})
	}, nil)
	for i := range 20 {
		if _, err := r.target.Ensure(t.Context(), targettest.Want("app", fmt.Sprint("person", i))); err != nil {
			t.Fatal(err)
		}
	}
	opened := 0
	clients.Range(func(any, any) bool { opened++; return true })
	if opened != 1 {
		t.Errorf("%d connections for one worker, want 1", opened)
	}
}
