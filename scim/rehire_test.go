package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/scim"
	"jmld/target/memory"
)

const numbered = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":%q}`

// mailed are addresses of their own.
func mailed(names ...string) string {
	var list []string
	for _, n := range names {
		list = append(list, `{"value":"`+n+`@example.org"}`)
	}
	return `"emails":[` + strings.Join(list, ",") + `]`
}

// Item 8, I19: what a POST does that has something in common with a deactivated user (docs/scim.md, Return).
func TestPostOfADeactivatedUser(t *testing.T) {
	t.Parallel()
	const (
		rehire = http.StatusCreated * 10 // with the id there was
		other  = http.StatusCreated      // with an id of its own
		no     = http.StatusConflict
	)
	tests := []struct {
		rule, was, post string
		want            int
	}{
		{"same name, neither has an externalId", `"userName":"a1"`, `"userName":"A1"`, rehire},
		{"same name, only the old one has an externalId", `"userName":"a2","externalId":"x2"`, `"userName":"a2"`, rehire},
		{"same name, only the new one has an externalId", `"userName":"a3"`, `"userName":"a3","externalId":"x3"`, rehire},
		{"same name and externalId", `"userName":"a4","externalId":"x4"`, `"userName":"a4","externalId":"x4"`, rehire},
		{"same name and externalId, another number", `"userName":"a5","externalId":"x5",` + fmt.Sprintf(numbered, "1"), `"userName":"a5","externalId":"x5",` + fmt.Sprintf(numbered, "2"), rehire},
		{"same externalId, nothing else", `"userName":"a6","externalId":"x6"`, `"userName":"b6","externalId":"x6"`, other},
		{"same externalId, another address", `"userName":"h1","externalId":"xh1",` + mailed("h1"), `"userName":"i1","externalId":"xh1",` + mailed("i1"), other},
		{"same externalId, one address in common", `"userName":"h2","externalId":"xh2",` + mailed("old2", "h2"), `"userName":"i2","externalId":"xh2",` + mailed("H2", "new2"), rehire},
		{"same externalId and number, another name", `"userName":"h3","externalId":"xh3",` + fmt.Sprintf(numbered, "h3"), `"userName":"i3","externalId":"xh3",` + fmt.Sprintf(numbered, "H3"), rehire},
		{"same externalId, another name, address and number", `"userName":"h4","externalId":"xh4",` + mailed("h4") + "," + fmt.Sprintf(numbered, "h4"),
			`"userName":"i4","externalId":"xh4",` + mailed("i4") + "," + fmt.Sprintf(numbered, "i4"), other},
		{"same externalId and address, another name and number", `"userName":"h5","externalId":"xh5",` + mailed("h5") + "," + fmt.Sprintf(numbered, "h5"),
			`"userName":"i5","externalId":"xh5",` + mailed("h5") + "," + fmt.Sprintf(numbered, "i5"), other},
		{"same externalId, no number here", `"userName":"h6","externalId":"xh6",` + fmt.Sprintf(numbered, "h6"), `"userName":"i6","externalId":"xh6"`, other},
		{"same externalId and address, no number here", `"userName":"h7","externalId":"xh7",` + mailed("h7"), `"userName":"i7","externalId":"xh7",` + mailed("h7") + "," + fmt.Sprintf(numbered, "i7"), rehire},
		{"same name, another externalId", `"userName":"a7","externalId":"x7"`, `"userName":"a7","externalId":"y7"`, no},
		{"same name, another number", `"userName":"a8",` + fmt.Sprintf(numbered, "81"), `"userName":"a8",` + fmt.Sprintf(numbered, "82"), no},
		{"same name, the same number", `"userName":"a9",` + fmt.Sprintf(numbered, "91"), `"userName":"a9",` + fmt.Sprintf(numbered, "91"), rehire},
		{"nothing in common", `"userName":"c1","externalId":"z1"`, `"userName":"c2","externalId":"z2"`, other},
		{"an externalId in another case is another", `"userName":"d1","externalId":"q1"`, `"userName":"d2","externalId":"Q1"`, other},
		{"sent as inactive", `"userName":"e1"`, `"userName":"e1","active":false`, rehire},
	}
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			for _, test := range tests {
				id := c.create(t, "/Users", "{"+test.was+`,"active":false,"title":"Old"}`)
				team := c.create(t, "/Groups", `{"displayName":"Team","members":[{"value":"`+id+`"}]}`)
				for range 2 { // whatever it is, it is no loop
					a, err := c.send("POST", "/Users", nil, "{"+test.post+`,"nickName":"new"}`)
					if err != nil {
						t.Fatal(err)
					}
					got := a.status
					if a.at("id") == id {
						got *= 10
					}
					if got != test.want {
						t.Errorf("%s: %s", test.rule, a)
					}
					if got == no && a.at("scimType") != "uniqueness" {
						t.Errorf("%s: %s", test.rule, a)
					}
					if got != rehire {
						break
					}
					active := !strings.Contains(test.post, "false")
					if a.at("active") != active || a.at("title") != nil || a.at("nickName") != "new" || a.at("groups") != nil || !strings.HasSuffix(a.header.Get("Location"), "/Users/"+id) {
						t.Errorf("%s: %s %s", test.rule, a.header.Get("Location"), a)
					}
					c.must(t, "GET", "/Users/"+id, "", 200)
					if g := c.must(t, "GET", "/Groups/"+team, "", 200); g.at("members") != nil {
						t.Errorf("%s: still in a group: %s", test.rule, g)
					}
					c.must(t, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"active","value":false}]}`, 200)
				}
				c.must(t, "DELETE", "/Groups/"+team, "", 204)
			}
			// An externalId given to the next person joins nothing: neither the records nor the people behind them.
			var people []string
			for _, n := range []string{"k1", "k2"} {
				id := c.create(t, "/Users", `{"userName":"`+n+`","externalId":"k",`+mailed(n)+","+fmt.Sprintf(numbered, n)+`,"active":`+strconv.FormatBool(n == "k2")+`}`)
				rec, err := c.Record(t.Context(), "entra", model.KindUser, id)
				if err != nil {
					t.Fatal(err)
				}
				people = append(people, rec.IdentityID)
			}
			if people[0] == "" || people[1] == "" || people[0] == people[1] {
				t.Errorf("people %q", people)
			}
			// Who is active is nobody's return, and neither is who is not the only one with an externalId.
			c.create(t, "/Users", `{"userName":"f1"}`)
			if a := c.must(t, "POST", "/Users", `{"userName":"f1"}`, 409); a.at("scimType") != "uniqueness" {
				t.Errorf("%s", a)
			}
			c.create(t, "/Users", `{"userName":"g1","externalId":"g","active":false}`)
			second := c.create(t, "/Users", `{"userName":"g2"}`)
			c.must(t, "PATCH", "/Users/"+second, `{"Operations":[{"op":"add","path":"externalId","value":"g"},{"op":"replace","path":"active","value":false}]}`, 200)
			if third := c.create(t, "/Users", `{"userName":"g3","externalId":"g"}`); third == second {
				t.Error("one of two was taken")
			}
		})
	}
}

// Item 8: of clients that send somebody's return at once, one has it, and nobody makes a second user.
func TestReturnsAtOnce(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			for n := range 5 {
				id := c.create(t, "/Users", fmt.Sprintf(`{"userName":"ada%d","externalId":"x%d","active":false}`, n, n))
				var mu sync.Mutex
				var wg sync.WaitGroup
				status := map[int]int{}
				for range 4 {
					wg.Go(func() {
						a, err := c.send("POST", "/Users", nil, fmt.Sprintf(`{"userName":"ada%d","externalId":"x%d"}`, n, n))
						if err != nil {
							t.Error(err)
							return
						}
						if a.status == 201 && a.at("id") != id {
							t.Errorf("a second user: %s", a)
						}
						mu.Lock()
						defer mu.Unlock()
						status[a.status]++
					})
				}
				wg.Wait()
				if status[201] != 1 || status[409] != 3 {
					t.Errorf("answers %v", status)
				}
			}
			if a := c.must(t, "GET", "/Users?count=0", "", 200); a.at("totalResults") != 5.0 {
				t.Errorf("%s", a)
			}
		})
	}
}

// Item 8: in a bulk request later operations refer to the user there was.
func TestReturnInABulkRequest(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	id := c.create(t, "/Users", `{"userName":"ada","active":false}`)
	a := c.must(t, "POST", "/Bulk", `{"Operations":[
		{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"Team","members":[{"value":"bulkId:u"}]}},
		{"method":"POST","path":"/Users","bulkId":"u","data":{"userName":"ada"}}]}`, 200)
	group, _ := a.at("Operations[0].location").(string)
	if user, _ := a.at("Operations[1].location").(string); !strings.HasSuffix(user, id) {
		t.Fatalf("%s", a)
	}
	if g := c.must(t, "GET", group[strings.Index(group, "/Groups"):], "", 200); g.at("members[0].value") != id {
		t.Errorf("%s", g)
	}
}

// between does something before the first write that is a return.
type between struct {
	scim.Pusher
	once sync.Once
	do   func()
}

func (p *between) Push(ctx context.Context, push engine.Push) (engine.Pushed, error) {
	if push.Action == "scim.rehire" {
		p.once.Do(p.do)
	}
	return p.Pusher.Push(ctx, push)
}

// Item 8: what happens to the deactivated user while the POST is read counts: who is made then is who others refer to and who the
// log names, and who has become another person is not taken.
func TestReturnOfSomebodyWhoMoved(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			plain := newClient(t, b)
			core, logs := observer.New(zapcore.InfoLevel)
			moving := func(do func()) *client {
				return plain.over(t, scim.Options{Pusher: &between{Pusher: plain.Engine, do: do}, Resources: plain.Store, Tokens: plain.Store, Log: zap.New(core)})
			}
			old := plain.create(t, "/Users", `{"userName":"ada","active":false}`)
			c := moving(func() { plain.must(t, "DELETE", "/Users/"+old, "", 204) })
			a := c.must(t, "POST", "/Bulk", `{"Operations":[
				{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"Team","members":[{"value":"bulkId:u"}]}},
				{"method":"POST","path":"/Users","bulkId":"u","data":{"userName":"ada"}}]}`, 200)
			group, _ := a.at("Operations[0].location").(string)
			user, _ := a.at("Operations[1].location").(string)
			made := user[strings.LastIndex(user, "/")+1:]
			if g := c.must(t, "GET", group[strings.Index(group, "/Groups"):], "", 200); made == old || g.at("members[0].value") != made {
				t.Errorf("old %s: %s %s", old, a, g)
			}

			old = plain.create(t, "/Users", `{"userName":"bob","active":false}`)
			c = moving(func() { plain.must(t, "DELETE", "/Users/"+old, "", 204) })
			logs.TakeAll()
			made = c.create(t, "/Users", `{"userName":"bob"}`)
			if line := logs.FilterMessage("scim request").All()[0].ContextMap(); made == old || line["record"] != made {
				t.Errorf("%s, not %s: %v", made, old, line)
			}

			old = plain.create(t, "/Users", `{"userName":"cyd","active":false}`)
			c = moving(func() {
				plain.must(t, "PATCH", "/Users/"+old, `{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"1"}]}`, 200)
			})
			if a := c.must(t, "POST", "/Users", `{"userName":"cyd",`+fmt.Sprintf(numbered, "2")+`}`, 409); a.at("scimType") != "uniqueness" {
				t.Errorf("%s", a)
			}
		})
	}
}

// Item 8: deactivation and deletion take the account away, by the leaver path; a return gives it back, and the reasons and the
// audit call it a rehire.
func TestLeaverAndRehireAreExplained(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			p, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "all", Target: "app", When: "true"}}}, []string{"app"})
			if len(mistakes) > 0 {
				t.Fatal(mistakes)
			}
			e := engine.New(engine.Options{Store: c.Store, Replica: "test", Guard: jml.DefaultLimits(), Targets: []engine.TargetSpec{{Target: memory.New("app"), Class: model.ClassApp}},
				Rules: &jml.Rules{Precedence: []string{"entra"}, Correlation: []string{"userName"}, Policy: p, Targets: []string{"app"}}})
			c = c.over(t, scim.Options{Pusher: e, Resources: c.Store, Tokens: c.Store})
			id := c.create(t, "/Users", `{"userName":"ada"}`)
			c.must(t, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"active","value":false}]}`, 200)
			c.must(t, "GET", "/Users/"+id, "", 200) // I19: still readable, and found
			if a := c.must(t, "GET", "/Users?filter=userName%20eq%20%22ada%22", "", 200); a.at("Resources[0].active") != false {
				t.Errorf("%s", a)
			}
			if a, err := c.send("POST", "/Users", nil, `{"userName":"ada"}`); err != nil || a.status != 201 || a.at("id") != id {
				t.Errorf("%v %s", err, a)
			}
			c.must(t, "DELETE", "/Users/"+id, "", 204)
			for _, again := range []struct{ method, body string }{
				{"GET", ""}, {"DELETE", ""}, {"PUT", `{"userName":"ada"}`}, {"PATCH", `{"Operations":[{"op":"replace","path":"active","value":true}]}`},
			} {
				c.must(t, again.method, "/Users/"+id, again.body, 404)
			}
			if a := c.must(t, "GET", "/Users?filter=userName%20eq%20%22ada%22", "", 200); a.at("totalResults") != 0.0 {
				t.Errorf("%s", a)
			}
			if c.create(t, "/Users", `{"userName":"ada"}`) == id {
				t.Error("a deleted id came back")
			}
			changes, err := c.Changes(t.Context(), model.ChangeQuery{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, ch := range slices.Backward(changes) {
				var why model.Reason
				if err := json.Unmarshal([]byte(ch.Because), &why); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %s %s: %s", ch.Op, ch.Event, ch.State, why.Text))
			}
			want := []string{
				"+ joiner committed: rule all holds; created by entra",
				"! leaver committed: entra says active: false; deactivated by entra",
				"^ rehire committed: rule all holds again; rehired by entra, which sent the deactivated person as new",
				"! leaver committed: no source has a record of the person any more; deleted by entra",
				"^ rehire committed: rule all holds again; created by entra",
			}
			if !slices.Equal(got, want) {
				t.Errorf("changes\n%s", strings.Join(got, "\n"))
			}
			audit, err := c.AuditList(t.Context(), id, 10)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(audit, func(e model.AuditEntry) bool {
				return e.Action == "scim.rehire" && strings.Contains(e.Detail, "POST read as the return of the deactivated user with the same userName")
			})
			if !found {
				t.Errorf("audit %+v", audit)
			}
			identities, err := c.People(t.Context(), model.PeopleQuery{Limit: 10})
			if err != nil || len(identities) != 1 {
				t.Errorf("%v %+v", err, identities)
			}
		})
	}
}
