package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/internal/capture"
	"jmld/model"
)

// Bounds of one capture.
const (
	maxCapture      = 24 * time.Hour
	maxCaptureBytes = 512 << 20
	captureRead     = 20 // lines at a time
	captureEvery    = 500 * time.Millisecond
	capturePatience = 20 * time.Second // with a database that does not answer
)

type captureJSON struct {
	Schema    string `json:"schema"`
	Source    string `json:"source"`
	File      string `json:"file"`
	Exchanges int    `json:"exchanges"`
	Lost      int64  `json:"lost"`
	Reason    string `json:"reason"`
	Begun     string `json:"begun"`
	Ended     string `json:"ended"`
}

// captureFlags are of one command line.
type captureFlags struct {
	life time.Duration
	out  string
	most int
	by   string
}

func newSCIMCapture(a *app) *cobra.Command {
	var o captureFlags
	cmd := &cobra.Command{
		Use:   "capture SOURCE",
		Short: "Record what an identity provider sends and is answered, without saying who the people are",
		Long: "capture records requests and answers of one source, of every running daemon, into a file that only you can read, until the time is over or\n" +
			"Ctrl-C. Personal values are replaced by pseudonyms of the same shape; credentials and passwords are left out. `jmld scim replay` plays\n" +
			"the file to a database of its own. No request is refused because of it, and none waits longer than half a second for what only the\n" +
			"capture wants to know: what is too much is lost to the file, and counted.",
		Example: `  jmld scim capture entra --for 30m
  jmld scim capture entra --for 2h --out entra-monday.jsonl
  jmld scim replay entra-monday.jsonl`,
		Args:              exactly("SOURCE"),
		ValidArgsFunction: a.completeSource(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.life < time.Second || o.life > maxCapture:
				return usage(fmt.Errorf("--for %s: 1s to %s is expected", o.life, maxCapture))
			case o.most < 1 || o.most > 1_000_000:
				return usage(fmt.Errorf("--max-exchanges %d: 1 to 1000000 is expected", o.most))
			}
			return a.scimCapture(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.life, "for", 30*time.Minute, "how long: 30m, 2h; at most 24h")
	f.StringVar(&o.out, "out", "", "`file` to make (default capture-SOURCE-TIME.jsonl)")
	f.IntVar(&o.most, "max-exchanges", 10_000, "end after so many requests")
	f.StringVar(&o.by, "by", "", "`name` of the person who asks (default: your account here)")
	return cmd
}

func (a *app) scimCapture(ctx context.Context, source string, o captureFlags) (err error) {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.needPushed(source); err != nil {
		return err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	now := a.now().UTC()
	name := orElse(o.out, fmt.Sprintf("capture-%s-%s.jsonl", source, now.Format("20060102T150405Z")))
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	c, err := s.store.StartCapture(ctx, model.Capture{ID: model.NewID(now), Source: source, Key: key, Actor: a.operator(o.by)}, o.life)
	if err != nil {
		err = errors.Join(a.captured(ctx, s, source, err), file.Close(), os.Remove(name))
		return err
	}
	r := &recording{app: a, site: s, capture: c, file: file, to: bufio.NewWriter(file), most: o.most, end: time.Now().Add(o.life)}
	return r.run(ctx, name)
}

// captured says who captures the source already.
func (a *app) captured(ctx context.Context, s *site, source string, err error) error {
	if !errors.Is(err, model.ErrConflict) {
		return fmt.Errorf("begin the capture: %w", err)
	}
	other, lookErr := s.store.CaptureOf(ctx, source)
	if lookErr != nil {
		return fmt.Errorf("source %s is captured by somebody else", source)
	}
	return fmt.Errorf("source %s is captured by %s until %s; one capture of a source at a time", source, line(other.Actor), at(other.Until))
}

// recording is one capture while it goes on.
type recording struct {
	app     *app
	site    *site
	capture model.Capture
	file    *os.File
	to      *bufio.Writer
	most    int
	end     time.Time

	exchanges int
	lost      int64
	bytes     int64
}

// run records until the end, whatever ends it; then nothing of it is in the database.
func (r *recording) run(ctx context.Context, name string) error {
	reason, err := r.record(ctx, name)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), capturePatience)
	defer cancel()
	err = errors.Join(err, r.finish(last, reason))
	r.app.endProgress()
	if cerr := r.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("capture of source %s into %s: %w", r.capture.Source, name, err)
	}
	if r.app.json() {
		return r.app.printJSON(captureJSON{
			Schema: "jmld.scim-capture/1", Source: r.capture.Source, File: name, Exchanges: r.exchanges, Lost: r.lost, Reason: reason,
			Begun: r.capture.StartedAt.Format(timeJSON), Ended: r.app.now().UTC().Format(timeJSON),
		})
	}
	r.app.printf("%s in %s", count(r.exchanges, "exchange"), line(name))
	if r.lost > 0 {
		r.app.printf(", %d lost", r.lost)
	}
	r.app.printf("\n")
	return nil
}

