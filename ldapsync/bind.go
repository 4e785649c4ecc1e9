package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// Ways to say who we are.
const (
	AuthSimple   = "simple"   // BindDN and Password, RFC 4513 §5.1.3
	AuthExternal = "external" // the client certificate, or who we are at the other end of a Unix socket, RFC 4513 §5.2.3
	AuthGSSAPI   = "gssapi"   // Kerberos with a keytab, RFC 4752
)

// who is how we bind, for messages.
func (s *Source) who() string {
	switch s.o.Auth {
	case AuthExternal:
		if s.o.ClientCertificate != "" {
			return "the owner of the client certificate"
		}
		return "the user of this process"
	case AuthGSSAPI:
		return s.o.Kerberos.Principal
	}
	return s.o.BindDN
}

// secret is what the bind needs; it is fetched before anybody is called.
func (s *Source) secret() (string, error) {
	if s.o.Auth != AuthSimple {
		return "", nil
	}
	password, err := s.o.Password()
	if err != nil {
		return "", s.failed(model.CodeSourceCredentials, "get the password", err)
	}
	if password == "" {
		// RFC 4513 §5.1.2: an empty password is not checked, the server answers success to an anonymous bind.
		return "", s.failed(model.CodeSourceCredentials, "get the password", errors.New("it is empty"))
	}
	return password, nil
}

// bind says who we are. It has the connect timeout, too. A refusal is the end: the connection is not used for anything else,
// and nothing is tried again.
func (s *Source) bind(ctx context.Context, conn *wire.Conn, v server, password string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Connect, fmt.Errorf("no answer within %s", s.o.Timeouts.Connect))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Abort(context.Cause(ctx)) })
	defer stop()
	var err error
	switch s.o.Auth {
	case AuthExternal:
		err = conn.BindExternal()
	case AuthGSSAPI:
		err = s.bindGSSAPI(ctx, conn, v)
	default:
		err = conn.Bind(s.o.BindDN, password)
	}
	policy := conn.Policy()
	if err == nil && policy.Known && policy.Problem == wire.PolicyMustChange {
		err = errors.New("the password has to be changed before it can be used")
		return s.failed(model.CodeSourcePassword, "bind as "+s.who(), err)
	}
	if err != nil {
		code, words := refusal(err, policy)
		if code == "" {
			return err
		}
		var answer *ldap.Error
		if errors.As(err, &answer) {
			err = inWords(err, answer)
		}
		if words != "" {
			err = fmt.Errorf("%s: %w", words, err)
		}
		return s.failed(code, "bind as "+s.who(), err)
	}
	if policy.Known && (policy.Expires >= 0 || policy.Grace >= 0) {
		s.o.Log.Warn("the password of the bind account runs out", zap.String(model.FieldSource, s.o.Name),
			zap.String(model.FieldCode, string(model.CodeSourcePassword)), zap.String(model.FieldReason, runsOut(policy)))
	}
	return nil
}

// runsOut says how long the password lives.
func runsOut(p wire.Policy) string {
	switch {
	case p.Expires >= 0:
		return "the password expires in " + (time.Duration(p.Expires) * time.Second).String()
	case p.Grace >= 0:
		return fmt.Sprintf("the password has expired; %d more binds are allowed", p.Grace)
	}
	return ""
}

// refusal tells the reasons for a refused bind apart. "" is an answer that is no refusal.
func refusal(err error, p wire.Policy) (model.Code, string) {
	var answer *ldap.Error
	if !errors.As(err, &answer) {
		return "", ""
	}
	if p.Known {
		switch p.Problem {
		case wire.PolicyExpired:
			return model.CodeSourcePassword, "the password has expired"
		case wire.PolicyLocked:
			return model.CodeSourceLocked, "the account is locked"
		case wire.PolicyMustChange:
			return model.CodeSourcePassword, "the password has to be changed before it can be used"
		}
	}
	text := strings.ToLower(answer.Err.Error())
	// Active Directory: "80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 52e, v4563".
	if _, data, ok := strings.Cut(text, ", data "); ok && answer.ResultCode == ldap.LDAPResultInvalidCredentials {
		data, _, _ = strings.Cut(data, ",")
		if code, words := windows(data); code != "" {
			return code, words
		}
	}
	// 389 Directory Server says it in its own words.
	switch answer.ResultCode {
	case ldap.LDAPResultUnwillingToPerform:
		if strings.Contains(text, "inactivated") {
			return model.CodeSourceDisabled, "the account is disabled"
		}
		return model.CodeSourceCredentials, ""
	case ldap.LDAPResultConstraintViolation:
		if strings.Contains(text, "retry limit") {
			return model.CodeSourceLocked, "the account is locked"
		}
		return model.CodeSourceCredentials, ""
	case ldap.LDAPResultInvalidCredentials:
		if strings.Contains(text, "password expired") {
			return model.CodeSourcePassword, "the password has expired"
		}
		return model.CodeSourceCredentials, "wrong name or password, or a reason the server does not tell"
	case ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultAuthMethodNotSupported, ldap.LDAPResultNoSuchObject,
		ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInsufficientAccessRights:
		return model.CodeSourceCredentials, ""
	}
	return "", ""
}

// windows is the meaning of a Windows error number, in hexadecimal.
func windows(data string) (model.Code, string) {
	n, err := strconv.ParseUint(strings.TrimSpace(data), 16, 32)
	if err != nil {
		return "", ""
	}
	switch n {
	case 0x525:
		return model.CodeSourceCredentials, "there is no such account"
	case 0x52e:
		return model.CodeSourceCredentials, "the password is wrong"
	case 0x52f:
		return model.CodeSourceDisabled, "the account may not log on this way"
	case 0x530:
		return model.CodeSourceDisabled, "the account may not log on at this time"
	case 0x531:
		return model.CodeSourceDisabled, "the account may not log on from this machine"
	case 0x532:
		return model.CodeSourcePassword, "the password has expired"
	case 0x533:
		return model.CodeSourceDisabled, "the account is disabled"
	case 0x568:
		return model.CodeSourceDisabled, "the account is in too many groups"
	case 0x701:
		return model.CodeSourceDisabled, "the account has expired"
	case 0x773:
		return model.CodeSourcePassword, "the password has to be changed before it can be used"
	case 0x775:
		return model.CodeSourceLocked, "the account is locked"
	case 0x80090346: // SEC_E_BAD_BINDINGS
		return model.CodeSourceCredentials, "the server demands channel binding (LdapEnforceChannelBinding), which jmld cannot give with Kerberos; use a simple bind"
	}
	return "", ""
}
