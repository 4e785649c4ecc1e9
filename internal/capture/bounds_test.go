package capture

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// A long text keeps its shape and nothing else, is cheap, and nothing of it is remembered; the file says so.
func TestLongTextsAreFilled(t *testing.T) { //nolint:paralleltest // measures the process
	p := NewPseudonyms([]byte("a key of a test"))
	for _, s := range []string{strings.Repeat("Ab9-é ", 900), strings.Repeat("0", maxText) + "49", "x" + strings.Repeat("ж9", maxText)} {
		got := p.Text(s)
		if shape(got) != shape(s) || got == s {
			t.Errorf("%.30s becomes %.30s", s, got)
		}
	}
	if p.Text(strings.Repeat("ab", maxText)) != p.Text(strings.Repeat("cd", maxText)) {
		t.Error("more than the shape of a long text is left")
	}
	if p.filled != 5 {
		t.Errorf("%d are counted", p.filled)
	}
	p.Text(strings.Repeat("abc", 30)) // a word, but long
	if len(p.known) != 0 {
		t.Errorf("%d words are remembered", len(p.known))
	}
	var before, after runtime.MemStats
	body := []byte(`{"a":"` + strings.Repeat("k", 1<<20) + `","b":"` + strings.Repeat("7", 1<<20) + `"}`)
	runtime.ReadMemStats(&before)
	(&redaction{Pseudonyms: p, source: "entra"}).body(body)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 200<<20 { // of other tests, too
		t.Errorf("%d MiB for a body of 2 MiB", got>>20)
	}
}