func (r *recording) record(ctx context.Context, name string) (reason string, err error) {
	if err := r.audit(ctx, "scim.capture.begin", map[string]any{"until": r.capture.Until.Format(timeJSON)}); err != nil {
		return "failed", err
	}
	header := capture.Header{
		Format: capture.Format, Version: version, ID: r.capture.ID, Source: r.capture.Source,
		Begun: r.capture.StartedAt, Until: r.capture.Until, Settings: settingsOf(r.site, r.capture.Source),
	}
	if err := r.write(header); err != nil {
		return "failed", err
	}
	// Whoever reads the next line may rely on it: by then every daemon records.
	if !pause(ctx, min(capture.Settle, time.Until(r.end))) {
		return "stopped", nil
	}
	if !r.app.json() {
		fmt.Fprintf(r.app.stderr, "capturing source %s until %s into %s; Ctrl-C ends it\n", r.capture.Source, at(r.capture.Until), line(name))
	}
	answered, told := time.Now(), time.Now()
	for {
		err := r.step(ctx)
		switch {
		case err == nil:
			answered = time.Now()
		case ctx.Err() != nil:
			return "stopped", nil
		case !errors.Is(err, model.ErrUnavailable) || time.Since(answered) > capturePatience:
			return "failed", err
		}
		if r.exchanges >= r.most || r.bytes >= maxCaptureBytes {
			return "full", nil
		}
		left := time.Until(r.end)
		if left <= 0 {
			return "time", nil
		}
		told = r.tell(told)
		if !pause(ctx, min(captureEvery, left)) {
			return "stopped", nil
		}
	}
}

func (r *recording) step(ctx context.Context) error {
	if err := r.site.store.TouchCapture(ctx, r.capture.ID); err != nil {
		if errors.Is(err, model.ErrStale) && time.Until(r.end) <= 0 {
			return nil
		}
		return err
	}
	return r.drain(ctx)
}

// drain brings what the daemons recorded into the file.
func (r *recording) drain(ctx context.Context) error {
	for r.exchanges < r.most && r.bytes < maxCaptureBytes {
		lines, err := r.site.store.CaptureLines(ctx, r.capture.ID, min(captureRead, r.most-r.exchanges))
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, l := range lines {
			if strings.HasPrefix(l.Text, `{"exchange"`) {
				r.exchanges++
			} else {
				var other capture.Line
				if err := json.Unmarshal([]byte(l.Text), &other); err == nil && other.Lost != nil {
					r.lost += other.Lost.Exchanges
				}
			}
			n, err := r.to.WriteString(l.Text + "\n")
			if r.bytes += int64(n); err != nil {
				return err
			}
		}
		if err := r.to.Flush(); err != nil {
			return err
		}
		if err := r.site.store.DropCaptureLines(ctx, lines); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the recording in every daemon, takes what they still have, and removes the capture.
func (r *recording) finish(ctx context.Context, reason string) error {
	err := r.site.store.StopCapture(ctx, r.capture.ID)
	if err == nil && reason != "full" {
		pause(ctx, capture.Settle+captureEvery)
		err = r.drain(ctx)
	}
	err = errors.Join(err, r.site.store.EndCapture(ctx, r.capture.ID))
	err = errors.Join(err, r.audit(ctx, "scim.capture.end", map[string]any{"exchanges": r.exchanges, "lost": r.lost, "reason": reason}))
	if err != nil {
		return errors.Join(err, r.to.Flush())
	}
	return errors.Join(r.write(capture.Line{End: &capture.End{At: r.app.now().UTC(), Reason: reason, Exchanges: r.exchanges, Lost: r.lost}}), r.file.Sync())
}

func (r *recording) write(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	n, err := r.to.Write(append(text, '\n'))
	r.bytes += int64(n)
	return errors.Join(err, r.to.Flush())
}

func (r *recording) audit(ctx context.Context, action string, detail map[string]any) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	now := r.app.now().UTC()
	return r.site.store.AddAudit(ctx, model.AuditEntry{
		ID: model.NewID(now), At: now, Actor: r.capture.Actor, Action: action, Source: r.capture.Source, Subject: r.capture.ID, Detail: string(text),
	})
}

// tell shows how far it is: always on a terminal, now and then elsewhere.
func (r *recording) tell(last time.Time) time.Time {
	switch {
	case r.app.json():
	case isTerminal(r.app.stderr):
		fmt.Fprintf(r.app.stderr, "\r%s, %d lost, %s left\x1b[K", count(r.exchanges, "exchange"), r.lost, time.Until(r.end).Round(time.Second))
	case time.Since(last) > 30*time.Second:
		fmt.Fprintf(r.app.stderr, "%s, %d lost\n", count(r.exchanges, "exchange"), r.lost)
		return time.Now()
	}
	return last
}

// pause waits; false: it was interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// settingsOf is what of the source's configuration decides about answers.
func settingsOf(s *site, source string) capture.Settings {
	c := s.source(source).SCIM
	return capture.Settings{
		MaxBody: int64(c.MaxBody), Bounds: capture.Bounds(scimBounds(&c.Limits)), Strict: c.Strict, Cursors: c.Cursors, Silent: c.Unassigned == "silent", Extensions: s.cfg.Declared(),
	}
}
