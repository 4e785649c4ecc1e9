package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"jmld/internal/console"
	"jmld/jml/engine"
	"jmld/model"
)

// correlator has one record, which two people may be.
type correlator struct {
	decided []engine.Judgement
	undone  int
	plans   []string
}

func (c *correlator) Unlinked(_ context.Context, l model.Link, _ engine.RecordRef, _ int) ([]model.Record, error) {
	if l != model.Disputed {
		return nil, nil
	}
	return []model.Record{c.record()}, nil
}

func (c *correlator) record() model.Record {
	return model.Record{Source: "okta", ID: "o1", Kind: model.KindUser, UserName: "bob", DisplayName: "<b>Ada or Bob</b>", Link: model.Disputed,
		LinkText: "two people have its keys", Attrs: `{"displayName":"<b>Ada or Bob</b>","title":"Dev"}`}
}

func (c *correlator) Case(_ context.Context, ref engine.RecordRef, _ string) (engine.Case, error) {
	if ref != (engine.RecordRef{Source: "okta", ID: "o1"}) {
		return engine.Case{}, model.ErrNotFound
	}
	one := engine.Case{Record: c.record(), Digest: "d1"}
	for _, id := range []string{"ada", "bob"} {
		one.Candidates = append(one.Candidates, engine.Candidate{Person: engine.Person{Identity: &model.Identity{ID: id, DisplayName: "Person " + id,
			Attrs: `{"displayName":"Person ` + id + `","title":"Dev"}`}}, By: []model.Key{{Name: "userName", Value: id}}})
	}
	return one, nil
}

func (c *correlator) Correlate(_ context.Context, j engine.Judgement) (engine.Judged, error) {
	if j.Reason == "too early" {
		return engine.Judged{}, fmt.Errorf("link record: %w", engine.ErrOtherRules)
	}
	if j.Digest != "d1" {
		return engine.Judged{}, model.Errorf(model.CodeCorrelationStale, "another digest")
	}
	c.decided = append(c.decided, j)
	return engine.Judged{Plans: c.plans}, nil
}

func (c *correlator) Uncorrelate(context.Context, engine.Judgement) (engine.Judged, error) {
	c.undone++
	return engine.Judged{}, nil
}

func TestADisputeIsDecidedInTheConsole(t *testing.T) { // D-20
	t.Parallel()
	cor := &correlator{}
	h := console.New(console.Options{View: &fake{}, Correlator: cor})
	ask := func(method, path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(form.Encode()))
		r.RemoteAddr = "127.0.0.1:1000"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("GET", "/disputed", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `href="/disputed/okta/o1"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := ask("GET", "/disputed/okta/o1", nil)
	for _, want := range []string{"&lt;b&gt;Ada or Bob", "Person ada", "Person bob", `value="link bob"`, `value="d1"`, "differs"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in %s", want, w.Body)
		}
	}
	_, decide, _ := strings.Cut(w.Body.String(), `method="post" action="/disputed/`)
	if before, _, ok := strings.Cut(decide, "<button"); !ok || !strings.Contains(before, `<input type="submit" hidden disabled>`) {
		t.Error("Enter in a field presses the first button of the form, which decides, unless it is disabled") // HTML §4.10.21.2
	}
	form := url.Values{"digest": {"d1"}, "do": {"link bob"}, "by": {"Grete"}, "reason": {"asked"}}
	if w := ask("POST", "/disputed/okta/o1", form); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/disputed?done=linked" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
	if len(cor.decided) != 1 || cor.decided[0].Identity != "bob" || cor.decided[0].Kind != model.RulingLink ||
		!strings.HasPrefix(cor.decided[0].Actor, "operator Grete, console") {
		t.Errorf("%+v", cor.decided)
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		status int
	}{
		"what was seen is old":         {func(f url.Values) { f.Set("digest", "d0") }, http.StatusConflict},
		"a decision without a name":    {func(f url.Values) { f.Del("by") }, http.StatusBadRequest},
		"a form that decides nothing":  {func(f url.Values) { f.Set("do", "") }, http.StatusBadRequest},
		"a loss waits and is shown":    {func(url.Values) { cor.plans = []string{"p1"} }, http.StatusSeeOther},
		"a decision may be taken back": {func(f url.Values) { f.Set("do", "undo") }, http.StatusSeeOther},
	} {
		f := url.Values{"digest": {"d1"}, "do": {"new"}, "by": {"Grete"}}
		c.change(f)
		if w := ask("POST", "/disputed/okta/o1", f); w.Code != c.status {
			t.Errorf("%s: %d, want %d", name, w.Code, c.status)
		}
	}
	if cor.undone != 1 {
		t.Errorf("%d taken back", cor.undone)
	}
	early := url.Values{"digest": {"d1"}, "do": {"new"}, "by": {"Grete"}, "reason": {"too early"}}
	if w := ask("POST", "/disputed/okta/o1", early); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "Other rules are in force") {
		t.Errorf("by a daemon with other rules: %d %s", w.Code, w.Body)
	}
	if w := ask("GET", "/disputed/okta/none", nil); w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
}
