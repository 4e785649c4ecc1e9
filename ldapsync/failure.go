package ldapsync

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/model"
)

// failed makes the one sentence an operator reads: which source and server, which step, what was answered.
func (s *Source) failed(code model.Code, step string, err error) error {
	return model.Errorf(code, "read ldap source %s at %s: %s: %w", s.o.Name, s.where(), step, err)
}

// where is the server in use, or what the configuration says about servers.
func (s *Source) where() string {
	switch {
	case s.at != "":
		return s.at
	case s.o.SRV != "":
		return "the servers of " + s.o.SRV
	}
	return s.fixed[0].url
}

// failedAnswer chooses the code by what the server answered (RFC 4511 §4.1.9), or by how far the connection had come.
func (s *Source) failedAnswer(ctx context.Context, step string, bound bool, err error) error {
	lost := model.CodeSourceUnreachable
	if bound {
		lost = model.CodeSourceInterrupted
	}
	if ctx.Err() != nil {
		return s.failed(model.CodeSourceInterrupted, step, context.Cause(ctx))
	}
	var answer *ldap.Error
	if !errors.As(err, &answer) {
		return s.failed(lost, step, err)
	}
	err = inWords(err, answer)
	switch answer.ResultCode {
	case ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return s.failed(model.CodeSourceLimit, step, err)
	case ldap.LDAPResultReferral:
		return s.failed(model.CodeSourceReferral, step, err)
	case ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInsufficientAccessRights:
		if !bound {
			return s.failed(model.CodeSourceCredentials, step, err)
		}
		return s.failed(model.CodeSourceBase, step, err)
	case ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication:
		return s.failed(model.CodeSourceCredentials, step, err)
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		return s.failed(model.CodeSourceTLS, step, err)
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable:
		return s.failed(model.CodeSourceUnreachable, step, err)
	case ldap.LDAPResultUnwillingToPerform:
		if !bound {
			return s.failed(model.CodeSourceCredentials, step, err)
		}
	}
	return s.failed(model.CodeSourceInterrupted, step, err)
}

// said is what a server answered, in words.
type said struct {
	error
	text string
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.error }

// inWords adds what is behind an answer of Active Directory, and leaves the colon away where there is no text.
func inWords(err error, answer *ldap.Error) error {
	text := strings.TrimSuffix(err.Error(), ": ")
	if words := problem(answer); words != "" {
		text = words + ": " + text
	}
	if answer.ResultCode == ldap.LDAPResultNoSuchObject && answer.MatchedDN != "" { // RFC 4511 §4.1.9
		text += "; the nearest entry above is " + printable(answer.MatchedDN)
	}
	return said{err, text}
}

// problem is the meaning of the Windows error number with which Active Directory begins its texts ([MS-ERREF] §2.2), like
// "00002040: SvcErr: DSID-031401E7, problem 5010 (UNAVAIL_EXTENSION), data 0"; "" where the result code says it all.
func problem(answer *ldap.Error) string {
	if answer.Err == nil {
		return ""
	}
	number, _, ok := strings.Cut(answer.Err.Error(), ":")
	n, err := strconv.ParseUint(number, 16, 32)
	if !ok || len(number) != 8 || err != nil {
		return ""
	}
	switch n {
	case 0x57:
		return "the server cannot use what a control says, such as a cookie that is not its own or too old"
	case 0x4dc:
		return "the server takes us for anonymous"
	case 0x2024:
		return "the search costs the server more than it allows"
	case 0x2040:
		return "the server does not know any more where the list was interrupted: it keeps few lists at a time (MaxResultSetSize, MaxResultSetsPerConn)"
	case 0x2105:
		return "the account lacks the right Replicating Directory Changes"
	}
	return ""
}
