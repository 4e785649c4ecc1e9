package console_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/net/html"

	"jmld/internal/console"
	"jmld/jml/access"
	"jmld/model"
)

func TestOverviewNamesWhatNeedsAHumanAndNothingElseInRed(t *testing.T) {
	t.Parallel()
	f := company(t)
	a := get(t, console.New(options(f)), "/").status(t, 200)
	a.has(t, "Needs you", "8 changes are held by the guard", "4 accounts given up on in app", "1 record is disputed",
		"61 people known", "1 leavers on their way, oldest 12 min ago")
	want := []string{"corp ldap complete 3 h ago held , complete in 21 h 3 h ago", "entra scim listening is pushed is pushed any time 3 h ago"}
	if d := cmp.Diff(want, a.rows("Sources, in order of precedence")); d != "" {
		t.Error(d)
	}
	want = []string{"platform platform, local settled 100 % of 46 44 2 0 0 0 4", "app app, scim given up on some 85 % of 61 58 3 1 4 4 4"}
	if d := cmp.Diff(want, a.rows("Targets and how far their accounts are as desired")); d != "" {
		t.Error(d)
	}
	if a.link(t, "Review") != "/held" || a.link(t, "See causes") != "/problems?target=app" {
		t.Error("what needs a human does not lead to where it is done")
	}
}

func TestOverviewStateOfASource(t *testing.T) {
	t.Parallel()
	run := func(back time.Duration, s model.RunState, v model.Verdict, c model.Code) model.Run {
		at := now().Add(-back)
		return model.Run{ID: fmt.Sprint(back), Source: "corp", State: s, Verdict: v, ErrorCode: c, StartedAt: at, HeartbeatAt: at, FinishedAt: &at}
	}
	const day = 24 * time.Hour
	complete := run(3*time.Hour, model.RunSucceeded, model.VerdictComplete, "")
	incomplete := func(n int) model.Run {
		return run(time.Duration(n)*time.Hour, model.RunSucceeded, model.VerdictIncomplete, model.CodeSourceUnproven)
	}
	dry := run(time.Hour, model.RunSucceeded, model.VerdictComplete, "")
	dry.DryRun = true
	for name, c := range map[string]struct {
		runs []model.Run
		want string
		todo bool
	}{
		"nothing read":                            {nil, "not read yet", false},
		"complete":                                {[]model.Run{complete}, "complete", false},
		"a dry run proves nothing":                {[]model.Run{dry}, "not read yet", false},
		"running":                                 {[]model.Run{run(time.Minute, model.RunRunning, "", ""), complete}, "reading", false},
		"wrong password needs a human":            {[]model.Run{run(time.Hour, model.RunFailed, "", model.CodeSourceCredentials), complete}, "failing", true},
		"unreachable once is retried":             {[]model.Run{run(time.Hour, model.RunFailed, "", model.CodeSourceUnreachable), complete}, "failed, will retry", false},
		"unreachable for days needs a human":      {[]model.Run{run(time.Hour, model.RunFailed, "", model.CodeSourceUnreachable), run(4*day, model.RunSucceeded, model.VerdictComplete, "")}, "failing", true},
		"two slots missed":                        {[]model.Run{run(3*day, model.RunSucceeded, model.VerdictComplete, "")}, "overdue", true},
		"abandoned is taken up by the next":       {[]model.Run{run(time.Hour, model.RunAbandoned, "", ""), complete}, "interrupted", false},
		"incomplete once":                         {[]model.Run{incomplete(1), complete}, "incomplete", false},
		"incomplete three times needs a human":    {[]model.Run{incomplete(1), incomplete(2), incomplete(3)}, "never complete", true},
		"held is complete; the plan is the to-do": {[]model.Run{run(3*time.Hour, model.RunHeld, model.VerdictComplete, "")}, "complete", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := get(t, console.New(options(&fake{runs: c.runs})), "/").status(t, 200)
			row := a.rows("Sources, in order of precedence")[0]
			if !strings.HasPrefix(row, "corp ldap "+c.want+" ") {
				t.Errorf("%q, want %q", row, c.want)
			}
			if todo := strings.Contains(a.text(), "Needs you"); todo != c.todo {
				t.Errorf("needs a human: %v, want %v", todo, c.todo)
			}
		})
	}
}

