package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts types what an operator types. Beside the usual commands of testscript there are
//
//	exits CODE COMMAND…          the command ends with that code
//	ready                        waits until the daemon at $ADDR is ready
//	scim STATUS METHOD PATH [FILE]  one request to $SCIM with the token in the file token; the body of the answer is in the file answer
//	http STATUS METHOD URL [-H HEADER]… [-u USER:PASSWORD] [-d BODY]  one request as curl would send it; its answer is in the file answer
//	until COMMAND…               repeats the command until it succeeds, for at most 20 seconds
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			addr := freeAddr(t)
			e.Setenv("ADDR", addr)
			e.Setenv("SCIM", "http://"+addr+"/scim/entra/v2")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("SOON", time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly))
			return expandFiles(e.WorkDir, addr)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "ready": scriptReady, "scim": scriptSCIM, "http": scriptHTTP, "until": scriptUntil,
		},
	})
}

// expandFiles puts the address into the script's configurations.
func expandFiles(dir, addr string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f, []byte(strings.ReplaceAll(string(text), "$ADDR", addr)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptReady(ts *testscript.TestScript, _ bool, _ []string) {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + ts.Getenv("ADDR") + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("the daemon is not ready after two minutes: %v", err)
		}
	}
}

func scriptSCIM(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: scim STATUS METHOD PATH [FILE]")
	}
	body := ""
	if len(args) == 4 {
		body = ts.ReadFile(args[3])
	}
	base := ts.Getenv("SCIM")
	req, err := http.NewRequest(args[1], base+args[2], strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile("token")))
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := (&http.Client{Timeout: 2 * time.Minute}).Do(req)
	ts.Check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text, 0o600))
	if got := strconv.Itoa(res.StatusCode); got != args[0] {
		ts.Fatalf("%s %s: status %s, want %s\n%s", args[1], args[2], got, args[0], text)
	}
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: http STATUS METHOD URL [-H HEADER]… [-u USER:PASSWORD] [-d BODY]")
	}
	req, err := http.NewRequest(args[1], args[2], nil)
	ts.Check(err)
	for i := 3; i < len(args); i += 2 {
		switch value := args[i+1]; args[i] {
		case "-H":
			name, v, _ := strings.Cut(value, ": ")
			if file, ok := strings.CutPrefix(v, "Bearer @"); ok {
				v = "Bearer " + strings.TrimSpace(ts.ReadFile(file))
			}
			req.Header.Set(name, v)
		case "-u":
			user, password, _ := strings.Cut(value, ":")
			req.SetBasicAuth(user, password)
		case "-d":
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(value)), int64(len(value))
			if req.Header.Get("Content-Type") == "" {
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
		default:
			ts.Fatalf("http: unknown flag %s", args[i])
		}
	}
	res, err := (&http.Client{Timeout: 2 * time.Minute}).Do(req)
	ts.Check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text, 0o600))
	if got := strconv.Itoa(res.StatusCode); got != args[0] {
		ts.Fatalf("%s %s: status %s, want %s\n%s", args[1], args[2], got, args[0], text)
	}
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("after two minutes still: %v", err)
		}
	}
}
