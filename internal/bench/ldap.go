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
	"runtime/pprof"
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
		groups, big := entries/200, entries/20
		all := entries + groups
		b.say("a directory of %d people and %d groups", entries, groups)
		slapd := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(entries, groups, big)})
		pg := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
		var first, second [2]childResult
		var written [2]int64
		bases := [2]struct {
			name, url string
			writes    func(ctx context.Context, url string) (func() (int64, error), error)
		}{{"PostgreSQL", pg.Database(t), pgWrites}, {"SQLite", "sqlite:" + filepath.Join(t.TempDir(), "jmld.db"), liteWrites}}
		for i, db := range bases {
			if first[i], err = childRead(ctx, slapd.URL, db.url); err != nil {
				return fmt.Errorf("%s, empty store: %w", db.name, err)
			}
			b.say("%s, empty store: %s", db.name, first[i])
			if f := first[i].Funnel; f.New != all || f.Create != entries {
				return fmt.Errorf("%s, empty store: %d new records and %d accounts, want %d and %d", db.name, f.New, f.Create, all, entries)
			}
		}
		copying, rows, err := copied(ctx, bases[0].url, pg.Database(t), t.TempDir())
		if err != nil {
			return err
		}
		b.say("COPY of the %d rows: %.1f s", rows, copying)
		floor, err := ldapsearch(ctx, search, slapd, all)
		if err != nil {
			return err
		}
		b.say("ldapsearch: %.1f s", floor)
		for i, db := range bases {
			count, err := db.writes(ctx, db.url)
			if err != nil {
				return fmt.Errorf("%s: count rows: %w", db.name, err)
			}
			if second[i], err = childRead(ctx, slapd.URL, db.url); err != nil {
				return fmt.Errorf("%s, unchanged: %w", db.name, err)
			}
			b.say("%s, unchanged: %s", db.name, second[i])
			if written[i], err = count(); err != nil {
				return fmt.Errorf("%s: count rows: %w", db.name, err)
			}
			if written[i] != 0 || second[i].Funnel.Unchanged != all {
				return fmt.Errorf("%s, unchanged: %d rows written and %d entries unchanged, want 0 and %d", db.name, written[i], second[i].Funnel.Unchanged, all)
			}
		}
		for i, db := range bases {
			b.firstImport(db.name, entries, first[i], copying, rows)
			b.unchanged(db.name, entries, all, second[i], floor, &written[i])
		}
		return nil
	})
}

func (b *bench) firstImport(db string, entries int, got childResult, copying float64, rows int64) {
	f := figure{
		Name: fmt.Sprintf("ldap first import of %d people with decisions and accounts, %s", entries, db), Unit: "people/s",
		Value: float64(entries) / got.Seconds, Floor: float64(entries) / copying,
		FloorName: fmt.Sprintf("PostgreSQL COPY of the same %d rows", rows), PeakMiB: float64(got.PeakKiB) / 1024, Note: got.where(),
	}
	f.Ratio = f.Value / f.Floor
	b.figures = append(b.figures, f.atLeast("a third of COPY", f.Ratio, 1.0/3))
}

func (b *bench) unchanged(db string, entries, all int, got childResult, floor float64, rows *int64) {
	name := fmt.Sprintf("ldap read of %d people unchanged, %s", entries, db)
	wall := figure{
		Name: name, Value: got.Seconds, Unit: "s", Floor: floor, FloorName: "ldapsearch -E pr=1000/noprompt", Ratio: floor / got.Seconds,
		PeakMiB: float64(got.PeakKiB) / 1024, RowsWrites: rows, Note: got.where(),
	}
	cpu := figure{Name: name + ", processor", Value: got.CPU * 1e6 / float64(all), Unit: "µs/entry"}
	allocs := figure{Name: name + ", allocations", Value: float64(got.Allocs) / float64(all), Unit: "per entry"}
	b.figures = append(b.figures, wall.atMost("1.25 x ldapsearch", wall.Value, 1.25*floor), cpu.atMost("13", cpu.Value, 13), allocs.atMost("4", allocs.Value, 4))
}

func (f figure) atMost(target string, value, most float64) figure {
	met := value <= most
	f.Target, f.Met = "<= "+target, &met
	return f
}

func (f figure) atLeast(target string, value, least float64) figure {
	met := value >= least
	f.Target, f.Met = ">= "+target, &met
	return f
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

// profileVar is an environment variable: a file for the CPU profile of such a process, with the number of the process behind.
const profileVar = "BENCH_PROFILE"

// childResult is what a process did that read the directory.
type childResult struct {
	Seconds float64
	CPU     float64 // seconds of processor time of the process, in all
	Allocs  uint64
	PeakKiB int64
	Phases  []model.Phase
	Funnel  model.Funnel
	Verdict model.Verdict
}

// where says where the time went.
func (r childResult) where() string {
	var parts []string
	for _, p := range r.Phases {
		if p.Took > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f s", p.Name, float64(p.Took)/1000))
		}
	}
	return fmt.Sprintf("%s; processor %.1f s", strings.Join(parts, ", "), r.CPU)
}

func (r childResult) String() string {
	return fmt.Sprintf("%.1f s (%s), peak %d MiB", r.Seconds, r.where(), r.PeakKiB/1024)
}

func childRead(ctx context.Context, ldapURL, dbURL string) (childResult, error) {
	var res childResult
	if err := runChild(ctx, &res, childName, ldapURL, dbURL); err != nil {
		return res, err
	}
	if res.Verdict != model.VerdictComplete {
		return res, fmt.Errorf("the read is %q, want it complete", res.Verdict)
	}
	return res, nil
}

// runChild runs this program once more and takes its result.
func runChild(ctx context.Context, into any, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	return json.Unmarshal(out.Bytes(), into)
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
	if file := os.Getenv(profileVar); file != "" {
		f, err := os.Create(fmt.Sprintf("%s.%d", file, os.Getpid()))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	res, err := readOnce(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(res)
}