func TestRunsFilterAndPage(t *testing.T) {
	t.Parallel()
	f := &fake{}
	for i := range 120 {
		f.runs = append(f.runs, model.Run{ID: fmt.Sprintf("r%03d", i), Source: []string{"corp", "lab"}[i%2], State: model.RunSucceeded, StartedAt: now()})
	}
	h := console.New(options(f))
	seen, path := 0, "/runs?source=corp"
	for range 3 {
		a := get(t, h, path).status(t, 200)
		rows := a.rows("Runs, newest first")
		seen += len(rows)
		for _, r := range rows {
			if !strings.Contains(r, "corp") {
				t.Errorf("the filter lets through %q", r)
			}
		}
		if !strings.Contains(a.text(), "Next") {
			break
		}
		path = a.link(t, "Next")
	}
	if seen != 60 {
		t.Errorf("paging shows %d of 60 runs", seen)
	}
}

func TestRunShowsFunnelProofCausesAndChangesByKind(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	a := get(t, h, "/runs/"+f.runs[0].ID).status(t, 200)
	a.has(t, "61 people", "9 groups", "57 unchanged", "2 new", "3 changed", "7 absent", "1 could not be used", "8 of them held",
		"every condition below held", "JML-2009 Entry could not be used", "uid=noname", "JML-3002", "Review the held changes")
	if d := cmp.Diff([]string{"From entries to changes", "Was that everything?", "Errors and findings, by cause", "Changes"}, a.texts("h2")); d != "" {
		t.Error(d)
	}
	if n := len(a.rows("accounts to deactivate")); n != 9 {
		t.Errorf("%d deactivations shown, want 9", n)
	}
	rows := a.rows("accounts to update")
	if len(rows) != 2 || !strings.Contains(rows[0], "title was Engineer → will be Lead engineer") ||
		!strings.Contains(rows[0], "department enterprise was Platform → will be Research") {
		t.Errorf("updates: %q", rows)
	}
	get(t, h, "/runs/"+f.runs[1].ID).has(t, "Not proven", "✗ no", "sizeLimitExceeded", "Give the bind account higher")
	get(t, h, "/runs/"+f.runs[2].ID).has(t, "JML-2003", "invalidCredentials", "did not come far enough", "This run changed no account")
	a = get(t, h, "/runs/"+f.runs[0].ID)
	if want := "/held/" + f.plans[0].ID; a.link(t, "Review the held changes") != want {
		t.Error("the run does not lead to its plan")
	}
}

func TestPlanIsApprovedUnderTheDigestShown(t *testing.T) {
	t.Parallel()
	f := company(t)
	core, logs := observer.New(zap.InfoLevel)
	o := options(f)
	o.Log = zap.New(core)
	h := console.New(o)
	path := "/held/" + f.plans[0].ID
	if a := get(t, h, "/held"); a.link(t, "corp") != path {
		t.Fatal("the list does not lead to the plan")
	}
	a := get(t, h, path).status(t, 200)
	a.has(t, "7 of 61 people of corp would lose an account", "8 changes", "in 2 days", "d1-7c0ffee5a11", "state was active → will be inactive",
		"missing in a complete read", "Approve 8 changes")
	var digest string
	for _, in := range a.all("input") {
		if attribute(in, "name") == "digest" {
			digest = attribute(in, "value")
		}
	}
	post(t, h, path+"/approve", "digest", digest).status(t, http.StatusBadRequest).has(t, "Tick the box")
	post(t, h, path+"/approve", "seen", "yes").status(t, http.StatusBadRequest).has(t, "names the digest")
	if len(f.approved) != 0 {
		t.Fatal("approved without digest or consent")
	}
	done := post(t, h, path+"/approve", "digest", digest, "seen", "yes").status(t, http.StatusSeeOther)
	if d := cmp.Diff([]string{f.plans[0].ID + " d1-7c0ffee5a11 operator console, 127.0.0.1"}, f.approved); d != "" {
		t.Error(d)
	}
	a = get(t, h, done.Header.Get("Location")).status(t, 200)
	a.has(t, "7 changes let go. 1 was refused, because the situation has changed since.", "approved", "operator console, 127.0.0.1")
	if r, c := len(a.rows("Refused changes")), len(a.rows("Changes let go")); r != 1 || c != 7 {
		t.Errorf("%d refused and %d let go are listed, want 1 and 7", r, c)
	}
	a.lacks(t, "Approve 8 changes")
	if logs.FilterMessage("plan approved").Len() != 1 {
		t.Error("the approval is not in the log")
	}
}

