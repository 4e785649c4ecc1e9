// Package wire is an LDAP client (RFC 4511) for reading much and missing nothing: bind (simple, EXTERNAL,
// GSSAPI), "Who am I?" and search, one request at a time.
//
// It reads by itself, without goroutines or buffers between the network and the consumer, so that a search that
// returns without error has handed over every entry the server sent before its final answer: whatever is not expected
// is an error, a slow consumer slows the server down, and a server is waited for only while nothing has come. Entries
// are handed over in memory that is used again. Requests are encoded with the types of go-ldap.
package wire
