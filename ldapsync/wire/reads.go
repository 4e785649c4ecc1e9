package wire

import (
	"errors"

	"github.com/go-ldap/ldap/v3"
)

// Reads sends several searches at once, RFC 4511 §3.1, and takes their answers, in whatever order they come: one round trip. The entries of
// the n-th are handed to each with n. answers has what the server said to each search, nil for success; seen counts what came in all; err is
// about the connection.
func (c *Conn) Reads(list []Search, each func(n int, e *Entry)) (answers []error, seen Done, err error) {
	answers, open := make([]error, len(list)), len(list)
	first := c.id + 1
	for _, s := range list {
		op, controls, err := s.encode()
		if err != nil {
			return nil, seen, err
		}
		if err := c.send(op, controls); err != nil {
			return nil, seen, err
		}
	}
	c.trips -= int64(len(list)) - 1
	ended := make([]bool, len(list))
	for open > 0 {
		m, err := c.receiveOne(first)
		if err != nil {
			return nil, seen, err
		}
		n := int(m.id - first)
		switch {
		case ended[n]:
			return nil, seen, c.unexpected(m)
		case m.op == opSearchEntry:
			if err := c.entry(m); err != nil {
				return nil, seen, c.fail(err)
			}
			seen.Entries++
			each(n, &c.e)
		case m.op == opSearchReference:
			if err := seen.refer(m); err != nil {
				return nil, seen, c.fail(err)
			}
		case m.op == opSearchDone:
			_, err := c.result(m)
			var answer *ldap.Error
			if err != nil && !errors.As(err, &answer) {
				return nil, seen, err
			}
			answers[n], ended[n] = err, true
			open--
		default:
			return nil, seen, c.unexpected(m)
		}
	}
	return answers, seen, nil
}
