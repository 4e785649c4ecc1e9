package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// session is one bound connection and what went over it. There is no reconnecting: a read that loses its connection
// has failed.
type session struct {
	src  *Source
	conn *wire.Conn
	stop func() bool // of watching ctx

	pages         int // answered with success
	unpaged       int // of them, without the paging control
	openCookies   int // lists that did not end with an empty cookie
	referrals     int // continuation references
	firstReferral string
}

// open connects and binds. The caller closes the session.
func (s *Source) open(ctx context.Context) (*session, error) {
	password, err := s.o.Password()
	if err != nil {
		return nil, s.failed(model.CodeSourceCredentials, "get the password", err)
	}
	if password == "" {
		// RFC 4513 §5.1.2: an empty password is not checked, the server answers success to an anonymous bind.
		return nil, s.failed(model.CodeSourceCredentials, "get the password", errors.New("it is empty"))
	}
	conn, err := s.connect(ctx)
	if err != nil {
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			<-ctx.Done() // a dialer sees the time a moment before the context says so
		}
		if ctx.Err() != nil {
			return nil, s.failed(model.CodeSourceInterrupted, "connect", context.Cause(ctx))
		}
		return nil, err
	}
	c := &session{src: s, conn: conn}
	// The connection's calls have no context: when ctx is done, the connection is.
	c.stop = context.AfterFunc(ctx, func() { conn.Abort(context.Cause(ctx)) })
	if err := conn.Bind(s.o.BindDN, password); err != nil {
		err = s.failedAnswer(ctx, "bind as "+s.o.BindDN, false, err)
		c.close()
		return nil, err
	}
	s.o.Log.Debug("bound", zap.String(model.FieldSource, s.o.Name),
		zap.Stringer(model.FieldAddress, conn.RemoteAddr()), zap.String(fieldDN, s.o.BindDN))
	return c, nil
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
		return "", c.src.failed(model.CodeSourceBase, step, fmt.Errorf("%d entries, want 1; may %s read it?", found, c.src.o.BindDN))
	}
	return id, nil
}

// list reads everything below base, page by page, and hands each entry to each.
func (c *session) list(ctx context.Context, step, base, filter string, attrs []string, each func(*wire.Entry) error) error {
	req := wire.Search{Base: base, Scope: ldap.ScopeWholeSubtree, Filter: filter, Attrs: attrs, PageSize: c.src.o.PageSize}
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
		if len(done.Cookie) == 0 {
			return nil
		}
		req.Cookie = done.Cookie
	}
}

// search sends one request and takes its whole answer.
func (c *session) search(ctx context.Context, step string, req wire.Search, each func(*wire.Entry) error) (wire.Done, error) {
	req.TimeLimit = int(c.src.o.Timeouts.Run.Seconds()) // for the server, in case we vanish
	var own error
	done, err := c.conn.Search(req, func(e *wire.Entry) error {
		own = each(e)
		return own
	})
	c.referrals += done.References
	if c.firstReferral == "" {
		c.firstReferral = done.Reference
	}
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
