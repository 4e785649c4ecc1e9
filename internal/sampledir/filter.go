package sampledir

import (
	"errors"
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// maxFilterDepth bounds how deep filters nest.
const maxFilterDepth = 32

// match decides a filter (RFC 4511 §4.5.1.7). Values are compared without case and, where both are one, as DNs.
type match func(*entry) bool

func compileFilter(p *ber.Packet, depth int) (match, error) {
	if depth > maxFilterDepth {
		return nil, errors.New("the filter nests too deep")
	}
	if p.ClassType != ber.ClassContext {
		return nil, errors.New("not a filter")
	}
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr:
		terms := make([]match, len(p.Children))
		for i, c := range p.Children {
			var err error
			if terms[i], err = compileFilter(c, depth+1); err != nil {
				return nil, err
			}
		}
		and := p.Tag == ldap.FilterAnd
		return func(e *entry) bool { // RFC 4526: no terms are true for and, false for or
			for _, m := range terms {
				if m(e) != and {
					return !and
				}
			}
			return and
		}, nil
	case ldap.FilterNot:
		if len(p.Children) != 1 {
			return nil, errors.New("not takes one filter")
		}
		m, err := compileFilter(p.Children[0], depth+1)
		if err != nil {
			return nil, err
		}
		return func(e *entry) bool { return !m(e) }, nil
	case ldap.FilterPresent:
		name := octets(p)
		return func(e *entry) bool { return len(e.values(name)) > 0 && !secret(name) }, nil
	case ldap.FilterSubstrings:
		return compileSubstrings(p)
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		return compileAssertion(p)
	}
	return nil, fmt.Errorf("filter %d is not supported", p.Tag)
}

func compileAssertion(p *ber.Packet) (match, error) {
	if len(p.Children) != 2 {
		return nil, errors.New("an assertion has an attribute and a value")
	}
	name, want := octets(p.Children[0]), octets(p.Children[1])
	if secret(name) {
		return func(*entry) bool { return false }, nil
	}
	var compare func(string) bool
	switch want := fold(want); p.Tag {
	case ldap.FilterGreaterOrEqual:
		compare = func(have string) bool { return fold(have) >= want }
	case ldap.FilterLessOrEqual:
		compare = func(have string) bool { return fold(have) <= want }
	default:
		dn, err := normalDN(want)
		isDN := err == nil && strings.Contains(want, "=")
		compare = func(have string) bool {
			if fold(have) == want {
				return true
			}
			if !isDN {
				return false
			}
			key, err := normalDN(have)
			return err == nil && key == dn
		}
	}
	return func(e *entry) bool {
		for _, v := range e.values(name) {
			if compare(v) {
				return true
			}
		}
		return false
	}, nil
}

// compileSubstrings: initial, any and final parts, in this order, RFC 4511 §4.5.1.7.2.
func compileSubstrings(p *ber.Packet) (match, error) {
	if len(p.Children) != 2 || len(p.Children[1].Children) == 0 {
		return nil, errors.New("a substring filter has an attribute and parts")
	}
	name, parts := octets(p.Children[0]), p.Children[1].Children
	if secret(name) {
		return func(*entry) bool { return false }, nil
	}
	return func(e *entry) bool {
		for _, v := range e.values(name) {
			if hasParts(fold(v), parts) {
				return true
			}
		}
		return false
	}, nil
}

func hasParts(v string, parts []*ber.Packet) bool {
	for _, part := range parts {
		s := fold(octets(part))
		switch part.Tag {
		case ldap.FilterSubstringsInitial:
			rest, ok := strings.CutPrefix(v, s)
			if !ok {
				return false
			}
			v = rest
		case ldap.FilterSubstringsFinal:
			if !strings.HasSuffix(v, s) {
				return false
			}
			v = ""
		default:
			i := strings.Index(v, s)
			if i < 0 {
				return false
			}
			v = v[i+len(s):]
		}
	}
	return true
}

// secret attributes are neither shown nor searched.
func secret(name string) bool { return strings.EqualFold(name, "userPassword") }

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// octets returns the content of a primitive packet of any class.
func octets(p *ber.Packet) string { return p.Data.String() }
