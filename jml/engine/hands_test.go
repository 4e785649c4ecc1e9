package engine_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/sampleapp"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/target/manual"
	"jmld/target/scimapp"
)

// handsApp is an app with an API in which people take some steps.
type handsApp struct {
	h       *house
	url     string
	forgets atomic.Bool // the title of what is made
}

func (h *house) partlyByHand(leaver policy.Leaver, steps ...model.Op) *handsApp {
	h.t.Helper()
	app, err := sampleapp.Open("", "hands")
	if err != nil {
		h.t.Fatal(err)
	}
	a := &handsApp{h: h}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && a.forgets.Load() {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			body = bytes.ReplaceAll(body, []byte(`"title"`), []byte(`"nickName"`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		app.ServeHTTP(w, r)
	}))
	h.t.Cleanup(server.Close)
	a.url = server.URL + "/scim/v2"
	api, err := scimapp.New(scimapp.Options{Name: "app", URL: a.url, Token: func() (string, error) { return "hands", nil }, ByHand: steps})
	if err != nil {
		h.t.Fatal(err)
	}
	r := rules(h.t)
	r.Policy = compiled(h.t, policy.Rule{Name: "everybody", Target: "app", When: "true", Leaver: leaver,
		Attributes: map[string]string{"userName": "person.userName", "title": `has(person.title) ? person.title : ""`}})
	opts := h.opts
	opts.Rules = r
	opts.Targets = []engine.TargetSpec{{Target: h.plat, Class: model.ClassPlatform},
		{Target: manual.New(manual.Options{Name: "app", Assignee: "Lena Berg", Due: time.Hour, API: api, Store: h.store, Now: time.Now}), Class: model.ClassApp}}
	h.Engine = engine.New(opts)
	return a
}

// do is what a person does in the app itself.
func (a *handsApp) do(method, path string, body map[string]any) map[string]any {
	a.h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		a.h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(a.h.ctx, method, a.url+path, bytes.NewReader(text))
	if err != nil {
		a.h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer hands")
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.h.t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		a.h.t.Fatal(res.Status, err, string(got))
	}
	out := map[string]any{}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &out); err != nil {
			a.h.t.Fatal(err)
		}
	}
	return out
}

// has is what the app shows.
func (a *handsApp) has(want ...string) {
	a.h.t.Helper()
	list, _ := a.do(http.MethodGet, "/Users", map[string]any{})["Resources"].([]any)
	got := []string{}
	for _, u := range list {
		u := u.(map[string]any)
		title, _ := u["title"].(string)
		state := "inactive"
		if u["active"] == true {
			state = "active"
		}
		got = append(got, u["userName"].(string)+" "+title+" "+state)
	}
	slices.Sort(got)
	if d := cmp.Diff(append([]string{}, want...), got); d != "" {
		a.h.t.Error(d)
	}
}

func (h *house) decide(t model.Task, o model.TaskOutcome) error {
	t.Status, t.Evidence, t.DecidedBy = model.TaskDone, "ticket 4711", "operator lena"
	now := time.Now().UTC()
	o.Look = true
	return h.store.DecideTask(h.ctx, t, o, model.AuditEntry{ID: model.NewID(now), At: now, Actor: t.DecidedBy, Action: "task.done", Subject: t.IdentityID, Detail: "{}"})
}

func (h *house) inApp() model.Account {
	h.t.Helper()
	list, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app"})
	if err != nil || len(list) != 1 {
		h.t.Fatalf("%d accounts, %v", len(list), err)
	}
	return list[0]
}

func (h *house) wantTasks(what string, want ...string) {
	h.t.Helper()
	if d := cmp.Diff(want, h.tasks()); d != "" {
		h.t.Errorf("%s: %s", what, d)
	}
}

