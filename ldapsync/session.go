package ldapsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"jmld/model"
)

// session is one bound connection and what went over it. There is no reconnecting: a read that loses its connection
// has failed.
type session struct {
	src  *Source
	wire *wire
	conn *ldap.Conn
	stop func() bool // of watching ctx

	pages         int // answered with code 0
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
	w, err := s.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, s.failed(model.CodeSourceInterrupted, "connect", context.Cause(ctx))
		}
		return nil, err
	}
	sess := &session{src: s, wire: w, conn: ldap.NewConn(w, true)}
	sess.conn.Start()
	// The library's calls have no context: when ctx is done, the connection is.
	sess.stop = context.AfterFunc(ctx, func() { w.abort(context.Cause(ctx)) })
	if _, err := sess.conn.SimpleBind(&ldap.SimpleBindRequest{Username: s.o.BindDN, Password: password}); err != nil {
		err = s.failedAnswer(ctx, w, "bind as "+s.o.BindDN, false, err)
		sess.close()
		return nil, err
	}
	s.o.Log.Debug("bound", zap.String(model.FieldSource, s.o.Name),
		zap.String(model.FieldAddress, w.raw.RemoteAddr().String()), zap.String(fieldDN, s.o.BindDN))
	return sess, nil
}

// close never waits for the server.
func (c *session) close() {
	c.stop()
	c.wire.abort(errClosed)
	c.conn.Close() //nolint:errcheck // what was read is proven or not; nothing is lost here
}

// whoAmI asks for the authorization identity, RFC 4532. known is false when the server does not support it.
func (c *session) whoAmI(ctx context.Context) (id string, known bool, err error) {
	r, err := c.conn.WhoAmI(nil)
	if err == nil {
		return r.AuthzID, true, nil
	}
	var answer *ldap.Error
	if errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork && c.wire.failure() == nil {
		return "", false, nil
	}
	return "", false, c.src.failedAnswer(ctx, c.wire, "ask who we are", true, err)
}

// baseID reads the id of one entry: the server's word that it still holds the tree, and the same one.
func (c *session) baseID(ctx context.Context, dn string) (string, error) {
	id, found := "", 0
	req := c.request(dn, ldap.ScopeBaseObject, "(objectClass=*)", []string{c.src.o.ID})
	_, err := c.search(ctx, "read the entry "+dn, req, func(e *ldap.Entry) error {
		found++
		if values := rawValues(e, c.src.o.ID); len(values) == 1 {
			id, _ = decodeID(c.src.o.ID, values[0])
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if found != 1 {
		return "", c.src.failed(model.CodeSourceBase, "read the entry "+dn, fmt.Errorf("%d entries, want 1; may %s read it?", found, c.src.o.BindDN))
	}
	return id, nil
}

// list reads everything below base, page by page, and hands each entry to each.
func (c *session) list(ctx context.Context, step, base, filter string, attrs []string, each func(*ldap.Entry) error) error {
	var cookie []byte
	for page := 1; ; page++ {
		// A new request for each page: the library appends to one that is used again.
		req := c.request(base, ldap.ScopeWholeSubtree, filter, attrs)
		control := ldap.NewControlPaging(uint32(c.src.o.PageSize))
		control.SetCookie(cookie)
		req.Controls = []ldap.Control{control}
		paging, err := c.search(ctx, fmt.Sprintf("%s, page %d", step, page), req, each)
		if err != nil {
			return err
		}
		c.pages++
		if paging == nil { // RFC 2696 §3: a server that pages says so each time
			c.unpaged++
			c.openCookies++
			return nil
		}
		if len(paging.Cookie) == 0 {
			return nil
		}
		cookie = paging.Cookie
	}
}

func (c *session) request(base string, scope int, filter string, attrs []string) *ldap.SearchRequest {
	limit := int(c.src.o.Timeouts.Run.Seconds()) // for the server, in case we vanish
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, limit, false, filter, attrs, nil)
}

// search sends one request and takes its whole answer. No error means: the server's final answer came, with code 0,
// and every entry that came before it was handed to each. The library says so only together with the wire: it ends a
// result without an error when the connection is gone or ctx is done, and leaves out messages it does not understand.
func (c *session) search(ctx context.Context, step string, req *ldap.SearchRequest, each func(*ldap.Entry) error) (*ldap.ControlPaging, error) {
	fail := func(err error) error { return c.src.failedAnswer(ctx, c.wire, step, true, err) }
	searchCtx, cancel := context.WithCancel(ctx)
	defer cancel() // lets the library's goroutine go when we leave early
	before := c.wire.tally()
	var (
		paging *ldap.ControlPaging
		taken  int
		ended  bool
	)
	res := c.conn.SearchAsync(searchCtx, req, 64)
	for res.Next() {
		switch e := res.Entry(); {
		case ended:
			return nil, fail(errors.New("the server went on after its final answer"))
		case e != nil:
			taken++
			if err := each(e); err != nil {
				return nil, err
			}
		case res.Referral() != "":
			c.referrals++
			if c.firstReferral == "" {
				c.firstReferral = res.Referral()
			}
		default:
			ended = true
			paging, _ = ldap.FindControl(res.Controls(), ldap.ControlTypePaging).(*ldap.ControlPaging)
		}
	}
	after := c.wire.tally()
	switch {
	case ctx.Err() != nil:
		return nil, fail(context.Cause(ctx))
	case res.Err() != nil:
		return nil, fail(res.Err())
	case c.conn.GetLastError() != nil:
		return nil, fail(c.conn.GetLastError())
	case c.wire.failure() != nil:
		return nil, fail(c.wire.failure())
	case after.done-before.done != 1:
		return nil, fail(errors.New("the connection ended before the final answer"))
	case after.entries-before.entries != taken:
		return nil, fail(fmt.Errorf("the server sent %d entries, %d could be read", after.entries-before.entries, taken))
	case after.other != before.other:
		return nil, fail(errors.New("the server sent a message that does not belong to a search"))
	}
	return paging, nil
}
