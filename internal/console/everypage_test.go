package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"jmld/internal/console"
	"jmld/model"
)

func TestEmptyPagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	o := options(&fake{})
	h := console.New(o)
	for path, want := range map[string][]string{
		"/":              {"Nothing needs you", "jmld sync corp", "jmld token new entra", "No change yet"},
		"/runs":          {"jmld sync corp", "jmld plan corp"},
		"/held":          {"Nothing is held"},
		"/people":        {"Nobody is known yet", "jmld sync corp", "/scim/entra/v2"},
		"/accounts":      {"No account yet", "policy: accounts:"},
		"/changes":       {"No change yet"},
		"/problems":      {"No account has a problem"},
		"/sources/entra": {"No request was seen yet", "jmld token new entra"},
	} {
		get(t, h, path).status(t, 200).has(t, want...)
	}
	o.Sources, o.Targets = nil, nil
	get(t, console.New(o), "/").status(t, 200).has(t, "No source is configured", "No target is configured")
}

func TestWhatIsNotThereIs404(t *testing.T) {
	t.Parallel()
	h := console.New(options(company(t)))
	for _, path := range []string{"/nowhere", "/runs/none", "/people/none", "/sources/none", "/held/none", "/runs/", "/static/", "/static/none.css", "/people/%00%ff"} {
		if a := get(t, h, path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	post(t, h, "/held/none/approve", "digest", "d", "seen", "yes").status(t, http.StatusNotFound)
	do(t, h, request(http.MethodDelete, "/people", nil)).status(t, http.StatusMethodNotAllowed)
}

func TestFiltersThatMakeNoSenseAre400AndAskNothing(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	for _, path := range []string{"/people?offset=-1", "/people?offset=x", "/people?offset=99999999", "/people?lifecycle=dead", "/accounts?state=gone", "/accounts?class=x", "/accounts?only=x"} {
		get(t, h, path).status(t, http.StatusBadRequest)
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %v", f.asked)
	}
}

func TestSearchReachesTheStoreWithoutWhatDatabasesRefuse(t *testing.T) {
	t.Parallel()
	f := company(t)
	get(t, console.New(options(f)), "/people?q=+a%00b%ff%0a"+strings.Repeat("ä", 200)).status(t, 200)
	want := model.PeopleQuery{Search: "ab" + strings.Repeat("ä", 99), Limit: 51}
	if !slices.Contains(f.asked, any(want)) {
		t.Errorf("asked %+v", f.asked)
	}
}

func TestADatabaseThatIsGoneIs503AndOtherErrorsAre500WithoutTheirText(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	f.err = fmt.Errorf("dial tcp 10.0.0.9: %w", model.ErrUnavailable)
	a := get(t, h, "/people").status(t, http.StatusServiceUnavailable)
	a.has(t, "The database does not answer")
	a.lacks(t, "10.0.0.9")
	f.err = errors.New("no such column: secret")
	a = get(t, h, "/people").status(t, http.StatusInternalServerError)
	a.lacks(t, "no such column")
}

// Counting everything can be slow where one page is not.
func TestPageIsShownWhenTheCountsInTheNavigationAreNotAvailable(t *testing.T) {
	t.Parallel()
	f := company(t)
	f.uncount = model.ErrUnavailable
	get(t, console.New(options(f)), "/people").status(t, 200).has(t, "Ada Albers", "Held ? count not available")
}

// Whatever a source sends is text, on every page that shows it.
func TestValuesFromSourcesAreEscaped(t *testing.T) {
	t.Parallel()
	const bad = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	f := company(t)
	id := f.people[0].ID
	p := &f.people[0]
	p.DisplayName, p.UserName, p.Email, p.Organisation, p.Categories = bad, bad, bad, bad, bad
	p.Attrs = js(t, map[string]any{bad: bad, "emails": []any{map[string]any{"value": bad, "type": bad}}, "urn:x:" + bad: map[string]any{bad: bad}})
	p.Provenance = js(t, map[string]model.Provenance{bad: {Winner: bad, Losers: []string{bad}, Rule: bad}})
	p.Findings = js(t, []model.Finding{{Code: bad, Text: bad, Rule: bad, Target: bad}})
	for i := range f.records {
		if f.records[i].IdentityID == id {
			f.records[i].Attrs, f.records[i].UserName, f.records[i].LinkText, f.records[i].ExternalID = p.Attrs, bad, bad, bad
		}
	}
	for i := range f.accounts {
		f.accounts[i].ErrorText, f.accounts[i].ErrorCode, f.accounts[i].UserName, f.accounts[i].NativeID = bad, bad, bad, bad
		f.accounts[i].Because = js(t, model.Reason{Text: bad, Rule: bad, Source: bad, Record: bad, Groups: []string{bad}})
		f.accounts[i].Desired = p.Attrs
	}
	for i := range f.changes {
		f.changes[i].Who, f.changes[i].Target, f.changes[i].Before, f.changes[i].DecidedBy = bad, bad, bad, bad
		f.changes[i].Because = bad
	}
	f.plans[0].Reason, f.plans[0].Digest = bad, bad
	f.runs[0].ErrorCode, f.runs[0].ErrorText, f.runs[0].Actor = bad, bad, bad
	f.problems[0].Text, f.problems[0].Target, f.problems[0].Code = bad, bad, bad
	f.audit = append(f.audit, model.AuditEntry{ID: "z", Subject: id, Actor: bad, Action: bad})
	f.groups[id] = []model.Membership{{DisplayName: bad, Source: bad}}
	f.keys[id] = []model.Key{{Name: bad, Value: bad}}
	f.dialects = []model.DialectUse{{Source: "entra", Dialect: bad, RequestID: bad, RecordID: bad}, {Source: "entra", Dialect: bad, Note: bad, RequestID: bad}}
	f.audit = append(f.audit, model.AuditEntry{ID: "y", Subject: id, Detail: js(t, map[string]any{"dialect": bad, "notes": []string{bad}})})
	h := console.New(options(f))
	q := url.QueryEscape(bad)
	for _, path := range []string{"/", "/runs?source=" + q, "/runs/" + f.runs[0].ID, "/held", "/held/" + f.plans[0].ID, "/people", "/people?q=" + q + "x",
		"/people/" + id, "/accounts", "/accounts?code=" + q + "&q=" + q + "&person=" + q, "/changes?run=" + q, "/changes", "/problems", "/problems?target=" + q, "/sources/entra",
		"/" + url.PathEscape(bad), "/people?lifecycle=" + q} {
		a := get(t, h, path)
		if len(a.all("script"))+len(a.all("img")) > 0 {
			t.Errorf("%s: markup from a value became an element", path)
		}
		for n := range a.root.Descendants() {
			for _, at := range n.Attr {
				if strings.HasPrefix(at.Key, "on") || at.Key == "style" || at.Key == "href" && strings.HasPrefix(at.Val, "javascript:") {
					t.Errorf("%s: attribute %s=%q", path, at.Key, at.Val)
				}
			}
		}
	}
}

func TestPasswordsAreNeverShown(t *testing.T) {
	t.Parallel()
	f := company(t)
	f.people[0].Attrs = `{"password":"hunter2","x":{"Password":"hunter2"}}`
	for i := range f.accounts {
		f.accounts[i].Desired = f.people[0].Attrs
	}
	if a := get(t, console.New(options(f)), "/people/"+f.people[0].ID); strings.Contains(a.Body, "hunter2") {
		t.Error("a password is on the page")
	}
}

// Every page is a document that assistive software can walk: one h1, no level skipped, labelled controls, scoped headers,
// captions, unique ids, a language, a skip link to main.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	for _, path := range []string{"/", "/runs", "/runs/" + f.runs[0].ID, "/held", "/held/" + f.plans[0].ID, "/people", "/people/" + f.people[0].ID,
		"/accounts?only=dead", "/changes", "/problems", "/sources/entra", "/nowhere"} {
		a := get(t, h, path)
		ids, level, h1 := map[string]bool{}, 0, 0
		for n := range a.root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if id := attribute(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("%s: id %q twice", path, id)
				}
				ids[id] = true
			}
			switch n.Data {
			case "h1", "h2", "h3", "h4":
				l := int(n.Data[1] - '0')
				if l > level+1 {
					t.Errorf("%s: %q after a heading of level %d", path, text(n), level)
				}
				if level = l; l == 1 {
					h1++
				}
			case "th":
				if attribute(n, "scope") == "" {
					t.Errorf("%s: header %q without scope", path, text(n))
				}
			case "table":
				if c := n.FirstChild; c == nil || !slices.ContainsFunc(slices.Collect(n.ChildNodes()), func(c *html.Node) bool { return c.Data == "caption" }) {
					t.Errorf("%s: a table without caption", path)
				}
			case "input", "select":
				if attribute(n, "type") == "hidden" {
					continue
				}
				labelled := false
				for p := range n.Ancestors() {
					labelled = labelled || p.Data == "label"
				}
				if !labelled {
					t.Errorf("%s: control %q without label", path, attribute(n, "name"))
				}
			case "html":
				if attribute(n, "lang") == "" {
					t.Errorf("%s: no language", path)
				}
			}
		}
		if h1 != 1 || !ids["main"] || a.link(t, "Skip to content") != "#main" {
			t.Errorf("%s: %d h1, main %v", path, h1, ids["main"])
		}
	}
}
