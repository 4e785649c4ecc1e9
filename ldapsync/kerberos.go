package ldapsync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3/gssapi"
	"github.com/jcmturner/gokrb5/v8/client"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// Kerberos says who we are with AuthGSSAPI.
type Kerberos struct {
	Principal string // jmld@EXAMPLE.ORG
	Keytab    string // file with its key, read for each bind
	Config    string // krb5.conf; /etc/krb5.conf
	Service   string // of the server; ldap/HOST
}

// bindGSSAPI gets a ticket for the directory and shows it. The library knows no context, but gives each server of the realm
// five seconds; when ctx ends first, it is left to finish alone.
func (s *Source) bindGSSAPI(ctx context.Context, conn *wire.Conn, v server) error {
	k := s.o.Kerberos
	name, realm, _ := strings.Cut(k.Principal, "@")
	// Active Directory does not offer FAST.
	c, err := gssapi.NewClientWithKeytab(name, realm, k.Keytab, k.Config, client.DisablePAFXFAST(true))
	if err != nil {
		return s.failed(model.CodeSourceCredentials, "read keytab and krb5.conf", err)
	}
	service := k.Service
	if service == "" {
		service = "ldap/" + v.host
	}
	ticket := make(chan error) // whoever takes from it has the client
	go func() {
		_, _, err := c.GetServiceTicket(service) // kept by c
		select {
		case ticket <- err:
		case <-ctx.Done():
			c.Destroy()
		}
	}()
	select {
	case <-ctx.Done():
		return s.failed(model.CodeSourceUnreachable, "get a ticket for "+service, context.Cause(ctx))
	case err := <-ticket:
		defer c.Destroy()
		if err != nil {
			code, words := noTicket(err)
			return s.failed(code, "get a ticket for "+service, fmt.Errorf("%s: %w", words, err))
		}
	}
	return conn.BindGSSAPI(rotated{c}, service)
}

// rotated turns the last token of the exchange the way the library reads it. RFC 4121 §4.2.4: the content, then the checksum,
// the whole rotated to the right by RRC. Active Directory rotates by the length of the checksum, which is all the library
// knows; MIT Kerberos does not rotate.
type rotated struct{ *gssapi.Client }

func (r rotated) NegotiateSaslAuth(token []byte, authzid string) ([]byte, error) {
	const header = 16
	if len(token) < header || token[0] != 0x05 || token[1] != 0x04 {
		return nil, errors.New("the server sent no wrapped token")
	}
	checksum, rrc := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	body := token[header:]
	if checksum == 0 || checksum > len(body) {
		return nil, errors.New("the server sent a wrapped token without a checksum")
	}
	by := ((checksum-rrc)%len(body) + len(body)) % len(body) // more to the right
	turned := slices.Concat(token[:header], body[len(body)-by:], body[:len(body)-by])
	return r.Client.NegotiateSaslAuth(turned, authzid)
}

// noTicket says why the realm gave none. The library keeps only the text of its answers.
func noTicket(err error) (model.Code, string) {
	for _, r := range []struct {
		name  string
		code  model.Code
		words string
	}{
		{"KDC_ERR_PREAUTH_FAILED", model.CodeSourceCredentials, "the key in the keytab is not the principal's (any more)"},
		{"Decrypting_Error", model.CodeSourceCredentials, "the key in the keytab is not the principal's (any more)"},
		{"KDC_ERR_C_PRINCIPAL_UNKNOWN", model.CodeSourceCredentials, "there is no such principal"},
		{"KDC_ERR_S_PRINCIPAL_UNKNOWN", model.CodeSourceCredentials, "the realm does not know the directory by this name"},
		{"KDC_ERR_CLIENT_REVOKED", model.CodeSourceDisabled, "the account is disabled, locked or expired"},
		{"KDC_ERR_NAME_EXP", model.CodeSourceDisabled, "the account has expired"},
		{"KDC_ERR_KEY_EXPIRED", model.CodeSourcePassword, "the key has expired"},
		{"KRB_AP_ERR_SKEW", model.CodeSourceCredentials, "the clocks differ by more than the realm allows"},
		{"could not get key from keytab", model.CodeSourceCredentials, "the keytab has no key for the principal"},
		{"KDC_ERR_ETYPE_NOSUPP", model.CodeSourceCredentials, "the keytab has no key of a kind the realm accepts"},
	} {
		if strings.Contains(err.Error(), r.name) {
			return r.code, r.words
		}
	}
	return model.CodeSourceUnreachable, "no server of the realm answered"
}

func (k Kerberos) validate() error {
	name, realm, ok := strings.Cut(k.Principal, "@")
	switch {
	case !ok || name == "" || realm == "":
		return errors.New("kerberos.principal: not like jmld@EXAMPLE.ORG")
	case k.Keytab == "":
		return errors.New("kerberos.keytab is needed")
	}
	return nil
}
