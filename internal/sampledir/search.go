package sampledir

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// request is a search, RFC 4511 §4.5.1.
type request struct {
	base      string
	scope     int64
	sizeLimit int64
	typesOnly bool
	match     match
	attrs     []string
	paged     bool
	page      int64
	cookie    string
	text      string // what must stay the same from page to page
}

// cursor is a paged search between two pages. It keeps the entries found by the first request: the file may change
// meanwhile.
type cursor struct {
	cookie string
	text   string
	rest   []*entry
	sent   int64
	people bool // every person of the directory is or was in it, by name
}

// controls of a request that matter.
type controls struct {
	paging  *ber.Packet // value
	unknown string      // critical and not known
}

const (
	oidPaging     = "1.2.840.113556.1.4.319"
	oidManageDsaI = "2.16.840.1.113730.3.4.2" // there are no referrals here: nothing to do
)

func parseControls(m *ber.Packet) (controls, error) {
	var c controls
	if len(m.Children) < 3 {
		return c, nil
	}
	for _, p := range m.Children[2].Children {
		if len(p.Children) == 0 {
			return c, errors.New("malformed control")
		}
		critical := false
		var value *ber.Packet
		for _, f := range p.Children[1:] {
			switch f.Tag {
			case ber.TagBoolean:
				critical, _ = f.Value.(bool)
			case ber.TagOctetString:
				value = f
			}
		}
		switch oid := octets(p.Children[0]); oid {
		case oidPaging:
			if value == nil {
				return c, errors.New("paging control without a value")
			}
			var err error
			if c.paging, err = ber.DecodePacketErr(value.Data.Bytes()); err != nil {
				return c, err
			}
		case oidManageDsaI:
		default:
			if critical {
				c.unknown = oid
			}
		}
	}
	return c, nil
}

func parseSearch(op *ber.Packet, c controls) (request, error) {
	var r request
	bad := errors.New("malformed search request")
	if len(op.Children) != 8 {
		return r, bad
	}
	f := op.Children
	var ok [3]bool
	r.base = octets(f[0])
	r.scope, ok[0] = f[1].Value.(int64)
	r.sizeLimit, ok[1] = f[3].Value.(int64)
	r.typesOnly, ok[2] = f[5].Value.(bool)
	if ok != [3]bool{true, true, true} || r.scope < 0 || r.scope > 2 {
		return r, bad
	}
	var err error
	if r.match, err = compileFilter(f[6], 0); err != nil {
		return r, err
	}
	for _, a := range f[7].Children {
		r.attrs = append(r.attrs, octets(a))
	}
	r.text = string(op.Bytes())
	if c.paging == nil {
		return r, nil
	}
	if len(c.paging.Children) != 2 {
		return r, errors.New("malformed paging control")
	}
	size, isInt := c.paging.Children[0].Value.(int64)
	if !isInt || size < 0 {
		return r, errors.New("malformed paging control")
	}
	r.paged, r.page, r.cookie = true, size, octets(c.paging.Children[1])
	return r, nil
}

func (c *client) search(id int64, op *ber.Packet, ctl controls) error {
	done := func(code uint16, text string) error {
		return c.result(id, ldap.ApplicationSearchResultDone, code, text, nil)
	}
	if ctl.unknown != "" {
		return done(ldap.LDAPResultUnavailableCriticalExtension, "control "+ctl.unknown+" is not supported")
	}
	r, err := parseSearch(op, ctl)
	if err != nil {
		return done(ldap.LDAPResultProtocolError, err.Error())
	}
	if r.base == "" && r.scope == ldap.ScopeBaseObject {
		if err := c.sendEntry(id, rootDSE(), r); err != nil {
			return err
		}
		return done(ldap.LDAPResultSuccess, "")
	}
	if c.bound == "" {
		return done(ldap.LDAPResultInsufficientAccessRights, "bind first")
	}
	cur := c.cursor
	if r.paged && r.cookie != "" {
		// RFC 2696 §3: the same request but for the cookie.
		if cur == nil || cur.cookie != r.cookie || cur.text != r.text {
			return done(ldap.LDAPResultUnwillingToPerform, "the paged results cookie is not of this search")
		}
	} else {
		var code uint16
		if cur, code, err = c.find(r); err != nil {
			return done(code, err.Error())
		}
	}
	c.cursor = nil
	return c.sendPage(id, r, cur)
}