// What waits in lines counts as much as what waits in exchanges, and they are stored by bytes.
func TestLinesThatWaitAreCounted(t *testing.T) {
	t.Parallel()
	s := &shelf{block: make(chan struct{})}
	s.set(model.Capture{ID: "c", Source: "entra", Key: []byte("key")})
	record(t, s, echo, func(send func(method, target, body string) *http.Response, r *Recorder) {
		waitFor(t, "the capture is seen", func() bool { return r.active.Load() != nil })
		body := `{"x":"` + strings.Repeat("- ", 450_000) + `"}`
		for range 3 {
			send("POST", "/scim/entra/v2/Users", body)
		}
		waitFor(t, "all but the first are queued", func() bool { return len(r.queue) <= 2 })
		time.Sleep(50 * time.Millisecond)
		if n := r.pending.Load(); n < int64(3*2*len(body)) {
			t.Errorf("%d bytes wait, three exchanges of %d do", n, 2*len(body))
		}
		close(s.block)
		waitFor(t, "nothing is held", func() bool { return r.pending.Load() == 0 })
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.stored) == 0 || s.stored[0] != 1 {
		t.Errorf("stored at a time: %v lines; one is more than enough", s.stored)
	}
}

// What a session remembers is bounded, whatever notes it.
func TestWhatASessionKnowsIsBounded(t *testing.T) {
	t.Parallel()
	w := &Watch{&exchange{session: newSession(model.Capture{})}}
	for i := range maxKnown + 5 {
		w.Made(fmt.Sprint(i))
	}
	w.Closed("one more", false)
	s := w.x.session
	if len(s.records) > maxKnown || len(s.closed) > maxKnown || len(s.settled) > maxKnown {
		t.Errorf("%d, %d, %d", len(s.records), len(s.closed), len(s.settled))
	}
	if !w.x.before.bounded {
		t.Error("what is not remembered is not said")
	}
}

// D-16: an id of the client is a pseudonym even if it looks as ours do; ours stay where they stand.
func TestIDsStayWhereOursStand(t *testing.T) {
	t.Parallel()
	const core = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	r := redactor()
	for text, stays := range map[string]bool{
		`{"id":"` + idA + `"}`:         true,
		`{"externalId":"` + idA + `"}`: false, `{"userName":"` + idA + `"}`: false, `{"x":{"id":"` + idA + `"}}`: false,
		`{"members":[{"value":"` + idA + `"}]}`: true, `{"members":["` + idA + `"]}`: true, `{"members":[{"display":"` + idA + `"}]}`: false,
		`{"groups":[{"value":"` + idA + `"}],"id":""}`: true, `{"emails":[{"value":"` + idA + `"}]}`: false,
		`{"` + core + `":{"manager":{"value":"` + idA + `"}}}`: true, `{"` + core + `:manager":"` + idA + `"}`: true,
		`{"` + core + `":{"employeeNumber":"` + idA + `"}}`:                                                               false,
		`{"urn:x:y":{"manager":{"value":"` + idA + `"}}}`:                                                                 false,
		`{"Operations":[{"op":"add","value":[{"value":"` + idA + `"}],"path":"members"}]}`:                                true,
		`{"Operations":[{"op":"add","path":"externalId","value":"` + idA + `"}]}`:                                         false,
		`{"Operations":[{"op":"add","path":"` + core + `:manager","value":"` + idA + `"}]}`:                               true,
		`{"Operations":[{"op":"add","path":"` + core + `:manager.value","value":"` + idA + `"}]}`:                         true,
		`{"Operations":[{"op":"add","path":"urn:x:y:manager","value":["` + idA + `"]}]}`:                                  false,
		`{"Operations":[{"op":"remove","path":"members[value eq \"` + idA + `\"]"}]}`:                                     true,
		`{"Operations":[{"op":"remove","path":"emails[value eq \"` + idA + `\"]"}]}`:                                      false,
		`{"Operations":[{"op":"remove","path":"Members[Value EQ '` + idA + `']"}]}`:                                       true,
		`{"Operations":[{"op":"remove","path":"emails[value eq '` + idA + `']"}]}`:                                        false,
		`{"Operations":[{"op":"add","path":"members","value":"[{\"value\":\"` + idA + `\"}]"}]}`:                          true,
		`{"Operations":[{"method":"PATCH","path":"/Users/` + idA + `","data":{"id":"` + idA + `"}}]}`:                     true,
		`{"Operations":[{"method":"POST","path":"/Users","bulkId":"` + idA + `","data":{}}]}`:                             false,
		`{"Resources":[{"id":"` + idA + `","meta":{"location":"/Users/` + idA + `"}}]}`:                                   true,
		`{"members":[{"$ref":"../Users/` + idA + `"}]}`:                                                                   true,
		`{"schemas":["` + urnError + `"],"status":"500","detail":"An internal error; the log has it under ` + idA + `."}`: true,
	} {
		if got := string(r.body([]byte(text))); strings.Contains(got, idA) != stays {
			t.Errorf("%s\nbecomes %s", text, got)
		}
	}
	for filter, stays := range map[string]bool{
		`id eq "` + idA + `"`: true, `externalId eq "` + idA + `"`: false, `members.value eq ` + idA: true, `members[value eq "` + idA + `"]`: true,
		`emails[value eq "` + idA + `"]`: false, `userName eq ` + idA: false, core + `:manager.value eq "` + idA + `"`: true, `members[type eq "x"] and title eq "` + idA + `"`: false,
	} {
		if got := r.filter(filter); strings.Contains(got, idA) != stays {
			t.Errorf("%s becomes %s", filter, got)
		}
	}
	// A bulkId is the same where it is given and where it is referred to.
	is := string(r.body([]byte(`{"bulkId":"` + idA + `"}`)))
	if want := `{"bulkId":"` + strings.TrimPrefix(r.Text(bulkMark+idA), bulkMark) + `"}`; is != want {
		t.Errorf("%s, want %s", is, want)
	}
}

// What an extension of the operator's is called, and the values it allows, stay.
func TestDeclaredExtensionsStay(t *testing.T) {
	t.Parallel()
	r := redactor()
	r.declared = canonical([]model.Extension{{URN: "urn:example:acme:2.0:User", Attributes: []model.Attribute{
		{Name: "badge", Canonical: []string{"Gold", "Silver"}}, {Name: "seat", Attributes: []model.Attribute{{Name: "zone", Canonical: []string{"North"}}}},
	}}})
	const text = `{"schemas":["urn:example:acme:2.0:User"],"urn:example:acme:2.0:User":{"badge":["gold"],"seat":{"zone":"North"}}}`
	if diff := cmp.Diff(text, string(r.body([]byte(text)))); diff != "" {
		t.Error(diff)
	}
	const filter = `urn:example:acme:2.0:User:badge eq "Gold" and schemas eq "urn:example:acme:2.0:User"`
	if got := r.filter(filter); got != filter {
		t.Errorf("%s becomes %s", filter, got)
	}
	if got := string(r.body([]byte(`{"badge":"Kern","zone":"gold"}`))); strings.Contains(got, "Kern") || strings.Contains(got, "gold") {
		t.Errorf("it becomes %s", got)
	}
	file, err := json.Marshal(Settings{Extensions: []model.Extension{{URN: "urn:x:y", Kind: model.KindUser, Name: "x"}}})
	var read Settings
	if err != nil || json.Unmarshal(file, &read) != nil || read.Extensions[0].URN != "urn:x:y" {
		t.Errorf("%s, %v", file, err)
	}
}

// D-16: a key that a body does not keep is not in the error about it either.
func TestDetailsHaveNoKeys(t *testing.T) {
	t.Parallel()
	r := redactor()
	fault := func(detail string) string {
		return string(r.body([]byte(`{"schemas":["` + urnError + `"],"detail":"` + detail + `"}`)))
	}
	for _, key := range []string{"4711x", "4711", "3f2a77c0-1d2e-4f50-8a9b-0c1d2e3f4a5b", idA} {
		is := strings.Trim(string(r.body([]byte(`{"`+key+`":1}`))), `{}:`+"0123456789")
		got := fault("The key " + key + " stands twice in one object.")
		if want := fault("The key K stands twice in one object."); strings.Contains(got, key) || len(got) != len(want)+len(key)-1 {
			t.Errorf("%s: %s", key, got)
		}
		if quoted := strings.Trim(is, `":`); !strings.Contains(got, quoted) {
			t.Errorf("%s is %s in a body: %s", key, quoted, got)
		}
	}
	for _, detail := range []string{
		"The filter is longer than 4096 bytes.", "The request has more operations than maxOperations, 6.", "The body has to be application/scim+json.",
		"JSON, byte 17: expected a number of at most 64 characters.", "Operation 2: op is none of add, replace and remove.",
		"Text must not contain the character U+0000.", "Position 3 of the filter: expected and, or, or the end.", "The group has more than 1000 members; filter by it alone.",
		"An internal error; the log has it under the request's id.", "The source is strict and takes no dialect: method: \\\"post\\\" read as POST.",
		"startDate is not a date and time (xsd:dateTime).", "badge is none of 1a, 2b.", "The key Ada stands twice in one object.",
	} {
		if got := fault(detail); !strings.Contains(got, detail) {
			t.Errorf("%s becomes %s", detail, got)
		}
	}
}

// The token endpoint is the token endpoint however it is written.
func TestTheTokenEndpointIsSeenThroughEscapes(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.set(model.Capture{ID: "c", Source: "entra", Key: []byte("key")})
	record(t, s, echo, func(send func(method, target, body string) *http.Response, r *Recorder) {
		waitFor(t, "the capture is seen", func() bool { return r.active.Load() != nil })
		send("POST", "/scim/entra/%6fauth/token", `client_secret=very-secret-token`)
		waitFor(t, "a line", func() bool { all, _ := s.exchanges(); return len(all) == 1 })
	})
	all, _ := s.exchanges()
	if b := all[0].Request.Body; b.Missing != missingWithheld || unplayable(&all[0]) != "it was about credentials" {
		t.Errorf("%+v, %s", b, unplayable(&all[0]))
	}
}

// slow is a store in which only streams and lists of groups wait, as long as they may.
type slow struct{ Stored }

func (slow) Members(ctx context.Context, _, _ string, _ int, _ func(string, model.Kind, string) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (slow) GroupsOf(_ context.Context, _ string, ids []string) (map[string][]model.Membership, error) {
	return map[string][]model.Membership{ids[0]: {{GroupID: "g", Direct: true}}}, nil
}

func (slow) RecordsAmong(ctx context.Context, _ string, _ model.Kind, _ []string) ([]model.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// All that only the capture wants to know has half a second in one request; then the exchange says that it is missing.
func TestCapturedRequestsWaitForAMomentOnly(t *testing.T) {
	t.Parallel()
	w := &Watch{&exchange{session: newSession(model.Capture{})}}
	ctx := context.WithValue(t.Context(), watchKey{}, w)
	start := time.Now()
	for range 5 {
		Before(ctx, slow{}, nil, "entra", "h", nil, true)
	}
	if took := time.Since(start); took < lookTime/2 || took > 100*lookTime {
		t.Errorf("it took %s", took)
	}
	if !w.x.before.bounded || !w.x.session.closed["h"] {
		t.Error("what is missing is not said")
	}
	w.x.before.bounded = false
	of, err := Watched(slow{}).GroupsOf(ctx, "entra", []string{"a"})
	if diff := cmp.Diff(map[string][]model.Membership{"a": {{GroupID: "g", Direct: true}}}, of); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if diff := cmp.Diff(map[string][]string{"g": {"a"}}, w.x.before.in); diff != "" || !w.x.before.bounded {
		t.Errorf("%t, %s", w.x.before.bounded, diff)
	}
}
