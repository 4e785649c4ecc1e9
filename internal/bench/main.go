// Command bench measures jmld beside a floor that does the same work without it, prints one table and writes
// bench/latest.json. `go run ./internal/bench` measures everything; a name (scim, ldap, jml) selects.
//
//	scim   requests of a SCIM client over HTTP on loopback to a process of their own, each write durable when it is answered, in
//	       a store of ten thousand and of a million resources; floor: the same statements by plain database/sql and pgx, as
//	       durable, by as many clients, alone and behind a bare net/http handler. Then a hostile second.
//	ldap   a directory of 100,000 people from a real slapd into an empty and into an unchanged store, with the peak memory
//	       of the process; floors: PostgreSQL COPY of the rows written, and ldapsearch of the entries read.
//	ldap-group   a group of 50,000 members from a real slapd: how long, and how much more memory
//	ldap-memory  a million people, served by a scripted server that streams them, into a store that knows them all
//	jml    decisions a second; floor: reading and writing the same records as JSON. Rights in a deep tree of groups, of a tenth of
//	       its people and of all. Events and a review of everybody, by twenty rules for ten targets, in stores of ten thousand and
//	       of a million people: what one costs must not grow, nor memory
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"jmld/scim"
)

// figure is one line of the table.
type figure struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Floor     float64 `json:"floor"`
	FloorName string  `json:"floor_name"`
	// Ratio is how much of the floor is reached: value/floor where more is better, floor/value where less is.
	Ratio float64 `json:"ratio"`
	// Behind is the rate of the floor behind a bare net/http handler.
	Behind      float64 `json:"behind_http,omitempty"`
	BehindRatio float64 `json:"behind_http_ratio,omitempty"`
	Allocs      float64 `json:"allocations_per_request,omitempty"`
	KiB         float64 `json:"kib_per_request,omitempty"`
	// Target is what Ratio, or Value where that is a limit, has to reach; Met says whether.
	Target     string  `json:"target,omitempty"`
	Met        *bool   `json:"met,omitempty"`
	P50        float64 `json:"p50_ms,omitempty"`
	P99        float64 `json:"p99_ms,omitempty"`
	FloorP99   float64 `json:"floor_p99_ms,omitempty"`
	PeakMiB    float64 `json:"peak_mib,omitempty"`
	RowsWrites *int64  `json:"rows_written,omitempty"`
	Note       string  `json:"note,omitempty"`
}

// bench collects figures; say tells what is being done.
type bench struct {
	figures []figure
	out     io.Writer
	round   time.Duration
	scim    scimChoice
	spawn   func(ctx context.Context, t *tb, url string, limits scim.Limits) (served, error)
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, "  "+format+"\n", args...) }

// add takes a pair of rates.
func (b *bench) add(name, unit string, got, floor measured, against string) {
	f := figure{
		Name: name, Value: got.rate(), Unit: unit, Floor: floor.rate(), FloorName: against, Ratio: got.rate() / floor.rate(),
		P50: got.at(0.50), P99: got.at(0.99), FloorP99: floor.at(0.99),
	}
	b.figures = append(b.figures, f)
	b.say("%s: %s of %s, %.2f", name, number(f.Value), number(f.Floor), f.Ratio)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case childName:
			return child(ctx, args[1:], out)
		case groupName:
			return groupChild(ctx, args[1:], out)
		case serveName:
			return serveChild(ctx, args[1:], out)
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	round := flags.Duration("round", 1500*time.Millisecond, "how long each kind of request is measured, and its floor")
	million := flags.Int("many", 1_000_000, "ldap-memory: people in the directory")
	entries := flags.Int("entries", 100_000, "people in the directory")
	people := flags.String("people", "10000,1000000", "jml: how many people are in the store")
	var choice scimChoice
	flags.StringVar(&choice.databases, "db", "sqlite,postgres", "scim, ldap-memory and jml: which databases")
	flags.StringVar(&choice.sizes, "resources", "10000,1000000", "scim: how many resources are there")
	flags.StringVar(&choice.clients, "clients", "1,16", "scim: how many clients are at it, at most 16")
	flags.StringVar(&choice.only, "op", "", "scim: only operations, or parts, whose name holds this: create, PATCH, hostile, …")
	flags.Int64Var(&choice.group, "group", 100_000, "scim: how many members the large groups have")
	profile := flags.String("profile", "", "file for a CPU profile: of the process that serves SCIM, the last one there was, or of jml")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *profile != "" && slices.Contains(flags.Args(), "jml") {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	parts := map[string]func(context.Context, *bench) error{
		"scim": scimPart, "ldap": func(ctx context.Context, b *bench) error { return ldapPart(ctx, b, *entries) }, "ldap-group": groupPart, "jml": func(ctx context.Context, b *bench) error {
			return errors.Join(jmlPart(ctx, b), peoplePart(ctx, b, *people))
		},
		"ldap-memory": func(ctx context.Context, b *bench) error { return memoryPart(ctx, b, *million) },
	}
	names := flags.Args()
	if len(names) == 0 {
		names = []string{"jml", "scim", "ldap", "ldap-group"}
	}
	b := &bench{out: out, round: *round, scim: choice, spawn: spawner(*profile)}
	start := time.Now()
	var errs []error
	for _, name := range names {
		part := parts[name]
		if part == nil {
			return fmt.Errorf("nothing is called %q: scim, ldap, ldap-group, ldap-memory or jml", name)
		}
		fmt.Fprintln(os.Stderr, name)
		if err := part(ctx, b); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err)) // the others are measured all the same
		}
	}
	fmt.Fprintf(os.Stderr, "  %d CPUs, %s\n", runtime.NumCPU(), time.Since(start).Round(time.Second))
	errs = append(errs, b.table(), b.store(filepath.Join("bench", "latest.json")))
	return errors.Join(errs...)
}

func (b *bench) table() error {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "measurement\tvalue\tunit\tp50 ms\tp99 ms\tallocs\tKiB\tfloor\tfloor p99\tof floor\ttarget\tfloor+http\tof that\t  against")
	for _, f := range b.figures {
		notes := f.FloorName
		if f.PeakMiB > 0 {
			notes += fmt.Sprintf("; peak %.0f MiB", f.PeakMiB)
		}
		if f.RowsWrites != nil {
			notes += fmt.Sprintf("; %d rows written", *f.RowsWrites)
		}
		if f.Note != "" {
			notes += "; " + f.Note
		}
		target := f.Target
		if f.Met != nil && !*f.Met {
			target += " MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", f.Name, number(f.Value), f.Unit, number(f.P50), number(f.P99),
			number(f.Allocs), number(f.KiB), number(f.Floor), number(f.FloorP99), number(f.Ratio), target, number(f.Behind), number(f.BehindRatio),
			strings.TrimPrefix(notes, "; "))
	}
	return w.Flush()
}

func number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// store writes the figures beside the table, for the next time.
func (b *bench) store(path string) error {
	text, err := json.MarshalIndent(b.figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
