package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"jmld/internal/testserver"
	"jmld/model"
)

// TestBrakesOnARealDirectory: a group emptied, a manager changed for 90 %, 5 % leavers: each is held with its own reason, and what it is
// not about goes on (D-03, D-04). The limits are the defaults.
func TestBrakesOnARealDirectory(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const people = 120
			dir := newDirectory(t, people)
			h := dir.house(t, houseOptions{Database: database(t), Guard: "{}", Memory: true, Accounts: `
    - {name: everybody, target: platform, when: "true", attributes: {userName: person.userName, displayName: person.displayName, title: 'has(person.title) ? person.title : ""', manager: 'has(person.manager) ? person.manager : ""'}}
    - {name: members, target: scratch, when: '"group 0000" in person.groups', attributes: {userName: person.userName}}
`})
			for i := range people {
				dir.Replace(testserver.UserDN(i), "manager", testserver.UserDN(0))
			}
			h.must("sync", "corp")
			held := func(want ...model.Brake) map[model.Brake]planJSON {
				t.Helper()
				code, out, errs := h.jmld("sync", "corp", "-o", "json")
				var done syncJSON
				if err := json.Unmarshal([]byte(out), &done); err != nil {
					t.Fatal(err, errs)
				}
				if code != exitHeld || len(done.Held) != len(want) {
					t.Fatalf("exit %d, held %+v\n%s", code, done.Held, errs)
				}
				plans := map[model.Brake]planJSON{}
				for i, p := range done.Held {
					kind, _ := p.Brake.Kind()
					if plans[kind] = p; kind != want[i] || !strings.Contains(h.must("held"), p.Reason) || !strings.Contains(h.must("held", p.ID), string(p.Code)) {
						t.Errorf("%+v, want %s", p, want[i])
					}
				}
				return plans
			}

			for i := 1; i <= people*9/10; i++ {
				dir.Replace(testserver.UserDN(i), "manager", testserver.UserDN(5))
				if i < 4 {
					dir.Replace(testserver.UserDN(i), "title", fmt.Sprint("Title ", i))
				}
			}
			p := held(model.BrakeChanged)[model.BrakeChanged]
			if p.Items != people*9/10 || !strings.Contains(p.Reason, "manager would change for 108 of 120 accounts in platform") {
				t.Errorf("%+v", p)
			}
			if out := h.must("accounts", "--target", "platform", "-o", "json"); strings.Count(out, `"Title `) < 3 {
				t.Error("the titles of three of them waited")
			}
			if out := h.must("approve", p.ID, "--digest", p.Digest, "--by", "ada"); !strings.Contains(out, "108 changes approved by") {
				t.Error(out)
			}
			h.must("sync", "corp") // nothing is left

			for i := 100; i < 106; i++ { // 5 %
				dir.Delete(testserver.UserDN(i))
			}
			h.must("sync", "corp") // missing, not absent yet
			if p := held(model.BrakeLeavers)[model.BrakeLeavers]; !strings.Contains(p.Reason, "6 of 120 people would lose access") {
				t.Errorf("%+v", p)
			}

			dir.Replace(testserver.GroupDN(0), "member", "cn=nobody,"+testserver.Base)
			dir.Replace(testserver.UserDN(1), "displayName", "Somebody Else")
			p = held(model.BrakeGroup)[model.BrakeGroup]
			if p.Items != 10 || p.Code != model.CodeGuardGroup || !strings.Contains(p.Reason, "lost all of its 10 members") {
				t.Errorf("%+v", p)
			}
			if out := h.must("accounts", "--target", "platform", "-o", "json"); !strings.Contains(out, "Somebody Else") {
				t.Error("a change that has nothing to do with it waited")
			}
		})
	}
}
