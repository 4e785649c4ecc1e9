package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// Options make a console.
type Options struct {
	View     View
	Approver Approver
	// Correlator decides whom records are about; nil: the console only counts those that are disputed.
	Correlator Correlator
	// Tasks are what people have to do; nil: no page shows them.
	Tasks TaskBook
	// Requests are what people ask for; nil: no page shows them.
	Requests RequestBook
	Log      *zap.Logger // nil: silent

	// Token returns the operator token as it is now. With nil Token the console is open to this machine alone. A Token
	// that returns "" lets nobody in: an unreadable secret must not open the door.
	Token func() string
	// Secure marks the session cookie Secure also when a proxy ends TLS in front.
	Secure bool

	Sources []Source // in order of precedence
	// Targets are those configured now; nil: none.
	Targets func() []Target

	Version string
	Now     func() time.Time // nil: time.Now
}

// Source is a configured source.
type Source struct {
	Name string
	Kind string // "ldap", "scim"
	// Next is when the source is read next after the time given; nil: it is not read on a schedule. A zero time means
	// never.
	Next func(time.Time) time.Time
}

// Reads reports whether jmld reads the source, rather than being written to.
func (s Source) Reads() bool { return s.Kind != "scim" }

// Target is a configured target.
type Target struct {
	Name  string
	Class model.Class
	Kind  string // "local", "scim", "manual", "memory"
}

// Limits of what one page asks for.
const (
	pageTimeout  = 15 * time.Second // of one page, database included
	tallyTTL     = 10 * time.Second // the figures in the navigation may be this old
	pageRows     = 50               // rows of a list
	heldRows     = 100              // rows of a held plan
	bodyLimit    = 16 << 10         // a form
	maxParameter = 200              // bytes of a search or filter
)

type console struct {
	o     Options
	log   *zap.Logger
	pages *pages
	doors *doors

	tally struct {
		sync.Mutex
		at    time.Time
		value model.Tally
	}
}

// New makes the handler of the console: every path that no other handler has.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &console{o: o, log: o.Log}
	c.pages = newPages(c.now)
	c.doors = newDoors(o, c.now)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/", c.static)
	mux.HandleFunc("GET /login", c.loginForm)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	if o.Correlator != nil {
		mux.HandleFunc("GET /disputed", c.page(c.disputed))
		mux.HandleFunc("GET /disputed/{source}/{id...}", c.page(c.correlation))
		mux.HandleFunc("POST /disputed/{source}/{id...}", c.page(c.decideCase))
	}
	if o.Tasks != nil {
		mux.HandleFunc("GET /tasks", c.page(c.tasks))
		mux.HandleFunc("GET /tasks/{id}", c.page(c.task))
		mux.HandleFunc("POST /tasks/{id}", c.page(c.decideTask))
	}
	if o.Requests != nil {
		mux.HandleFunc("GET /requests", c.page(c.requests))
		mux.HandleFunc("GET /requests/{id}", c.page(c.request))
		mux.HandleFunc("POST /requests/{id}", c.page(c.decideRequest))
	}
	for pattern, f := range map[string]pageFunc{
		"GET /{$}":                  c.overview,
		"GET /runs":                 c.runs,
		"GET /runs/{id}":            c.run,
		"GET /held":                 c.held,
		"GET /held/{plan}":          c.plan,
		"POST /held/{plan}/approve": c.approve,
		"GET /people":               c.people,
		"GET /people/{id}":          c.person,
		"GET /accounts":             c.accounts,
		"POST /accounts/retry":      c.retry,
		"GET /changes":              c.changes,
		"GET /problems":             c.problems,
		"GET /sources/{name}":       c.source,
		"/":                         c.nowhere,
	} {
		mux.HandleFunc(pattern, c.page(f))
	}
	return c.secure(mux)
}

func (c *console) targets() []Target {
	if c.o.Targets == nil {
		return nil
	}
	return c.o.Targets()
}

func (c *console) now() time.Time { return c.o.Now().UTC() }

// figures are the counts in the navigation: kept for a moment, because every page shows them and counting is a query
// over all accounts.
func (c *console) figures(ctx context.Context) (model.Tally, error) {
	c.tally.Lock()
	defer c.tally.Unlock()
	now := c.now()
	if !c.tally.at.IsZero() && now.Sub(c.tally.at) < tallyTTL && !now.Before(c.tally.at) {
		return c.tally.value, nil
	}
	t, err := c.o.View.Tally(ctx)
	if err != nil {
		return model.Tally{}, err
	}
	c.tally.value, c.tally.at = t, now
	return t, nil
}

// forget makes the next page count anew: an operator who just acted wants to see it.
func (c *console) forget() {
	c.tally.Lock()
	defer c.tally.Unlock()
	c.tally.at = time.Time{}
}
