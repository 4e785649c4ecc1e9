package ldapsync

import (
	"context"
	"errors"

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