// D-02: what is approved is exactly what was seen.
func TestPlanThatChangedMeanwhileIsShownAgainAndNotApproved(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	a := post(t, h, "/held/"+f.plans[0].ID+"/approve", "digest", "an older one", "seen", "yes").status(t, http.StatusConflict)
	a.has(t, "Nothing was approved", "d2-after", "Approve 8 changes")
	if len(f.approved) != 0 {
		t.Error("approved all the same")
	}
}

func TestPlanApprovedTwiceSaysThatItIs(t *testing.T) {
	t.Parallel()
	f := company(t)
	f.plans[0].State = model.PlanApproved
	f.stale = true
	post(t, console.New(options(f)), "/held/"+f.plans[0].ID+"/approve", "digest", f.plans[0].Digest, "seen", "yes").
		status(t, http.StatusConflict).has(t, "Nothing was approved now: the plan is approved already.")
}

func TestPlanThatExpiredCannotBeApproved(t *testing.T) {
	t.Parallel()
	f := company(t)
	f.plans[0].ExpiresAt = now()
	a := get(t, console.New(options(f)), "/held/"+f.plans[0].ID).status(t, 200)
	a.has(t, "Nobody approved it in time")
	if slices.ContainsFunc(a.all("form"), func(n *html.Node) bool { return strings.HasSuffix(attribute(n, "action"), "/approve") }) {
		t.Error("there still is a form to approve it")
	}
}

func TestPlanWithManyChangesHasPagesAndIsApprovedFromTheFirst(t *testing.T) {
	t.Parallel()
	f := &fake{plans: []model.Plan{{ID: "p", Source: "corp", State: model.PlanHeld, Items: 250, Digest: "d", ExpiresAt: now().Add(time.Hour)}}}
	for i := range 250 {
		f.changes = append(f.changes, model.Change{ID: fmt.Sprint(i), PlanID: "p", Who: fmt.Sprintf("person %d.", i), Op: model.OpDeactivate, State: model.ChangeHeld, At: now()})
	}
	h := console.New(options(f))
	a := get(t, h, "/held/p").status(t, 200)
	a.has(t, "The list has more pages", "Approve 250 changes")
	seen := len(a.rows("Changes that wait"))
	for range 2 {
		a = get(t, h, a.link(t, "Next")).status(t, 200)
		a.lacks(t, "Approve 250 changes")
		seen += len(a.rows("Changes that wait"))
	}
	if seen != 250 {
		t.Errorf("the pages show %d of 250 changes", seen)
	}
	if a.link(t, "Back to the first page") != "/held/p" {
		t.Error("no way back to the form")
	}
}

func TestPeopleSearchAndPage(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	a := get(t, h, "/people").status(t, 200)
	first := a.rows("People")
	next := get(t, h, a.link(t, "Next"))
	if n := len(first) + len(next.rows("People")); len(first) != 50 || n != 61 {
		t.Errorf("pages of %d and %d", len(first), n-len(first))
	}
	if next.link(t, "Previous") != "/people" {
		t.Error("no way back")
	}
	if got := get(t, h, "/people?q=ADA.d").rows("People"); len(got) != 1 || !strings.HasPrefix(got[0], "Ada Dahl ada.dahl ada.dahl@example.org active app platform Example") {
		t.Errorf("search finds %q", got)
	}
	if got := len(get(t, h, "/people?lifecycle=suspended").rows("People")); got != 3 {
		t.Errorf("%d suspended, want 3", got)
	}
	get(t, h, "/people?q=nobody+at+all&lifecycle=archived").has(t, "Nobody matches “nobody at all” among the archived")
}