func (h *house) pushAda(active bool, title string) {
	h.t.Helper()
	if _, err := h.scim("entra", "e-ada", "ada", active, titled(title)); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// M-05: a step that an API has none for is a person's task, the others go through the API, and what the API shows is what counts.
func TestStepsOfPeopleBesideAnAPI(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDeactivate, model.OpCreate, model.OpDeactivate)
		h.pushAda(true, "Engineer")
		h.wantTasks("a joiner", "+ ada open")
		h.wantAccount("a joiner", model.AccountActive, model.AccountUnknown, model.CodeTaskOpen, false)
		app.has()

		if err := h.decide(h.open(), model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantTasks("said to be done, and not there", "+ ada done", "+ ada open")
		if a := h.inApp(); !strings.Contains(a.ErrorText, "is said to be done, and the target has no account of this user name") {
			t.Error(a.ErrorText)
		}

		app.do(http.MethodPost, "/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "ada", "active": true})
		if err := h.decide(h.open(), model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		app.has("ada Engineer active") // the API wrote the title
		h.wantAccount("made", model.AccountActive, model.AccountActive, model.Code(""), false)
		if a := h.inApp(); a.Origin != model.OriginOurs || a.NativeID == "" || a.NativeID == a.IdentityID {
			t.Errorf("origin %s, native id %s", a.Origin, a.NativeID)
		}

		h.pushAda(false, "Architect")
		app.has("ada Engineer active")
		h.wantTasks("a leaver", "+ ada done", "+ ada done", "! ada open")
		h.wantAccount("a leaver", model.AccountInactive, model.AccountActive, model.CodeTaskOpen, false)
		task := h.open()
		if err := h.decide(task, model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantTasks("said and not done", "+ ada done", "+ ada done", "! ada done", "! ada open")
		h.wantAccount("said and not done", model.AccountInactive, model.AccountActive, model.CodeTaskOpen, false)
		app.do(http.MethodPatch, "/Users/"+h.inApp().NativeID, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
			"Operations": []any{map[string]any{"op": "replace", "path": "active", "value": false}}})
		if err := h.decide(h.open(), model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantAccount("gone", model.AccountInactive, model.AccountInactive, model.Code(""), false)

		h.pushAda(true, "Architect") // reactivation is the API's
		app.has("ada Architect active")
		h.wantAccount("back", model.AccountActive, model.AccountActive, model.Code(""), false)
	})
}

// What a person deletes is deactivated by the API until then.
func TestADeletionByHandWaitsInactive(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDelete, model.OpDelete, model.OpUpdate)
		h.pushAda(true, "Engineer")
		app.has("ada Engineer active")
		h.pushAda(true, "Architect")
		app.has("ada Engineer active")
		h.wantTasks("an update", "~ ada open")
		if task := h.open(); !strings.Contains(task.Before, "Engineer") || !strings.Contains(task.Attributes, "Architect") {
			t.Error(task.Before, task.Attributes)
		}
		h.pushAda(false, "Architect")
		app.has("ada Engineer inactive")
		h.wantAccount("a leaver", model.AccountAbsent, model.AccountActive, model.CodeTaskOpen, false)
		if task := h.open(); task.Op != model.OpDelete {
			t.Error(task.Op)
		}
		app.do(http.MethodDelete, "/Users/"+h.inApp().NativeID, nil)
		if err := h.decide(h.open(), model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantAccount("deleted", model.AccountAbsent, model.AccountAbsent, model.Code(""), false)
	})
}

// An account that is not found by its user name can be named, and a slip gives nobody else's away.
func TestWhatAPersonMadeIsNamed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDeactivate, model.OpCreate)
		user := func(name, external string) string {
			return app.do(http.MethodPost, "/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name,
				"externalId": external, "title": "Boss", "active": true})["id"].(string)
		}
		bo := user("bo", "")
		h.pushAda(true, "Engineer")
		if err := h.decide(h.open(), model.TaskOutcome{NativeID: bo}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		app.has("bo Boss active")
		h.wantTasks("somebody else's", "+ ada done", "+ ada open")
		if a := h.inApp(); !strings.Contains(a.ErrorText, "has another userName and not our externalId") {
			t.Error(a.ErrorText)
		}
		// The app gave it another name; our mark says whose it is.
		other := user("a.kern", h.inApp().IdentityID)
		if err := h.decide(h.open(), model.TaskOutcome{NativeID: other}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		app.has("ada Engineer active", "bo Boss active")
		if a := h.inApp(); a.NativeID != other || a.Origin != model.OriginOurs {
			t.Errorf("%+v", a)
		}
	})
}

// Who leaves before the account was said to be made has somebody see that it is not made after all.
func TestWhoLeavesWhileTheirAccountIsMadeBesideAnAPI(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDeactivate, model.OpCreate)
		h.pushAda(true, "Engineer")
		first := h.open()
		h.pushAda(false, "Engineer")
		h.wantTasks("perhaps made", "+ ada withdrawn", "! ada open")
		app.do(http.MethodPost, "/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "ada", "active": true})
		if err := h.decide(first, model.TaskOutcome{}); err != nil { // who made it says so all the same
			t.Fatal(err)
		}
		h.settle()
		app.has("ada Engineer inactive")
		h.wantTasks("the API did it", "+ ada done", "! ada withdrawn")
		h.wantAccount("the API did it", model.AccountInactive, model.AccountInactive, model.Code(""), false)
	})
}

