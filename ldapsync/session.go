package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// oidDomainScope is the control that keeps Active Directory from referring to other naming contexts ([MS-ADTS] §3.1.1.3.4.1.4).
const oidDomainScope = "1.2.840.113556.1.4.1339"

// session is one bound connection and what went over it. There is no reconnecting: a read that loses its connection
// has failed.
type session struct {
	src     *Source
	server  server
	conn    *wire.Conn
	stop    func() bool // of watching ctx
	instead []error     // of servers that were tried before

	connected, bound time.Duration // how long it took
	since            time.Time     // when it was bound

	pages         int // answered with success
	unpaged       int // of them, without the paging control
	openCookies   int // lists that did not end with an empty cookie
	referrals     int // continuation references
	firstReferral string
}

// open connects to one of the servers and binds. The caller closes the session.
func (s *Source) open(ctx context.Context) (*session, error) {
	password, err := s.secret()
	if err != nil {
		return nil, err
	}
	s.at = ""
	list, err := s.servers(ctx)
	if err != nil {
		return nil, s.orInterrupted(ctx, err)
	}
	var failed []error
	for _, v := range list {
		c, err := s.openAt(ctx, v, password)
		if err == nil {
			delete(s.trouble, v.url)
			c.instead = failed
			return c, nil
		}
		if err = s.orInterrupted(ctx, err); ctx.Err() != nil {
			return nil, err
		}
		failed = append(failed, err)
		switch model.CodeOf(err) {
		case model.CodeSourceUnreachable, model.CodeSourceTLS:
			s.trouble[v.url] = s.now()
			continue
		}
		break // what one server refuses they all do, and each try counts towards a lock-out
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	return nil, model.Errorf(model.CodeOf(failed[0]), "%w%s", failed[0], s.alsoFailed(failed[1:]))
}

// openAt connects to one server and binds.
func (s *Source) openAt(ctx context.Context, v server, password string) (*session, error) {
	s.at = v.url
	start := time.Now()
	conn, err := s.connect(ctx, v)
	if err != nil {
		return nil, err
	}
	c := &session{src: s, server: v, conn: conn, connected: time.Since(start)}
	// The connection's calls have no context: when ctx is done, the connection is.
	c.stop = context.AfterFunc(ctx, func() { conn.Abort(context.Cause(ctx)) })
	start = time.Now()
	if err := s.bind(ctx, conn, v, password); err != nil {
		var known *model.Error
		switch {
		case errors.As(err, &known):
		case s.o.ClientCertificate != "" && ctx.Err() == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
			// In TLS 1.3 a server looks at the client's certificate when we think that we are through.
			err = s.failed(model.CodeSourceTLS, "bind as "+s.who(), fmt.Errorf("does the server accept the client certificate? %w", err))
		default:
			err = s.failedAnswer(ctx, "bind as "+s.who(), false, err)
		}
		c.close()
		return nil, err
	}
	c.since = time.Now()
	c.bound = c.since.Sub(start)
	s.o.Log.Debug("bound", zap.String(model.FieldSource, s.o.Name),
		zap.Stringer(model.FieldAddress, conn.RemoteAddr()), zap.String(fieldDN, s.who()))
	return c, nil
}

// orInterrupted is err, or the reason why ctx ended, when it has.
func (s *Source) orInterrupted(ctx context.Context, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // a dialer sees the time a moment before the context says so
	}
	if ctx.Err() != nil {
		return s.failed(model.CodeSourceInterrupted, "connect", context.Cause(ctx))
	}
	return err
}

// alsoFailed is what the other servers did, in one line.
func (s *Source) alsoFailed(list []error) string {
	var b strings.Builder
	for _, err := range list {
		b.WriteString("; then " + strings.TrimPrefix(err.Error(), "read ldap source "+s.o.Name+" "))
	}
	return b.String()
}

func (c *session) close() {
	c.stop()
	c.conn.Close()
}

// whoAmI asks for the authorization identity, RFC 4532. known is false when the server does not support it.
func (c *session) whoAmI(ctx context.Context) (id string, known bool, err error) {
	id, err = c.conn.WhoAmI()
	if err == nil {
		return id, true, nil
	}
	var answer *ldap.Error
	if errors.As(err, &answer) && c.conn.Err() == nil {
		return "", false, nil
	}
	return "", false, c.src.failedAnswer(ctx, "ask who we are", true, err)
}

// baseID reads the id of one entry: the server's word that it still holds the tree, and the same one.
func (c *session) baseID(ctx context.Context, dn string) (string, error) {
	id, found, step := "", 0, "read the entry "+dn
	_, err := c.search(ctx, step, wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attrs: []string{c.src.o.ID}},
		func(e *wire.Entry) error {
			found++
			if values := rawValues(e, c.src.o.ID); len(values) == 1 {
				// An id that cannot be read is no id: the proof says so.
				id, _ = decodeID(c.src.o.ID, values[0])
			}
			return nil
		})
	if err != nil {
		return "", err
	}
	if found != 1 {
		return "", c.src.failed(model.CodeSourceBase, step, fmt.Errorf("%d entries, want 1; may %s read it?", found, c.src.who()))
	}
	return id, nil
}

// list reads everything below base, page by page, and hands each entry to each.
func (c *session) list(ctx context.Context, step, base, filter string, attrs []string, each func(*wire.Entry) error) error {
	return c.listAll(ctx, step, wire.Search{Base: base, Scope: ldap.ScopeWholeSubtree, Filter: filter, Attrs: attrs}, each)
}

func (c *session) listAll(ctx context.Context, step string, req wire.Search, each func(*wire.Entry) error) error {
	req.PageSize = c.src.o.PageSize
	return c.listUntil(ctx, step, req, each, func() bool { return false })
}

// listUntil reads page by page until there is enough. A page may be empty and yet not the last one.
func (c *session) listUntil(ctx context.Context, step string, req wire.Search, each func(*wire.Entry) error, enough func() bool) error {
	for page := 1; ; page++ {
		done, err := c.search(ctx, fmt.Sprintf("%s, page %d", step, page), req, each)
		if err != nil {
			return err
		}
		c.pages++
		if !done.Paged { // RFC 2696 §3: a server that pages says so each time
			c.unpaged++
			c.openCookies++
			return nil
		}
		if len(done.Cookie) == 0 || enough() {
			return nil
		}
		req.Cookie = done.Cookie
	}
}

// search sends one request and takes its whole answer.
func (c *session) search(ctx context.Context, step string, req wire.Search, each func(*wire.Entry) error) (wire.Done, error) {
	if c.src.preset.DomainScope {
		req.Controls = append(req.Controls, ldap.NewControlString(oidDomainScope, false, ""))
	}
	req.TimeLimit = int(c.src.o.Timeouts.Run.Seconds()) // for the server, in case we vanish
	var own error
	done, err := c.conn.Search(req, func(e *wire.Entry) error {
		own = each(e)
		return own
	})
	c.noteReferrals(done)
	switch {
	case own != nil:
		return done, own
	case ctx.Err() != nil:
		return done, c.src.failed(model.CodeSourceInterrupted, step, context.Cause(ctx))
	case err != nil:
		return done, c.src.failedAnswer(ctx, step, true, err)
	}
	return done, nil
}
