package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
)

// clocks are the entries that tell the server's time: of Active Directory, OpenLDAP with back-monitor, and 389 Directory Server.
func (s *Source) clocks() []string {
	const openLDAP, ds389 = "cn=Current,cn=Time,cn=Monitor", "cn=monitor"
	switch s.o.Preset {
	case entry.ActiveDirectory:
		return []string{""}
	case entry.OpenLDAP:
		return []string{openLDAP}
	case entry.DS389:
		return []string{ds389}
	}
	return []string{"", openLDAP, ds389}
}

// clock compares the server's clock with ours: off is by how much it is ahead. Whether it may be seen is the server's choice: off is nil then, and
// when text, what it says, is no time.
func (c *session) clock(ctx context.Context) (off *time.Duration, text string, err error) {
	for _, dn := range c.src.clocks() {
		_, err := c.search(ctx, "read the server's clock", wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)",
			Attrs: []string{"currentTime", "monitorTimestamp"}}, func(e *wire.Entry) error {
			text = orElse(only(e, "currentTime"), only(e, "monitorTimestamp")) // whoever has both tells the time by the first
			return nil
		})
		var answer *ldap.Error
		if err != nil && (c.conn.Err() != nil || !errors.As(err, &answer)) {
			return nil, "", err
		}
		if text != "" {
			break
		}
	}
	digits, _, _ := strings.Cut(strings.TrimSuffix(text, "Z"), ".")
	at, err := time.Parse("20060102150405", digits)
	if err != nil {
		return nil, text, nil //nolint:nilerr // it tells no time
	}
	d := at.Sub(c.src.now().UTC())
	return &d, text, nil
}

// clockAdvice says how the server's time comes to be seen.
func (s *Source) clockAdvice() string {
	if s.o.Preset == entry.OpenLDAP {
		return fmt.Sprintf("Load back_monitor on the server, and let %s read cn=Current,cn=Time,cn=Monitor. Keep its clock right by NTP in any case: changes are dated by it.", s.who())
	}
	return "Let the account read the server's time. Keep its clock right by NTP in any case: changes are dated by it."
}
