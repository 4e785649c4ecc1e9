package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// serveName as first argument makes this program answer SCIM on loopback, beside the floor behind a bare net/http handler, until
// its standard input ends: what it allocates is then its own.
const serveName = "serve-scim"

// hostileToken is the one that a hostile client has stolen.
const hostileToken = "bench-token-of-a-thief"

// memory is what the process says about its memory.
type memory struct {
	Mallocs uint64 `json:"mallocs"` // since the start
	Bytes   uint64 `json:"bytes"`   // since the start
	InUse   uint64 `json:"in_use"`  // heap and stacks
}

// usual are the limits of a source that the configuration says nothing about.
func usual() scim.Limits { return scim.Limits{Rate: 500, Burst: 1000, Concurrent: 64} }

// serve puts the daemon's SCIM side, the floor and a word about memory on one listener; it returns the URL. The workers of
// targets do not run: what is measured is what a client waits for.
func serve(ctx context.Context, t *tb, url string, limits scim.Limits) (served, error) {
	db, err := store.Open(ctx, store.Options{URL: url, ReadyConns: 8}) // as the daemon has them
	if err != nil {
		return served{}, err
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Logf("close store: %v", err)
		}
	})
	heap := &engine.Heap{}
	t.Cleanup(roomy(heap))
	e, err := assemble(db, heap)
	if err != nil {
		return served{}, err
	}
	for name, secret := range map[string]string{"bench": token, "thief": hostileToken} {
		hash := sha256.Sum256([]byte(secret))
		if err := db.AddToken(ctx, model.Token{ID: model.NewID(time.Now()), Source: pushed, Name: name, Hash: hash[:], CreatedAt: time.Now()}); err != nil {
			return served{}, err
		}
	}
	hand, closeFloor, err := openFloor(ctx, url)
	if err != nil {
		return served{}, fmt.Errorf("floor: %w", err)
	}
	t.Cleanup(closeFloor)
	ops := map[string]*scimOp{}
	for _, o := range scimOps(new(atomic.Int64), smallGroup) {
		ops[o.name] = o
	}
	plain := floorHandler(hand, ops)
	base, err := listen(t, func(url string) http.Handler {
		daemon := scim.New(scim.Options{Sources: []scim.Source{{Name: pushed, Access: scim.Access{Limits: limits}}}, URL: url, Pusher: e, Resources: db, Tokens: db})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, "/scim/"):
				daemon.ServeHTTP(w, r)
			case r.URL.Path == "/memory":
				var s runtime.MemStats
				runtime.ReadMemStats(&s)
				_ = json.NewEncoder(w).Encode(memory{s.Mallocs, s.TotalAlloc, s.HeapInuse + s.StackInuse}) // who asks reports half an answer
			default:
				plain.ServeHTTP(w, r)
			}
		})
	})
	if err != nil {
		return served{}, err
	}
	carrier, err := carry(t)
	return served{base, carrier, false}, err
}

// served is what serves; base is its URL, carrier that of carry, apart says that it is a process of its own.
type served struct {
	base, carrier string
	apart         bool
}

func (s served) client(path string, most int) (*client, error) { return newClient(s.base+path, most) }

func (s served) memory(ctx context.Context, c *client) (memory, error) {
	var m memory
	err := c.do(ctx, http.MethodGet, "/memory", "", http.StatusOK, func(body []byte) error { return json.Unmarshal(body, &m) })
	return m, err
}

// spawner starts the process. profile is a file for its CPU profile, "" for none.
func spawner(profile string) func(context.Context, *tb, string, scim.Limits) (served, error) {
	return func(ctx context.Context, t *tb, url string, limits scim.Limits) (served, error) {
		return spawn(ctx, t, url, limits, profile)
	}
}

func spawn(ctx context.Context, t *tb, url string, limits scim.Limits, profile string) (served, error) {
	self, err := os.Executable()
	if err != nil {
		return served{}, err
	}
	cmd := exec.CommandContext(ctx, self, serveName, url, fmt.Sprint(limits.Rate), fmt.Sprint(limits.Burst), fmt.Sprint(limits.Concurrent), profile)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return served{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return served{}, err
	}
	if err := cmd.Start(); err != nil {
		return served{}, err
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Logf("%s: %v", serveName, err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return served{}, fmt.Errorf("%s said no addresses: %w", serveName, err)
	}
	base, carrier, _ := strings.Cut(strings.TrimSpace(line), " ")
	return served{base, carrier, true}, nil
}

// serveChild is the process.
func serveChild(ctx context.Context, args []string, out io.Writer) error {
	var limits scim.Limits
	if len(args) != 5 {
		return fmt.Errorf("%s needs the url of the database and the limits", serveName)
	}
	if _, err := fmt.Sscan(strings.Join(args[1:4], " "), &limits.Rate, &limits.Burst, &limits.Concurrent); err != nil {
		return err
	}
	if args[4] != "" {
		f, err := os.Create(args[4])
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return with(func(t *tb) error {
		s, err := serve(ctx, t, args[0], limits)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, s.base, s.carrier)
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	})
}
