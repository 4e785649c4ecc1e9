// Package scimapp is the target for any SCIM 2.0 service provider (RFC 7643, 7644), made for the ones there are: with
// PATCH or without, with filters or without, with proxies in between.
//
//	find    GET by native id; else filter externalId eq, then userName eq; what comes back is checked, not believed
//	write   POST; PATCH where the provider offers it, else PUT of the whole resource, always with active
//	check   GET again: the answer to Ensure is what the provider has, not what it was told
//
// An account found by userName that carries another externalId is somebody else's: a conflict, not an adoption.
package scimapp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/jml/engine"
	"jmld/model"
)

// Options say where the service provider is and how to talk to it.
type Options struct {
	Name string
	// URL is the base: https://app.example.org/scim/v2. http is accepted to loopback, or with Insecure.
	URL string
	// Token is asked before every request, so that it can be renewed while the daemon runs; nil: no Authorization header.
	Token func() (string, error)
	// CA replaces the system's certificate authorities.
	CA *x509.CertPool
	// Timeout is of one request, its answer read; 0: 10 s.
	Timeout time.Duration
	// Insecure accepts http to hosts that are not loopback.
	Insecure bool
	// ByHand are the steps that are never taken: Ensure ends with an *engine.ByHandError where one is needed.
	ByHand []model.Op
	// PageSize is asked for in listings; 0: 200.
	PageSize int
	Log      *zap.Logger      // nil: none
	Now      func() time.Time // nil: time.Now; for Retry-After dates
}

// Target keeps accounts in one service provider. Its methods may be called by several goroutines; connections are kept.
type Target struct {
	o    Options
	base string
	http *http.Client

	mu       sync.Mutex // guards offers
	offers   offers
	offersAt time.Time
}

// New checks the options; it does not connect.
func New(o Options) (*Target, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, model.Errorf(model.CodeConfig, "target %s: url is not one", o.Name) // the cause repeats the url, password included
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, model.Errorf(model.CodeConfig, "target %s: url must be https://host/path", o.Name)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, model.Errorf(model.CodeConfig, "target %s: url must not have user, query or fragment", o.Name)
	case u.Scheme == "http" && !o.Insecure && !loopback(u.Hostname()):
		return nil, model.Errorf(model.CodeConfig, "target %s: url must be https: a token does not travel in the clear", o.Name)
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.PageSize <= 0 {
		o.PageSize = 200
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Target{
		o:    o,
		base: strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"),
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            (&net.Dialer{Timeout: o.Timeout}).DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.CA},
				TLSHandshakeTimeout:    o.Timeout,
				ForceAttemptHTTP2:      true,
				MaxIdleConns:           32,
				MaxIdleConnsPerHost:    32,
				IdleConnTimeout:        90 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
			},
			// A redirect would take the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Name is the configured name.
func (t *Target) Name() string { return t.o.Name }

// Close gives idle connections back.
func (t *Target) Close() { t.http.CloseIdleConnections() }

// Ensure brings the account to what is wanted and returns it as the provider has it afterwards. Nothing is written when
// the provider has it already. A failure half-way is mended by the next try: it finds what was made.
func (t *Target) Ensure(ctx context.Context, want model.Account) (model.Account, error) {
	w, err := parseWant(want)
	w.hands = t.o.ByHand
	if err != nil {
		return want, engine.Permanent(err)
	}
	const tries = 3 // the account changed under our hands, or appeared, or went away
	for range tries {
		var got model.Account
		if got, err = t.ensure(ctx, w); !errors.Is(err, errMoved) {
			return got, err
		}
	}
	return want, model.Errorf(model.CodeTargetReadBack, "target %s: the account changes while it is being written", t.o.Name)
}

var (
	// errMoved: what was read is no longer so; look again.
	errMoved = errors.New("the account moved")
	// errBlind: the provider neither searches nor lists.
	errBlind = errors.New("the target neither searches nor lists users")
)

func (t *Target) ensure(ctx context.Context, w wanted) (model.Account, error) {
	active := w.account.State == model.AccountActive
	cur, err := t.locate(ctx, w)
	if errors.Is(err, errBlind) && active {
		err = nil // to make it is the only way to learn whether it exists
	}
	if err != nil {
		return w.account, err
	}
	if cur == nil && !active {
		return w.absent(), nil
	}
	found := cur != nil && cur.id != w.account.NativeID
	if cur == nil {
		if w.byHand(model.OpCreate) {
			var why string
			if id := w.account.NativeID; id != "" {
				why = t.name("account %s is not there, or has another userName and not our externalId", clip(id, 60))
			}
			return w.account, &engine.ByHandError{Op: model.OpCreate, Why: why}
		}
		if cur, found, err = t.create(ctx, w); err != nil {
			return w.account, err
		}
	}
	if found {
		w.account.Origin = model.OriginAdopted
		t.o.Log.Info("account found in target", zap.String(model.FieldTarget, t.o.Name), zap.String(model.FieldIdentity, w.account.IdentityID))
	} else if w.account.Origin == "" {
		w.account.Origin = model.OriginOurs
	}
	// Only what we take over, and what a person made, needs our mark; what we made has it.
	w.stamp = w.stamp && (found || w.byHand(model.OpCreate) && !w.known()) && !w.byHand(model.OpUpdate)
	w.account.NativeID = cur.id
	deletes := false
	if w.account.State == model.AccountAbsent {
		if deletes = !found || w.ours(cur.text("externalId")); deletes && !w.byHand(model.OpDelete) {
			return t.delete(ctx, w)
		}
		w.account.State = model.AccountInactive // what was there before us is not ours to delete, nor to mark; what a person deletes is of no use until then
		w.attrs, w.dropped, w.stamp = nil, nil, false
	}
	if len(w.mine(cur)) > 0 {
		if err := t.update(ctx, w, cur); err != nil {
			return w.account, err
		}
		if cur, err = t.get(ctx, cur.id); err != nil {
			return w.account, err
		}
		if cur == nil {
			return w.account, errMoved
		}
	}
	w.account.AppliedState, w.account.Applied = cur.state(), w.project(cur)
	switch {
	case deletes:
		return w.account, &engine.ByHandError{Op: model.OpDelete, Found: w.account}
	case w.left(cur) != "":
		return w.account, &engine.ByHandError{Op: w.left(cur), Found: w.account}
	case cur.state() != w.account.State:
		return w.account, model.Errorf(model.CodeTargetReadBack, "target %s accepted that the account is to be %s and it is %s",
			t.o.Name, w.account.State, cur.state())
	}
	return w.account, nil
}

// delete removes the account and looks whether it is gone: some providers only deactivate.
func (t *Target) delete(ctx context.Context, w wanted) (model.Account, error) {
	a, err := t.do(ctx, http.MethodDelete, "/Users/"+url.PathEscape(w.account.NativeID), nil, nil)
	if err != nil {
		return w.account, err
	}
	if a.status >= 300 && !a.missing() {
		return w.account, t.refusal(a)
	}
	cur, err := t.get(ctx, w.account.NativeID)
	if err != nil {
		return w.account, err
	}
	if cur != nil {
		return w.account, model.Errorf(model.CodeTargetReadBack,
			"target %s accepted the deletion and still has the account (%s); if it keeps what it deletes, use leaver: deactivate", t.o.Name, cur.state())
	}
	return w.absent(), nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (t *Target) name(format string, args ...any) string {
	return "target " + t.o.Name + ": " + fmt.Sprintf(format, args...)
}
