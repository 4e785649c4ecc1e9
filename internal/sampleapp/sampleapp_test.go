package sampleapp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/sampleapp"
)

func open(t *testing.T, path string) *sampleapp.App {
	t.Helper()
	app, err := sampleapp.Open(path, "token")
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func do(t *testing.T, app http.Handler, method, path, body string) (int, map[string]any) {
	t.Helper()
	req := httptest.NewRequest(method, "/scim/v2"+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer token")
	w := httptest.NewRecorder()
	app.ServeHTTP(w, req)
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
	return w.Code, out
}

func TestUsersSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.json")
	app := open(t, path)
	_, ada := do(t, app, "POST", "/Users", `{"userName":"ada@example.org","emails":[{"value":"ada@example.org","primary":true}]}`)
	_, grace := do(t, app, "POST", "/Users", `{"userName":"grace@example.org"}`)
	id := ada["id"].(string)
	do(t, app, "PATCH", "/Users/"+id, `{"Operations":[{"op":"Replace","path":"active","value":"False"}]}`)
	do(t, app, "DELETE", "/Users/"+grace["id"].(string), "")
	_, before := do(t, app, "GET", "/Users", "")

	_, after := do(t, open(t, path), "GET", "/Users", "")
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("after the restart (-before +after):\n%s", d)
	}
	if after["totalResults"] != 1.0 || after["Resources"].([]any)[0].(map[string]any)["active"] != false {
		t.Errorf("after the restart: %v", after)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("files left behind: %v, %v", files, err)
	}
}

func TestAFileThatIsNotOursIsAnError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.json")
	for _, text := range []string{`[{"id": 7`, `{}`, `[null]`, `[{"id":"u-1"}]`, ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sampleapp.Open(path, "token"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v, want one that names the file", text, err)
		}
	}
	if _, err := sampleapp.Open("", ""); err == nil {
		t.Error("opened without a token")
	}
}

func TestAChangeThatCannotBeStoredIsNotMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	app := open(t, filepath.Join(dir, "app.json"))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if status, _ := do(t, app, "POST", "/Users", `{"userName":"ada@example.org"}`); status != 500 {
		t.Errorf("status %d, want 500", status)
	}
	if _, list := do(t, app, "GET", "/Users", ""); list["totalResults"] != 0.0 {
		t.Errorf("list %v, want nobody", list)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	app := open(t, "")
	_, ada := do(t, app, "POST", "/Users", `{"userName":"ada@example.org"}`)
	self := "/Users/" + ada["id"].(string)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		typ                string
	}{
		"no userName":           {"POST", "/Users", `{}`, 400, "invalidValue"},
		"no JSON":               {"POST", "/Users", `{`, 400, "invalidSyntax"},
		"taken, another case":   {"POST", "/Users", `{"userName":"ADA@example.org"}`, 409, "uniqueness"},
		"active is a number":    {"PUT", self, `{"userName":"ada@example.org","active":1}`, 400, "invalidValue"},
		"filter on another":     {"GET", "/Users?filter=title%20eq%20%22x%22", "", 400, "invalidFilter"},
		"filter without quotes": {"GET", "/Users?filter=userName%20eq%20x", "", 400, "invalidFilter"},
		"nobody":                {"GET", "/Users/nobody", "", 404, ""},
		"delete nobody":         {"DELETE", "/Users/nobody", "", 404, ""},
		"groups":                {"GET", "/Groups", "", 404, ""},
		"patch nothing":         {"PATCH", self, `{"Operations":[]}`, 400, "invalidSyntax"},
		"patch away the name":   {"PATCH", self, `{"Operations":[{"op":"remove","path":"userName"}]}`, 400, "invalidValue"},
		"value path":            {"PATCH", self, `{"Operations":[{"op":"add","path":"emails[type eq \"work\"].value","value":"x"}]}`, 400, "invalidPath"},
		"into a text":           {"PATCH", self, `{"Operations":[{"op":"add","path":"userName.x","value":"x"}]}`, 400, "invalidPath"},
		"unknown op":            {"PATCH", self, `{"Operations":[{"op":"move","path":"active"}]}`, 400, "invalidSyntax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := do(t, app, c.method, c.path, c.body)
			typ, _ := body["scimType"].(string)
			if status != c.status || typ != c.typ {
				t.Errorf("status %d %q, want %d %q", status, typ, c.status, c.typ)
			}
		})
	}
	req := httptest.NewRequest("GET", "/scim/v2/Users", nil)
	req.Header.Set("Authorization", "Bearer tokens")
	w := httptest.NewRecorder()
	if app.ServeHTTP(w, req); w.Code != 401 {
		t.Errorf("wrong token: status %d", w.Code)
	}
}

func TestThePageShowsUsersAndRunsNothingOfTheirs(t *testing.T) {
	t.Parallel()
	app := open(t, "")
	do(t, app, "POST", "/Users", `{"userName":"x","displayName":"<script>alert(1)</script>"}`)
	do(t, app, "POST", "/Users", `{"userName":"grace@example.org","displayName":"Grace","active":false,"emails":[{"value":"g@example.org"}]}`)
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	page := w.Body.String()
	for _, want := range []string{"Grace", "g@example.org", "Inactive", "1 active, 1 inactive", "&lt;script&gt;", "prefers-color-scheme"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(page, "<script") || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page can run a script")
	}
}