// D-08: for every attribute the winner, the losers and the rule.
func TestPersonGoesFromRecordsToIdentityToAccounts(t *testing.T) {
	t.Parallel()
	f := company(t)
	i := slices.IndexFunc(f.people, func(p model.Identity) bool { return p.DisplayName == "Ada Albers" })
	a := get(t, console.New(options(f)), "/people/"+f.people[i].ID).status(t, 200)
	if d := cmp.Diff([]string{"1 What sources say", "2 Who that is", "3 What follows", "History of changes", "What was done"}, a.texts("h2")); d != "" {
		t.Error(d)
	}
	fused := a.rows("Attributes with the source that won, and what others said, if they said something else")
	want := []string{
		"userName ada.albers corp precedence corp > entra – the same, or nothing",
		"displayName Ada Albers corp precedence corp > entra – the same, or nothing",
		"name familyName Albers, givenName Ada corp precedence corp > entra – the same, or nothing",
		"active true corp authority for active corp > entra entra true",
		"emails ada.albers@example.org (primary, work) corp precedence corp > entra – the same, or nothing",
		"title Engineer corp precedence corp > entra entra Senior Engineer",
		"department enterprise Platform corp precedence corp > entra – the same, or nothing",
		"employeeNumber enterprise 4000 corp precedence corp > entra – the same, or nothing",
	}
	if d := cmp.Diff(want, fused); d != "" {
		t.Error(d)
	}
	a.has(t, "builders corp", "Recognised by employeeNumber 4000", "rule builders", "Should be active as ada.albers", "source entra, token laptop", "scim.patch")
}

func TestPersonWithAFailingAccountSaysWhatWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	i := slices.IndexFunc(f.accounts, func(a model.Account) bool { return a.Dead })
	id := f.accounts[i].IdentityID
	a := get(t, h, "/people/"+id).status(t, 200)
	a.has(t, "given up", "JML-4003 Target refused the account", "displayName must not be longer", "What to do:", "As desired no",
		"Still differs displayName was old name → will be")
	back := post(t, h, "/accounts/retry", "person", id, "target", "app", "back", "/people/"+id).status(t, http.StatusSeeOther)
	if d := cmp.Diff([]model.AccountQuery{{IdentityID: id, Target: "app"}}, f.retried); d != "" {
		t.Error(d)
	}
	if want := "/people/" + id + "?retried=3"; back.Header.Get("Location") != want {
		t.Errorf("back to %q", back.Header.Get("Location"))
	}
}

func TestPersonWithFindingsSaysThatThingsWereKept(t *testing.T) {
	t.Parallel()
	f := company(t)
	f.people[0].Findings = `[{"code":"JML-3001","target":"app","rule":"builders","text":"no such key: department"}]`
	get(t, console.New(options(f)), "/people/"+f.people[0].ID).has(t, "could not be decided", "JML-3001", "no such key: department", "rule builders")
}

func TestAccountsFiltersReachTheStore(t *testing.T) {
	t.Parallel()
	f := company(t)
	a := get(t, console.New(options(f)), "/accounts?q=ada&target=app&class=app&state=active&only=dead&code=JML-4003&person=x&offset=50").status(t, 200)
	want := model.AccountQuery{IdentityID: "x", Target: "app", Class: model.ClassApp, State: model.AccountActive, Code: "JML-4003", Dead: true, Search: "ada", Offset: 50, Limit: 51}
	if !slices.Contains(f.asked, any(want)) {
		t.Errorf("asked %+v", f.asked)
	}
	a.has(t, "No account matches", "JML-4003 Target refused the account")
}

func TestRetryNeedsASelection(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	post(t, h, "/accounts/retry", "target", "app").status(t, http.StatusBadRequest).has(t, "Say which accounts")
	post(t, h, "/accounts/retry", "only", "everything").status(t, http.StatusBadRequest)
	if len(f.retried) != 0 {
		t.Fatal("retried everything")
	}
	a := post(t, h, "/accounts/retry", "target", "app", "only", "dead", "back", "//evil.example/").status(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/accounts?retried=3" {
		t.Errorf("sent to %q", got)
	}
}

