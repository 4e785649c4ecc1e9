package console_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jmld/internal/console"
	"jmld/model"
)

// go test ./internal/console -run Browser -screenshots DIR draws every page in light, dark and on a phone.
var screenshots = flag.String("screenshots", "", "directory for pictures of the pages")

func options(f *fake) console.Options {
	next := func(t time.Time) time.Time {
		n := time.Date(t.Year(), t.Month(), t.Day(), 6, 0, 0, 0, time.UTC)
		for !n.After(t) {
			n = n.AddDate(0, 0, 1)
		}
		return n
	}
	return console.Options{
		View: f, Approver: f, Now: now, Version: "test",
		Sources: []console.Source{{Name: "corp", Kind: "ldap", Next: next}, {Name: "entra", Kind: "scim"}},
		Targets: func() []console.Target {
			return []console.Target{{Name: "platform", Class: model.ClassPlatform, Kind: "local"}, {Name: "app", Class: model.ClassApp, Kind: "scim"}}
		},
	}
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no browser: install the package chromium")
	}
	t.Skip("no browser: install the package chromium")
	return ""
}

func browse(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium(t), append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
	}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return string(out)
}

// A real browser loads the style sheet in spite of the content policy, and finds what the pages promise.
func TestBrowserShowsThePages(t *testing.T) {
	t.Parallel()
	chromium(t)
	f := company(t)
	styled := make(chan struct{}, 100)
	h := console.New(options(f))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if strings.HasPrefix(r.URL.Path, "/static/console.css") {
			styled <- struct{}{}
		}
	}))
	defer srv.Close()
	for path, want := range map[string][]string{
		"/":                         {"Needs you", "8 changes are held by the guard", "Last complete read"},
		"/runs/" + f.runs[0].ID:     {"From entries to changes", "57</b> unchanged", "JML-3002"},
		"/sources/entra":            {"Entra legacy PATCH", "1,204", "read as false"},
		"/people/" + f.people[0].ID: {"What sources say", "Who that is", "What follows", f.people[0].DisplayName},
	} {
		dom := browse(t, "--dump-dom", srv.URL+path)
		for _, w := range want {
			if !strings.Contains(dom, w) {
				t.Errorf("%s does not show %q", path, w)
			}
		}
		select {
		case <-styled:
		default:
			t.Errorf("%s: the browser did not load the style sheet", path)
		}
	}
}

func TestBrowserScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("asked for with -screenshots DIR only")
	}
	f := company(t)
	working := options(f)
	working.Tasks, working.Requests = newTaskBook(), newRequestBook()
	srv := httptest.NewServer(console.New(working))
	defer srv.Close()
	locked := options(f)
	locked.Token = func() string { return "t" }
	lockedSrv := httptest.NewServer(console.New(locked))
	defer lockedSrv.Close()
	empty := httptest.NewServer(console.New(options(&fake{})))
	defer empty.Close()
	dead := f.accounts[0]
	for _, a := range f.accounts {
		if a.Dead {
			dead = a
		}
	}
	pages := map[string]string{
		"overview": srv.URL + "/", "runs": srv.URL + "/runs", "run": srv.URL + "/runs/" + f.runs[0].ID, "runincomplete": srv.URL + "/runs/" + f.runs[1].ID,
		"held": srv.URL + "/held", "plan": srv.URL + "/held/" + f.plans[0].ID, "people": srv.URL + "/people",
		"person": srv.URL + "/people/" + f.people[0].ID, "persondead": srv.URL + "/people/" + dead.IdentityID, "accounts": srv.URL + "/accounts?only=unsettled",
		"changes": srv.URL + "/changes", "problems": srv.URL + "/problems?retried=3", "missing": srv.URL + "/nowhere", "login": lockedSrv.URL + "/login",
		"empty": empty.URL + "/", "source": srv.URL + "/sources/entra",
		"tasks": srv.URL + "/tasks?status=all", "task": srv.URL + "/tasks/t1",
		"requests": srv.URL + "/requests?status=all", "request": srv.URL + "/requests/q1",
	}
	for name, url := range pages {
		for mode, args := range map[string][]string{
			"light": {"--window-size=1280,1500"},
			"dark":  {"--window-size=1280,1500", "--blink-settings=preferredColorScheme=0"},
			"phone": {"--window-size=500,1700"},
		} {
			browse(t, append(args, "--screenshot="+filepath.Join(*screenshots, name+"-"+mode+".png"), url)...)
		}
	}
}
