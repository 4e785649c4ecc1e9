package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-ldap/ldap/v3"
)

// Universal tags, X.690 §8.
const (
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagSet        = 0x31
	tagControls   = 0xa0 // [0] of an LDAPMessage
)

var errMalformed = errors.New("the server sent a malformed message")

// tlv is one element: its tag and content.
type tlv struct {
	tag  byte
	body []byte
}

// next takes one element off b. RFC 4511 §5.1: lengths are definite, and no tag of LDAP needs a second byte.
func next(b []byte) (v tlv, rest []byte, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return v, nil, errMalformed
	}
	length, n := int(b[1]), 2
	if length >= 0x80 {
		k := length & 0x7f
		if k == 0 || k > 4 || len(b) < 2+k {
			return v, nil, errMalformed
		}
		length, n = 0, 2+k
		for _, c := range b[2 : 2+k] {
			length = length<<8 | int(c)
		}
	}
	if length < 0 || length > len(b)-n {
		return v, nil, errMalformed
	}
	return tlv{b[0], b[n : n+length : n+length]}, b[n+length:], nil
}

// expect is next for an element that must have the tag.
func expect(b []byte, tag byte) (body, rest []byte, err error) {
	v, rest, err := next(b)
	if err == nil && v.tag != tag {
		err = errMalformed
	}
	return v.body, rest, err
}

// number reads a small INTEGER or ENUMERATED that is not negative.
func number(b []byte) (int64, error) {
	if len(b) < 1 || len(b) > 4 || b[0] >= 0x80 {
		return 0, errMalformed
	}
	var n int64
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n, nil
}

// readMessage reads the content of one LDAPMessage into buf, which may move. It reads not a byte more.
func readMessage(r io.Reader, buf []byte, limit int) ([]byte, error) {
	if cap(buf) < 6 {
		buf = make([]byte, 0, 4<<10)
	}
	head := buf[:6] // the content comes after it, and over it
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return nil, err
	}
	if head[0] != tagSequence {
		return nil, fmt.Errorf("the server sent something that is not LDAP (first byte %#02x)", head[0])
	}
	length := int(head[1])
	if length >= 0x80 {
		k := length & 0x7f
		if k == 0 || k > 4 {
			return nil, errors.New("the server sent a message of unusable length")
		}
		if _, err := io.ReadFull(r, head[2:2+k]); err != nil {
			return nil, unexpectedEOF(err)
		}
		length = 0
		for _, c := range head[2 : 2+k] {
			length = length<<8 | int(c)
		}
	}
	if length < 0 || length > limit {
		return nil, fmt.Errorf("the server sent a message of %d bytes, more than %d", length, limit)
	}
	// The memory grows with what comes, not with what is announced.
	for len(buf) < length {
		n := min(length, len(buf)+keepBuffer)
		if cap(buf) < n {
			grown := make([]byte, len(buf), max(n, min(2*cap(buf), length)))
			copy(grown, buf)
			buf = grown
		}
		part := buf[len(buf):n]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, unexpectedEOF(err)
		}
		buf = buf[:n]
	}
	return buf, nil
}

func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// message is an LDAPMessage, RFC 4511 §4.1.1.
type message struct {
	id       int64
	op       byte
	body     []byte
	controls []byte
}

func parseMessage(b []byte) (message, error) {
	var m message
	id, rest, err := expect(b, tagInteger)
	if err != nil {
		return m, errors.New("the server sent a message without a message id")
	}
	if m.id, err = number(id); err != nil {
		return m, errors.New("the server sent a message without a message id")
	}
	op, rest, err := next(rest)
	if err != nil {
		return m, err
	}
	m.op, m.body = op.tag, op.body
	if len(rest) > 0 {
		if m.controls, rest, err = expect(rest, tagControls); err != nil {
			return m, err
		}
	}
	if len(rest) > 0 {
		return m, errMalformed
	}
	return m, nil
}

// parseResult reads an LDAPResult, RFC 4511 §4.1.9, and returns what follows its referral. A code other than success
// is a *ldap.Error.
func parseResult(b []byte) (rest []byte, err error) {
	code, rest, err := expect(b, tagEnumerated)
	if err != nil {
		return nil, err
	}
	n, err := number(code)
	if err != nil || n > 0xffff {
		return nil, errMalformed
	}
	matched, rest, err := expect(rest, tagOctets)
	if err != nil {
		return nil, err
	}
	text, rest, err := expect(rest, tagOctets)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return rest, nil
	}
	said := string(text)
	if v, _, err := next(rest); err == nil && v.tag == 0xa3 { // referral [3]
		if uri, _, err := next(v.body); err == nil {
			said += " to " + string(uri.body)
		}
	}
	return nil, &ldap.Error{ResultCode: uint16(n), MatchedDN: string(matched), Err: errors.New(said)}
}
