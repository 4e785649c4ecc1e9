package capture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

const (
	idA = "0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90"
	idB = "0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e91"
	idC = "0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e92"
)

// memory notes what is restored.
type memory struct {
	log []string
	bad string
}

func (m *memory) Restore(_ context.Context, rec Record) error {
	if rec.ID == m.bad {
		return errors.New("no")
	}
	m.log = append(m.log, rec.ID[35:]+" "+rec.Name+string(rec.Attrs))
	return nil
}

func (m *memory) Join(_ context.Context, group string, members []string) error {
	m.log = append(m.log, group[35:]+" has "+strings.Join(members, ","))
	return nil
}

func (m *memory) Clock(time.Time) {}

func file(xs ...Exchange) *File {
	for i := range xs {
		if xs[i].Request.Path == "" {
			xs[i].Request.Path = "/scim/entra/v2/Users"
		}
		if xs[i].Request.Method == "" {
			xs[i].Request.Method = "GET"
		}
		if xs[i].Begin.IsZero() {
			xs[i].Begin = time.Unix(int64(1000+i), 0)
		}
	}
	return &File{Header: Header{Source: "entra"}, Exchanges: xs, End: &End{}}
}

// What was before is restored as it was first seen, but for what the capture makes itself.
func TestReplayRestoresWhatWasBefore(t *testing.T) {
	t.Parallel()
	m := &memory{bad: idC[:35] + "9"}
	f := file(
		Exchange{Begin: time.Unix(9, 0), Before: &State{ // late
			Records: []Record{{ID: idA, Kind: model.KindUser, Attrs: json.RawMessage(`{"late":1}`)}},
			Members: []Members{{Group: idC, In: []string{idA}}},
		}},
		Exchange{Begin: time.Unix(5, 0), Before: &State{
			Records: []Record{{ID: idA, Kind: model.KindUser, Name: "only a name"}, {ID: idC, Kind: model.KindGroup, Attrs: json.RawMessage(`{}`)}, {ID: m.bad, Kind: model.KindUser}},
			Members: []Members{{Group: idC, In: []string{"x"}, Out: []string{idA}}},
		}},
		Exchange{Begin: time.Unix(7, 0), Before: &State{Records: []Record{{ID: idB, Kind: model.KindUser}}}}, // by another replica, of what was made meanwhile
		Exchange{Begin: time.Unix(6, 0), Request: Request{Method: "POST"}, Answer: Answer{Status: 201, Body: Body{Text: `{"id":"` + idB + `"}`}}},
	)
	report, err := Play(t.Context(), f, http.NotFoundHandler(), m, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`0 {"late":1}`, "2 {}", "2 has x"}, m.log); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{m.bad + ": no"}, report.NotRestored); diff != "" || report.Restored != 3 {
		t.Errorf("%d, %s", report.Restored, diff)
	}
}

