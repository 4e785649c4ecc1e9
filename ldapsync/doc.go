// Package ldapsync reads people and groups from an LDAP directory (RFC 4511) as SCIM-shaped records, and says whether
// it saw all of them.
//
// A read uses one connection and lists everything twice: first only ids and names, so that managers, members and
// nested groups can be named by record id wherever they stand, then the content, page by page (RFC 2696). Nothing is
// kept but a table of ids and hashed names.
//
//	connect, TLS, bind → who am I, base entries → ids of people and groups → people → groups → base entries, who am I → proof
//
// Being listed is evidence, not being listed is not: a library call that returned without error, a server that
// answered success and an empty last page can each hide a cut. Proof.Complete therefore needs every condition of
// proof.go to hold, each with the value seen, and its zero value proves nothing. Every byte received passes through a
// wire, which counts the messages itself; what the library delivered is compared with it.
package ldapsync
