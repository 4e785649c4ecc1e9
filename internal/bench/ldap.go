package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"jmld/internal/testserver"
	"jmld/model"
)

// ldapPart measures a directory read: into an empty store, and again with nothing changed.
func ldapPart(ctx context.Context, b *bench, entries int) error {
	search, err := exec.LookPath("ldapsearch")
	if err != nil {
		return fmt.Errorf("needs ldapsearch: apt-get install -y --no-install-recommends ldap-utils: %w", err)
	}
	return with(func(t *tb) error {
		const groups, big = 500, 5000
		b.say("a directory of %d people and %d groups", entries, groups)
		slapd := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(entries, groups, big)})
		floor, err := ldapsearch(ctx, search, slapd, entries+groups)
		if err != nil {
			return err
		}
		b.say("ldapsearch: %.1f s", floor)
		pg := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
		for _, db := range []struct {
			name, url string
			writes    func(ctx context.Context, url string) (func() (int64, error), error)
		}{
			{"sqlite", "sqlite:" + filepath.Join(t.TempDir(), "jmld.db"), liteWrites},
			{"postgres", pg.Database(t), pgWrites},
		} {
			first, err := childRead(ctx, slapd.URL, db.url)
			if err != nil {
				return fmt.Errorf("%s, empty store: %w", db.name, err)
			}
			if first.Funnel.New != entries+groups || first.Funnel.Create != entries {
				return fmt.Errorf("%s, empty store: %d new records and %d accounts, want %d and %d",
					db.name, first.Funnel.New, first.Funnel.Create, entries+groups, entries)
			}
			b.ldapFigure("into an empty store", db.name, entries, first, floor, nil)
			written, err := db.writes(ctx, db.url)
			if err != nil {
				return fmt.Errorf("%s: count rows: %w", db.name, err)
			}
			second, err := childRead(ctx, slapd.URL, db.url)
			if err != nil {
				return fmt.Errorf("%s, unchanged: %w", db.name, err)
			}
			rows, err := written()
			if err != nil {
				return fmt.Errorf("%s: count rows: %w", db.name, err)
			}
			b.ldapFigure("into an unchanged store", db.name, entries, second, floor, &rows)
			if rows != 0 || second.Funnel.Unchanged != entries+groups {
				return fmt.Errorf("%s, unchanged: %d rows written and %d entries unchanged, want 0 and %d", db.name, rows, second.Funnel.Unchanged, entries+groups)
			}
		}
		return nil
	})
}

func (b *bench) ldapFigure(what, db string, entries int, got childResult, floor float64, rows *int64) {
	b.figures = append(b.figures, figure{
		Name: fmt.Sprintf("ldap read of %d people %s, %s", entries, what, db), Value: got.Seconds, Unit: "s", Floor: floor,
		FloorName: "ldapsearch -E pr=1000/noprompt", Ratio: floor / got.Seconds, PeakMiB: float64(got.PeakKiB) / 1024, RowsWrites: rows,
	})
	b.say("%s %s: %.1f s, peak %d MiB", db, what, got.Seconds, got.PeakKiB/1024)
}

// ldapsearch reads the same entries and counts them.
func ldapsearch(ctx context.Context, program string, slapd *testserver.SlapdServer, want int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-x", "-LLL", "-o", "ldif-wrap=no", "-H", slapd.URL, "-D", testserver.SyncDN, "-w", testserver.Password,
		"-E", "pr=1000/noprompt", "-b", testserver.Base, "(|(objectClass=inetOrgPerson)(objectClass=groupOfNames))", "*", "entryUUID")
	var said bytes.Buffer
	count := &entryCounter{rest: []byte("\n")}
	cmd.Stdout, cmd.Stderr = count, &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("ldapsearch: %w: %s", err, said.String())
	}
	took := time.Since(start).Seconds()
	if count.n < want {
		return 0, fmt.Errorf("ldapsearch found %d entries, want %d", count.n, want)
	}
	return took, nil
}

// entryCounter counts the entries in LDIF as it goes by.
type entryCounter struct {
	n    int
	rest []byte
}

func (c *entryCounter) Write(p []byte) (int, error) {
	text := append(c.rest, p...)
	mark := []byte("\ndn:")
	c.n += bytes.Count(text, mark)
	c.rest = bytes.Clone(text[max(0, len(text)-len(mark)+1):])
	return len(p), nil
}

// childName as first argument makes this program read the directory once and say what that took: peak memory is of a
// process.
const childName = "read-directory"

type childResult struct {
	Seconds float64
	PeakKiB int64
	Funnel  model.Funnel
	Verdict model.Verdict
}

func childRead(ctx context.Context, ldapURL, dbURL string) (childResult, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return childResult{}, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, childName, ldapURL, dbURL)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return childResult{}, err
	}
	var res childResult
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		return childResult{}, err
	}
	if res.Verdict != model.VerdictComplete {
		return res, fmt.Errorf("the read is %q, want it complete", res.Verdict)
	}
	return res, nil
}

// peak is VmHWM of this process.
func peak() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); !ok || err != nil {
		return 0, fmt.Errorf("no VmHWM in /proc/self/status: %w", err)
	}
	return kib, nil
}

// child is the process: a store, an engine, one read.
func child(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("%s needs the urls of the directory and of the database", childName)
	}
	res, err := readOnce(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(res)
}