// Ids of the replay stand for those of the capture, in requests and in answers.
func TestReplayMapsIDsAndCursors(t *testing.T) {
	t.Parallel()
	f := file(
		Exchange{Request: Request{Method: "POST"}, Answer: Answer{Status: 201, Body: Body{Text: `{"id":"` + idA + `"}`}}},
		Exchange{Request: Request{Method: "PATCH", Path: "/scim/entra/v2/Users/" + idA, Body: Body{Text: `{"value":"` + idA + `"}`}},
			Answer: Answer{Status: 200, Body: Body{Text: `{"got":"/scim/entra/v2/Users/` + idA + `{\"value\":\"` + idA + `\"}","nextCursor":"abc"}`}}},
		Exchange{Request: Request{Query: "cursor=abc"}, Answer: Answer{Status: 200, Body: Body{Text: `{"got":"/scim/entra/v2/Users?cursor=xyz"}`}}},
		Exchange{Answer: Answer{Status: 401}},
	)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(401)
			return
		}
		body, _ := io.ReadAll(r.Body) //nolint:errcheck // it is in memory
		doc := map[string]string{"got": r.URL.RequestURI() + string(body), "nextCursor": "xyz"}
		if r.Method == "POST" {
			doc = map[string]string{"id": idB}
			w.WriteHeader(201)
		}
		if r.URL.RawQuery != "" {
			delete(doc, "nextCursor")
		}
		json.NewEncoder(w).Encode(doc) //nolint:errcheck // into memory
	})
	report, err := Play(t.Context(), f, h, &memory{}, "token")
	if err != nil || len(report.Differences) > 0 || report.Played != 3 || report.Skipped["the client was not let in"] != 1 {
		t.Errorf("%v %+v", err, report)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	users := func(ids ...string) string {
		return `{"totalResults":2,"Resources":[{"id":"` + strings.Join(ids, `"},{"id":"`) + `"}]}`
	}
	for name, test := range map[string]struct {
		captured, replayed string
		inexact            bool
		status             int
		want               []Difference
	}{
		"equal but for order of keys":         {captured: `{"a":1,"b":[2]}`, replayed: `{"b":[2],"a":1}`},
		"a value":                             {captured: `{"emails":[{"value":"x"}]}`, replayed: `{"emails":[{"value":"y"}]}`, want: []Difference{{What: "emails[0].value", Captured: `"x"`, Replayed: `"y"`}}},
		"a type":                              {captured: `{"a":"1"}`, replayed: `{"a":1}`, want: []Difference{{What: "a", Captured: `"1"`, Replayed: `1`}}},
		"missing":                             {captured: `{"a":null}`, replayed: `{}`, want: []Difference{{What: "a", Captured: `null`}}},
		"more":                                {captured: `[]`, replayed: `[1]`, want: []Difference{{What: "[0]", Replayed: `1`}}},
		"times differ":                        {captured: `{"meta":{"created":"2026-01-01T00:00:00Z","version":"W/\"1\""}}`, replayed: `{"meta":{"created":"2027-01-01T00:00:00Z","version":"W/\"2\""}}`, want: []Difference{{What: "meta.version", Captured: `"W/\"1\""`, Replayed: `"W/\"2\""`}}},
		"a time that is none":                 {captured: `{"meta":{"created":"2026-01-01T00:00:00Z"}}`, replayed: `{"meta":{"created":"soon"}}`, want: []Difference{{What: "meta.created", Captured: `"2026-01-01T00:00:00Z"`, Replayed: `"soon"`}}},
		"members in any order":                {captured: `{"members":[{"value":"a"},{"value":"b"}]}`, replayed: `{"members":[{"value":"b"},{"value":"a"}]}`},
		"a member":                            {captured: `{"members":[{"value":"a"},{"value":"b"}]}`, replayed: `{"members":[{"value":"b"}]}`, want: []Difference{{What: "members[a]", Captured: `{"value":"a"}`}}},
		"resources in order":                  {captured: users("a", "b"), replayed: users("b", "a"), want: []Difference{{What: "Resources in order", Captured: "a b", Replayed: "b a"}}},
		"inexact lists have in common":        {captured: users("a", "b"), replayed: `{"totalResults":1,"Resources":[{"id":"b","x":1}]}`, inexact: true, want: []Difference{{What: "Resources[b].x", Replayed: "1"}}},
		"an internal error has an id":         {captured: `{"detail":"the log has it under 1"}`, replayed: `{"detail":"the log has it under 2"}`, status: 500},
		"not JSON":                            {captured: `<a>`, replayed: `{}`, want: []Difference{{What: "body", Captured: "<a>", Replayed: "{}"}}},
		"a body where there was none":         {captured: ``, replayed: `{}`, want: []Difference{{What: "", Captured: "null", Replayed: "{}"}}},
		"how to show credentials is not part": {captured: `{"authenticationSchemes":[1]}`, replayed: `{"authenticationSchemes":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := max(test.status, 200)
			got := compare(&Answer{Status: status, Body: Body{Text: test.captured, Length: 1}}, test.inexact, false, &reply{status: status, header: http.Header{}, body: []byte(test.replayed)})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	got := compare(&Answer{Status: 200, Headers: map[string]string{"Etag": `W/"1"`}}, false, false, &reply{status: 500, header: http.Header{"Etag": {`W/"2"`}}})
	if diff := cmp.Diff([]Difference{{What: "status", Captured: "200", Replayed: "500"}, {What: "header Etag", Captured: `W/"1"`, Replayed: `W/"2"`}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefusesWhatIsNoCapture(t *testing.T) {
	t.Parallel()
	const head, get = `{"format":"jmld.capture/1","source":"entra"}` + "\n", `{"exchange":{"request":{"method":"GET","path":"/"},"answer":{"status":200}}}` + "\n"
	for name, text := range map[string]string{
		"empty": "", "other": "hello", "version": `{"format":"jmld.capture/2","source":"entra"}`, "source": `{"format":"jmld.capture/1"}`,
		"extension": `{"format":"jmld.capture/1","source":"entra","extensions":[{"urn":"urn:ietf:params:scim:schemas:core:2.0:User","kind":"user"}]}`,
		"line":      head + "x\n" + get, "method": head + `{"exchange":{"request":{"path":"/"},"answer":{}}}`, "status": head + strings.Replace(get, "200", "7", 1),
		"path": head + strings.Replace(get, `"/"`, `"x"`, 1),
	} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := Read(strings.NewReader(head + get + `{"lost":{"exchanges":3}}` + "\n" + `{"new":1}` + "\n" + get[:20])) // killed while it wrote
	if err != nil || len(f.Exchanges) != 1 || f.Lost != 3 || f.End != nil {
		t.Errorf("%+v, %v", f, err)
	}
	f, err = Read(bytes.NewReader([]byte(head + get + `{"end":{"exchanges":1}}`)))
	if err != nil || f.End == nil {
		t.Errorf("%+v, %v", f, err)
	}
}