// Who is to be looked for is looked for once, although an account was named that the target does not have.
func TestANamedAccountThatIsNotThereIsLookedForOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.partlyByHand(policy.LeaverDeactivate, model.OpCreate)
		h.pushAda(true, "Engineer")
		if err := h.decide(h.open(), model.TaskOutcome{NativeID: "nobody"}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.pushAda(false, "Engineer")
		h.wantTasks("perhaps made", "+ ada done", "+ ada withdrawn", "! ada open")
		if err := h.decide(h.open(), model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantTasks("looked for", "+ ada done", "+ ada withdrawn", "! ada done")
		h.wantAccount("looked for", model.AccountInactive, model.AccountAbsent, model.Code(""), false)
	})
}

// Nobody is asked to change what is said about a leaver: their account counts as inactive as soon as it is.
func TestALeaverWaitsForNoUpdateByHand(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDeactivate, model.OpUpdate)
		h.pushAda(true, "Engineer")
		h.pushAda(true, "Architect")
		h.wantTasks("a mover", "~ ada open")
		h.pushAda(false, "Architect")
		app.has("ada Engineer inactive")
		h.wantTasks("a leaver", "~ ada withdrawn")
		h.wantAccount("a leaver", model.AccountInactive, model.AccountInactive, model.Code(""), false)
		h.pushAda(true, "Architect")
		app.has("ada Engineer active")
		h.wantTasks("back", "~ ada withdrawn", "~ ada open")
	})
}

// Where nothing is by hand any more, no task stays open, and one that does is refused without harm to an account that is settled.
func TestTasksWhereNothingIsByHandAnyMore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDeactivate, model.OpCreate)
		h.pushAda(true, "Engineer")
		task := h.open()
		if n, err := h.store.EndTasks(h.ctx, []string{"platform"}, "the API does it"); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		h.wantTasks("another target's", "+ ada open")
		api, err := scimapp.New(scimapp.Options{Name: "app", URL: app.url, Token: func() (string, error) { return "hands", nil }})
		if err != nil {
			t.Fatal(err)
		}
		opts := h.opts
		opts.Targets = []engine.TargetSpec{{Target: h.plat, Class: model.ClassPlatform}, {Target: api, Class: model.ClassApp}}
		h.Engine = engine.New(opts)
		if n, err := h.store.EndTasks(h.ctx, []string{"app"}, "the API does it"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		h.settle() // at once, not within the hour
		app.has("ada Engineer active")
		h.wantTasks("withdrawn", "+ ada withdrawn")

		// A replica with the configuration of before opened it once more.
		task.ID, task.Revision = model.NewID(time.Now().UTC()), h.inApp().DesiredRev
		if err := h.store.ReplaceTask(h.ctx, h.inApp(), "", &task); err != nil {
			t.Fatal(err)
		}
		if err := h.decideTask(task, model.TaskRefused); err != nil {
			t.Fatal(err)
		}
		h.wantTasks("refused", "+ ada withdrawn", "+ ada refused")
		h.wantAccount("refused", model.AccountActive, model.AccountActive, model.Code(""), false)
	})
}

// What the API made is ours, although a person had to complete it, and goes with its person.
func TestWhatTheAPIMadeAndAPersonCompletedIsOurs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		app := h.partlyByHand(policy.LeaverDelete, model.OpUpdate)
		app.forgets.Store(true)
		h.pushAda(true, "Engineer")
		app.has("ada  active")
		h.wantTasks("a joiner", "~ ada open")
		app.do(http.MethodPatch, "/Users/"+h.inApp().NativeID, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
			"Operations": []any{map[string]any{"op": "replace", "path": "title", "value": "Engineer"}}})
		if err := h.decide(h.open(), model.TaskOutcome{}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantAccount("complete", model.AccountActive, model.AccountActive, model.Code(""), false)
		if a := h.inApp(); a.Origin != model.OriginOurs {
			t.Error(a.Origin)
		}
		h.pushAda(false, "Engineer")
		app.has()
		h.wantAccount("a leaver", model.AccountAbsent, model.AccountAbsent, model.Code(""), false)
	})
}