// D-22: errors grouped by cause, with what they mean, what to do, and one button for all.
func TestProblemsGroupByCause(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	a := get(t, h, "/problems").status(t, 200)
	want := []string{"JML-4003 Target refused the account 5 accounts, oldest 30 h ago", "JML-4001 Target unreachable 3 accounts, oldest 40 min ago", "JML-3002 1 record is disputed"}
	if d := cmp.Diff(want, a.texts("h3")); d != "" {
		t.Error(d)
	}
	a.has(t, "Try all 5 again now", "Correct the attribute it names, then jmld retry .", "title is not in the list")
	get(t, h, "/problems?target=platform").lacks(t, "Target unreachable")
	post(t, h, "/accounts/retry", "code", "JML-4003", "back", "/problems").status(t, http.StatusSeeOther)
	if d := cmp.Diff([]model.AccountQuery{{Code: "JML-4003"}}, f.retried); d != "" {
		t.Error(d)
	}
	get(t, h, "/problems?retried=3").has(t, "3 accounts are being tried again now")
}

func TestChangesFilterByWordsAndPage(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	rows := get(t, h, "/changes?op=reactivate").status(t, 200).rows("Changes, newest first")
	if len(rows) != 1 || !strings.Contains(rows[0], "^ reactivate rehire") || !strings.Contains(rows[0], "state was inactive → will be active") {
		t.Errorf("%q", rows)
	}
	get(t, h, "/changes?op=%2B").status(t, http.StatusBadRequest)
	get(t, h, "/changes?state=gone").status(t, http.StatusBadRequest)
	get(t, h, "/changes?state=held&target=app").status(t, 200).lacks(t, "committed by")
}

// D-15: an operator sees how the client of a source speaks, and in a person's history what was read differently.
func TestSourcePageShowsDialects(t *testing.T) {
	t.Parallel()
	f := company(t)
	f.audit = append(f.audit, model.AuditEntry{ID: "z", At: now(), Subject: f.people[0].ID, Actor: "source entra", Action: "scim.patch",
		Detail: `{"kind":"user","dialect":"Entra legacy PATCH","notes":["active: \"False\" read as false"]}`},
		model.AuditEntry{ID: "y", At: now(), Subject: f.people[0].ID, Action: "other", Detail: "no JSON"})
	h := console.New(options(f))
	get(t, h, "/sources/entra").status(t, 200).has(t, "Entra legacy PATCH 1,204", `active: "False" read as false Entra legacy PATCH 31`, "RFC 7644 611", "3 min ago")
	get(t, h, "/people/"+f.people[0].ID).status(t, 200).has(t, `scim.patch Entra legacy PATCH active: "False" read as false`, "no JSON")
	if to := get(t, h, "/").link(t, "entra"); to != "/sources/entra" {
		t.Errorf("the overview leads to %q", to)
	}
	if a := get(t, h, "/sources/corp").status(t, http.StatusSeeOther); a.Header.Get("Location") != "/runs?source=corp" {
		t.Errorf("%q", a.Header.Get("Location"))
	}
	f.dialects = f.dialects[4:]
	get(t, h, "/sources/entra").has(t, "every request was read as it stands")
}

// M-43, M-58: direct and inherited rights stand apart, each with where it comes from.
func TestAPersonsRightsSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	f := company(t)
	id := f.people[0].ID
	row := func(place, role string) model.AccessMember {
		return model.AccessMember{Person: id, Place: place, Role: role, Reason: "request 7", Approver: "Lena Berg", ManagedBy: model.ManagedByOperator}
	}
	f.tree = access.State{
		Roles: []model.AccessRole{{ID: "developer", Name: "Developer"}, {ID: "operator", Name: "Operator"}},
		Groups: []model.AccessGroup{{ID: "builders", Name: "Builders", Description: "Build", Parent: model.AccessRoot},
			{ID: "berlin", Name: "Berlin", Description: "There", Parent: "builders"}},
		Resources: []model.AccessResource{{Place: "app:crm", Name: "CRM"}},
		Links:     []model.AccessLink{{Place: "app:crm", Owner: "berlin", Exclusive: true}},
		Members:   []model.AccessMember{row("group:builders", "developer"), row("app:crm", "operator")},
	}
	got := get(t, console.New(options(f)), "/people/"+id).status(t, 200).rows("What the person holds in groups, on apps and in namespaces; what is inherited is taken away where it comes from")
	want := []string{
		"app CRM Operator direct , invited request 7 approved by Lena Berg",
		"app CRM Developer inherited, parent group: Builders > Berlin from group Builders request 7 approved by Lena Berg",
		"group Builders Developer direct , member request 7 approved by Lena Berg",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