// find evaluates the search against the file as it is now.
func (c *client) find(r request) (*cursor, uint16, error) {
	t, err := c.dir.current()
	if err != nil {
		return nil, ldap.LDAPResultUnavailable, err
	}
	base, err := normalDN(r.base)
	if err != nil {
		return nil, ldap.LDAPResultInvalidDNSyntax, fmt.Errorf("%q is not a DN", r.base)
	}
	if t.byKey[base] == nil {
		return nil, ldap.LDAPResultNoSuchObject, fmt.Errorf("there is no entry %s", r.base)
	}
	cur := &cursor{text: r.text}
	listed, people := 0, 0
	for _, e := range t.entries {
		if e.person() {
			people++
		}
		if !inScope(e.key, base, r.scope) || !r.match(e) {
			continue
		}
		cur.rest = append(cur.rest, e)
		if e.person() {
			listed++
		}
	}
	cur.people = people > 0 && listed == people && r.wants("uid")
	return cur, ldap.LDAPResultSuccess, nil
}

// wants says whether the search asks for the attribute.
func (r *request) wants(name string) bool {
	return len(r.attrs) == 0 || slices.ContainsFunc(r.attrs, func(a string) bool { return a == "*" || strings.EqualFold(a, name) })
}

func inScope(key, base string, scope int64) bool {
	switch scope {
	case ldap.ScopeBaseObject:
		return key == base
	case ldap.ScopeSingleLevel:
		d, err := ldap.ParseDN(key)
		if err != nil || len(d.RDNs) == 0 {
			return false
		}
		return key == d.RDNs[0].String()+","+base
	default:
		return key == base || strings.HasSuffix(key, ","+base)
	}
}

// sendPage sends what one request gets: everything, or a page.
func (c *client) sendPage(id int64, r request, cur *cursor) error {
	n := len(cur.rest)
	if r.paged && int64(n) > r.page {
		n = int(r.page)
	}
	code := uint16(ldap.LDAPResultSuccess)
	if r.sizeLimit > 0 && cur.sent+int64(n) > r.sizeLimit {
		n, code = int(r.sizeLimit-cur.sent), ldap.LDAPResultSizeLimitExceeded
	}
	for _, e := range cur.rest[:n] {
		if err := c.sendEntry(id, e, r); err != nil {
			return err
		}
	}
	cur.rest, cur.sent = cur.rest[n:], cur.sent+int64(n)
	if !r.paged {
		return c.result(id, ldap.ApplicationSearchResultDone, code, "", nil)
	}
	cookie := ""
	switch {
	case code != ldap.LDAPResultSuccess:
	case len(cur.rest) > 0 && r.page > 0: // a page of nothing ends the search, RFC 2696 §3
		cookie = strconv.FormatInt(cur.sent, 10)
		cur.cookie = cookie
		c.cursor = cur
	case len(cur.rest) == 0 && cur.people:
		c.sawWhole = true
	}
	return c.result(id, ldap.ApplicationSearchResultDone, code, "", pagingControl(cookie))
}

// pagingControl goes with every answer to a paged search, the last one too. The size is not known here, so 0.
func pagingControl(cookie string) *ber.Packet {
	value := ber.NewSequence("realSearchControlValue")
	value.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(0), "size"))
	value.AppendChild(str(cookie, "cookie"))
	control := ber.NewSequence("control")
	control.AppendChild(str(oidPaging, "controlType"))
	control.AppendChild(str(string(value.Bytes()), "controlValue"))
	list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "controls")
	list.AppendChild(control)
	return list
}

// sendEntry sends the attributes asked for, RFC 4511 §4.5.1.8: none or * for those of users, + for operational ones.
func (c *client) sendEntry(id int64, e *entry, r request) error {
	all, operational := len(r.attrs) == 0, false
	for _, a := range r.attrs {
		all = all || a == "*"
		operational = operational || a == "+"
	}
	list := ber.NewSequence("attributes")
	for _, a := range e.attrs {
		wanted := all
		if isOperational(a.name) {
			wanted = operational
		}
		for _, name := range r.attrs {
			wanted = wanted || strings.EqualFold(name, a.name)
		}
		if !wanted || secret(a.name) {
			continue
		}
		attr := ber.NewSequence("attribute")
		attr.AppendChild(str(a.name, "type"))
		values := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "vals")
		if !r.typesOnly {
			for _, v := range a.values {
				values.AppendChild(str(v, "value"))
			}
		}
		attr.AppendChild(values)
		list.AppendChild(attr)
	}
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "entry")
	op.AppendChild(str(e.dn, "objectName"))
	op.AppendChild(list)
	return c.send(id, op, nil)
}

func isOperational(name string) bool {
	for _, o := range [...]string{"entryUUID", "supportedControl", "supportedExtension", "supportedLDAPVersion", "namingContexts"} {
		if strings.EqualFold(name, o) {
			return true
		}
	}
	return false
}

// rootDSE describes the server, RFC 4512 §5.1.
func rootDSE() *entry {
	return &entry{attrs: []attribute{
		{"objectClass", []string{"top"}},
		{"namingContexts", []string{Base}},
		{"supportedControl", []string{oidPaging, oidManageDsaI}},
		{"supportedExtension", []string{oidWhoAmI}},
		{"supportedLDAPVersion", []string{"3"}},
	}}
}
