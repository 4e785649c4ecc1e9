package ldapsync

import (
	"errors"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// What servers say about a refused bind, in their own ways.
func TestRefusals(t *testing.T) {
	t.Parallel()
	ad := func(data string) error {
		return &ldap.Error{ResultCode: ldap.LDAPResultInvalidCredentials,
			Err: errors.New("80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data " + data + ", v4563")}
	}
	said := func(code uint16, text string) error { return &ldap.Error{ResultCode: code, Err: errors.New(text)} }
	none := wire.Policy{}
	for name, c := range map[string]struct {
		err    error
		policy wire.Policy
		code   model.Code
		words  string
	}{
		"AD: no account":       {ad("525"), none, model.CodeSourceCredentials, "there is no such account"},
		"AD: wrong":            {ad("52e"), none, model.CodeSourceCredentials, "the password is wrong"},
		"AD: capital":          {ad("52E"), none, model.CodeSourceCredentials, "the password is wrong"},
		"AD: time":             {ad("530"), none, model.CodeSourceDisabled, "the account may not log on at this time"},
		"AD: machine":          {ad("531"), none, model.CodeSourceDisabled, "the account may not log on from this machine"},
		"AD: expired password": {ad("532"), none, model.CodeSourcePassword, "the password has expired"},
		"AD: disabled":         {ad("533"), none, model.CodeSourceDisabled, "the account is disabled"},
		"AD: expired account":  {ad("701"), none, model.CodeSourceDisabled, "the account has expired"},
		"AD: must change":      {ad("773"), none, model.CodeSourcePassword, "the password has to be changed before it can be used"},
		"AD: locked":           {ad("775"), none, model.CodeSourceLocked, "the account is locked"},
		"AD: channel binding": {ad("80090346"), none, model.CodeSourceCredentials,
			"the server demands channel binding (LdapEnforceChannelBinding), which jmld cannot give with Kerberos; use a simple bind"},
		"AD: unknown": {ad("999"), none, model.CodeSourceCredentials, "wrong name or password, or a reason the server does not tell"},
		"389: inactivated": {said(ldap.LDAPResultUnwillingToPerform, "Account inactivated. Contact system administrator."), none,
			model.CodeSourceDisabled, "the account is disabled"},
		"389: locked": {said(ldap.LDAPResultConstraintViolation, "Exceed password retry limit. Please try later."), none,
			model.CodeSourceLocked, "the account is locked"},
		"389: expired": {said(ldap.LDAPResultInvalidCredentials, "password expired!"), none, model.CodeSourcePassword, "the password has expired"},
		"policy: expired": {said(ldap.LDAPResultInvalidCredentials, ""), wire.Policy{Known: true, Problem: wire.PolicyExpired},
			model.CodeSourcePassword, "the password has expired"},
		"policy: locked": {said(ldap.LDAPResultInvalidCredentials, ""), wire.Policy{Known: true, Problem: wire.PolicyLocked},
			model.CodeSourceLocked, "the account is locked"},
		"policy: nothing": {said(ldap.LDAPResultInvalidCredentials, ""), wire.Policy{Known: true, Problem: -1},
			model.CodeSourceCredentials, "wrong name or password, or a reason the server does not tell"},
		"busy":             {said(ldap.LDAPResultBusy, ""), none, "", ""},
		"TLS wanted":       {said(ldap.LDAPResultStrongAuthRequired, ""), none, "", ""},
		"connection ended": {errors.New("EOF"), none, "", ""},
	} {
		if code, words := refusal(c.err, c.policy); code != c.code || words != c.words {
			t.Errorf("%s: %q %q, want %q %q", name, code, words, c.code, c.words)
		}
	}
}

// What Windows means by its numbers is said in words, and what needs none is left as it is.
func TestAnswersInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code                uint16
		text, matched, want string
	}{
		"no text":      {32, "", "", `LDAP Result Code 32 "No Such Object"`},
		"a wrong base": {32, "", "dc=example,dc=org", `LDAP Result Code 32 "No Such Object"; the nearest entry above is dc=example,dc=org`},
		"a text":       {53, "not today", "", `LDAP Result Code 53 "Unwilling To Perform": not today`},
		"page forgotten": {12, "00002040: SvcErr: DSID-031401E7, problem 5010 (UNAVAIL_EXTENSION), data 0", "",
			`the server does not know any more where the list was interrupted: it keeps few lists at a time (MaxResultSetSize, MaxResultSetsPerConn): ` +
				`LDAP Result Code 12 "Unavailable Critical Extension": 00002040: SvcErr: DSID-031401E7, problem 5010 (UNAVAIL_EXTENSION), data 0`},
		"another number": {80, "00002094: SvcErr", "", `LDAP Result Code 80 "Other": 00002094: SvcErr`},
	} {
		answer := &ldap.Error{ResultCode: c.code, MatchedDN: c.matched, Err: errors.New(c.text)}
		err := inWords(answer, answer)
		var is *ldap.Error
		if err.Error() != c.want || !errors.As(err, &is) || is.ResultCode != c.code {
			t.Errorf("%s:\n%s\nwant\n%s", name, err, c.want)
		}
	}
}
