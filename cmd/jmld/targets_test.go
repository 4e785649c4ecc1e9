package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"jmld/internal/sampleapp"
	"jmld/model"
)

// TestTargetDownDoesNotSlowAnswers: SCIM answers do not wait for targets, and the target catches up by itself (D-19).
func TestTargetDownDoesNotSlowAnswers(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	h := newHouse(t, houseOptions{App: app.url, AppToken: appSecret})
	secret := h.token("entra")
	d := h.serve()
	c := d.client("entra", secret)

	push := func(from, n int) []time.Duration {
		var took []time.Duration
		for i := from; i < from+n; i++ {
			a := c.want(t, http.StatusCreated, "POST", "/Users", userJSON(fmt.Sprintf("p%d@example.org", i), "Engineering"))
			took = append(took, a.took)
			got := c.want(t, http.StatusOK, "GET", "/Users/"+a.id(), "")
			if got.body["userName"] != fmt.Sprintf("p%d@example.org", i) {
				t.Fatalf("the client does not read its own write: %v", got.body)
			}
		}
		slices.Sort(took)
		return took
	}
	const n = 100
	up := push(0, n)
	app.Misbehave(sampleapp.Faults{Drop: true, Slow: 3 * time.Second})
	down := push(n, n)
	t.Logf("median with the target up %s, down %s", up[n/2], down[n/2])
	// Who waited for the target would wait for three seconds; the load of the machine may change from one half to the other.
	if down[n/2] > 3*up[n/2]+300*time.Millisecond {
		t.Errorf("with the target down answers take %s instead of %s", down[n/2], up[n/2])
	}
	var waiting accountsJSON
	h.read(&waiting, "accounts", "--target", "app", "--unsettled", "--limit", "10000")
	if len(waiting.Accounts) == 0 {
		t.Error("nothing waits for a target that is down")
	}

	app.Misbehave(sampleapp.Faults{})
	eventually(t, 90*time.Second, "the target caught up", func() bool { return app.createdOnce(t) == 2*n })
	eventually(t, 10*time.Second, "every account settled", func() bool {
		var list accountsJSON
		h.read(&list, "accounts", "--unsettled")
		return len(list.Accounts) == 0
	})
	d.stop()
}

// TestTargetThatRefusesForEver: the account is in the dead letter with its cause and advice, and retry takes it out (D-22).
func TestTargetThatRefusesForEver(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	app.Misbehave(sampleapp.Faults{Only: http.MethodPost, Status: http.StatusBadRequest, Detail: "costCentre is required " + appSecret})
	h := newHouse(t, houseOptions{App: app.url, AppToken: appSecret})
	secret := h.token("entra")
	d := h.serve()
	d.client("entra", secret).want(t, http.StatusCreated, "POST", "/Users", userJSON("ada@example.org", "Sales"))

	var list accountsJSON
	eventually(t, 20*time.Second, "the account in the dead letter", func() bool {
		h.read(&list, "accounts", "--dead")
		return len(list.Accounts) == 1
	})
	dead := list.Accounts[0]
	if dead.Code != model.CodeTargetRefused || dead.Advice != model.CodeTargetRefused.Advice() || !strings.Contains(dead.Error, "costCentre is required") {
		t.Errorf("the dead letter says %+v", dead)
	}
	text := h.must("accounts", "--dead") + h.must("person", "ada@example.org")
	if !strings.Contains(text, "JML-4003") || !strings.Contains(text, model.CodeTargetRefused.Advice()) || strings.Contains(text, appSecret) {
		t.Errorf("in text it says\n%s", text)
	}
	if strings.Contains(d.log.text(), appSecret) || strings.Contains(d.log.text(), secret) {
		t.Error("a secret is in the log (M-45)")
	}

	app.Misbehave(sampleapp.Faults{})
	h.must("retry", "--code", "JML-4003")
	eventually(t, 20*time.Second, "the account in the app", func() bool { return app.createdOnce(t) == 1 })
	d.stop()
}
