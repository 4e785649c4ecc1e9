package logs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"jmld/internal/logs"
	"jmld/model"
)

func TestJSONLinesHaveStableKeysAndUTC(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l, err := logs.New("json", "", &b)
	if err != nil {
		t.Fatal(err)
	}
	l.Debug("not at info")
	l.Named("engine").Warn("run failed", zap.String(model.FieldSource, "corp"), zap.String(model.FieldCode, string(model.CodeSourceBase)),
		zap.Duration(model.FieldDuration, 1500*time.Millisecond), zap.Error(errors.New("line\nbreak")))
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", b.Bytes(), err)
	}
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"]))
	if err != nil || at.Location() != time.UTC || time.Since(at) > time.Minute {
		t.Errorf("time %v: %v", line["time"], err)
	}
	delete(line, "time")
	want := map[string]any{"level": "warn", "logger": "engine", "message": "run failed", "source": "corp", "code": "JML-2004", "duration": 1.5, "error": "line\nbreak"}
	if d := cmp.Diff(want, line); d != "" {
		t.Error(d)
	}
	if n := strings.Count(b.String(), "\n"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestConsoleLinesAreForPeople(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l, err := logs.New("console", "debug", &b)
	if err != nil {
		t.Fatal(err)
	}
	l.Debug("run finished", zap.String(model.FieldSource, "corp"), zap.Duration(model.FieldDuration, 1500*time.Millisecond))
	if want := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}  debug  run finished  \{"source": "corp", "duration": "1.5s"\}\n$`); !want.MatchString(b.String()) {
		t.Errorf("%q", b.String())
	}
}

func TestLevelsAreThresholds(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"debug": 4, "info": 3, "": 3, "warn": 2, "error": 1} {
		var b bytes.Buffer
		l, err := logs.New("", level, &b)
		if err != nil {
			t.Fatal(err)
		}
		l.Debug("a")
		l.Info("b")
		l.Warn("c")
		l.Error("d")
		if got := strings.Count(b.String(), "\n"); got != want {
			t.Errorf("%q: %d lines, want %d", level, got, want)
		}
	}
}

func TestUnknownFormatAndLevelAreConfigurationErrors(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"xml", "info"}, {"json", "loud"}, {"json", "panic"}} {
		if _, err := logs.New(c[0], c[1], io.Discard); model.CodeOf(err) != model.CodeConfig || err == nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

type chunks struct{ lines []string }

func (c *chunks) Write(p []byte) (int, error) {
	c.lines = append(c.lines, string(p))
	return len(p), nil
}

func TestLinesOfSeveralGoroutinesDoNotMix(t *testing.T) {
	t.Parallel()
	var c chunks
	l, err := logs.New("json", "info", &c)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				l.Info("x")
			}
		})
	}
	wg.Wait()
	for _, line := range c.lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("%q", line)
		}
	}
	if len(c.lines) != 400 {
		t.Errorf("%d lines, want 400", len(c.lines))
	}
}
