package wire

import (
	"errors"
	"fmt"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// maxSASL bounds the steps of one SASL bind; GSSAPI takes four.
const maxSASL = 10

// Policy is what the server said about the account's password beside the result of a bind: the password policy control,
// draft-behera-ldap-password-policy §6.2, and the older Netscape control.
type Policy struct {
	Known   bool // false: it said nothing, and the rest means nothing
	Problem int  // -1: none; PolicyExpired, …
	Expires int  // seconds until the password expires; -1: not said
	Grace   int  // binds left with an expired password; -1: not said
}

// Problems of the password policy control.
const (
	PolicyExpired    = 0
	PolicyLocked     = 1
	PolicyMustChange = 2
)

const (
	oidPolicy          = ldap.ControlTypeBeheraPasswordPolicy
	oidNetscapeExpired = "2.16.840.1.113730.3.4.4"
)

// Policy is what came with the last bind.
func (c *Conn) Policy() Policy { return c.policy }

// Bind authenticates with name and password, RFC 4513 §5.1. The password must not be empty: that would be anonymous.
func (c *Conn) Bind(dn, password string) error {
	if password == "" {
		return errors.New("the password is empty")
	}
	_, _, err := c.bind(dn, ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, password, "simple"))
	return err
}

// BindExternal authenticates by what is below LDAP: the client's certificate, or the user at the other end of a Unix
// socket (RFC 4513 §5.2.3).
func (c *Conn) BindExternal() error {
	more, _, err := c.bind("", saslCredentials("EXTERNAL", []byte{}))
	if err == nil && more {
		err = c.fail(errors.New("the server wants more than EXTERNAL has"))
	}
	return err
}

// BindGSSAPI authenticates with Kerberos, RFC 4752, for the service principal, and asks for no security layer: TLS is one.
func (c *Conn) BindGSSAPI(g ldap.GSSAPIClient, service string) error {
	defer g.DeleteSecContext() //nolint:errcheck // forgets a key in memory
	var in []byte
	negotiating := true
	for range maxSASL {
		var out []byte
		var err error
		if negotiating {
			out, negotiating, err = g.InitSecContext(service, in)
		} else {
			out, err = g.NegotiateSaslAuth(in, "")
		}
		if err != nil {
			return fmt.Errorf("kerberos: %w", err)
		}
		more, answer, err := c.bind("", saslCredentials("GSSAPI", out))
		if err != nil {
			return err
		}
		if !more {
			if negotiating {
				return c.fail(errors.New("the server ended the exchange before it proved who it is"))
			}
			return nil
		}
		if in = answer; in == nil {
			in = []byte{} // nil would begin anew
		}
	}
	return c.fail(fmt.Errorf("the bind takes more than %d steps", maxSASL))
}

func saslCredentials(mechanism string, token []byte) *ber.Packet {
	auth := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "sasl")
	auth.AppendChild(octets(mechanism))
	if token != nil {
		auth.AppendChild(octets(string(token)))
	}
	return auth
}

// bind sends one bind request and takes its answer. more means that the server waits for the next step of a SASL bind;
// answer is its part of it.
func (c *Conn) bind(dn string, auth *ber.Packet) (more bool, answer []byte, err error) {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationBindRequest, nil, "bind")
	op.AppendChild(integer(3))
	op.AppendChild(octets(dn))
	op.AppendChild(auth)
	c.policy = Policy{}
	if err := c.send(op, []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}); err != nil {
		return false, nil, err
	}
	m, err := c.receive()
	if err != nil {
		return false, nil, err
	}
	if m.op != opBindResponse {
		return false, nil, c.unexpected(m)
	}
	policy, perr := policyOf(m.controls)
	if perr != nil {
		return false, nil, c.fail(perr)
	}
	c.policy = policy
	rest, err := c.result(m)
	var refused *ldap.Error
	switch {
	case errors.As(err, &refused) && refused.ResultCode == ldap.LDAPResultSaslBindInProgress:
		if rest, err = afterResult(m.body); err != nil {
			return false, nil, c.fail(err)
		}
		more = true
	case err != nil:
		return false, nil, err
	}
	for len(rest) > 0 {
		var v tlv
		if v, rest, err = next(rest); err != nil {
			return false, nil, c.fail(err)
		}
		if v.tag == 0x87 { // serverSaslCreds [7]
			answer = append([]byte{}, v.body...)
		}
	}
	return more, answer, nil
}

// afterResult returns what follows code, matchedDN and diagnosticMessage of an LDAPResult.
func afterResult(b []byte) ([]byte, error) {
	var err error
	for range 3 {
		if _, b, err = next(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// policyOf reads the controls of a bind's answer. What cannot be read is an error.
func policyOf(controls []byte) (Policy, error) {
	none := Policy{Problem: -1, Expires: -1, Grace: -1}
	p := none
	for len(controls) > 0 {
		oid, value, rest, err := nextControl(controls)
		if err != nil {
			return none, err
		}
		controls = rest
		switch oid {
		case oidNetscapeExpired:
			p.Known = true
			if p.Problem < 0 {
				p.Problem = PolicyExpired
			}
		case oidPolicy:
			if p, err = policyValue(value); err != nil {
				return none, err
			}
		}
	}
	return p, nil
}

// policyValue reads SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0], graceAuthNsRemaining [1] } OPTIONAL,
// error [1] ENUMERATED OPTIONAL }.
func policyValue(b []byte) (Policy, error) {
	p := Policy{Known: true, Problem: -1, Expires: -1, Grace: -1}
	seq, rest, err := expect(b, tagSequence)
	if err != nil || len(rest) > 0 {
		return p, errMalformed
	}
	for len(seq) > 0 {
		var v tlv
		if v, seq, err = next(seq); err != nil {
			return p, err
		}
		switch v.tag {
		case 0xa0:
			w, rest, err := next(v.body)
			if err != nil || len(rest) > 0 {
				return p, errMalformed
			}
			n, err := number(w.body)
			if err != nil {
				return p, err
			}
			switch w.tag {
			case 0x80:
				p.Expires = int(n)
			case 0x81:
				p.Grace = int(n)
			default:
				return p, errMalformed
			}
		case 0x81:
			n, err := number(v.body)
			if err != nil {
				return p, err
			}
			p.Problem = int(n)
		default:
			return p, errMalformed
		}
	}
	return p, nil
}

// nextControl takes one control off a list, RFC 4511 §4.1.11.
func nextControl(controls []byte) (oid string, value, rest []byte, err error) {
	control, rest, err := expect(controls, tagSequence)
	if err != nil {
		return "", nil, nil, err
	}
	name, fields, err := expect(control, tagOctets)
	if err != nil {
		return "", nil, nil, err
	}
	for len(fields) > 0 {
		var v tlv
		if v, fields, err = next(fields); err != nil {
			return "", nil, nil, err
		}
		if v.tag == tagOctets {
			value = v.body
		}
	}
	return string(name), value, rest, nil
}
