package model

import (
	"errors"
	"fmt"
)

// Sentinel errors. Callers compare with errors.Is.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a value that may exist once exists already (a userName within one SCIM source).
	ErrConflict = errors.New("already exists")
	// ErrInvalid: the input cannot be used as it is.
	ErrInvalid = errors.New("invalid")
	// ErrStale: somebody else wrote first; load again and decide again.
	ErrStale = errors.New("changed meanwhile")
	// ErrTooMany: a search would have to look at too many records; it needs a narrower filter.
	ErrTooMany = errors.New("too many")
	// ErrUnavailable: the database is locked, full, read-only or gone. Nothing was written.
	ErrUnavailable = errors.New("database unavailable")
)

// Error is an error an operator can act on: a stable code, one sentence, and the cause.
type Error struct {
	Code Code
	Text string
	Err  error
}

// Errorf makes an Error; a %w in the format becomes its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Text: err.Error(), Err: errors.Unwrap(err)}
}

// Error is the sentence without the code, so that it can be wrapped like any other.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in the chain, or CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, ErrUnavailable):
		return CodeStoreUnavailable
	}
	return CodeInternal
}
