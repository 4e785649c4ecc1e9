// Package sampledir is a small LDAP directory (RFC 4511) for demonstrations: invented people and groups in an LDIF file
// (RFC 2849) that may be edited by hand while it is served. It is read-only over LDAP and does what a directory read
// needs: simple bind, search with filters, paged results (RFC 2696), "Who am I?" (RFC 4532).
//
// Entries described with LeavesLater are taken out of the file when the first connection ends that read all people to
// the last page: two people leave the organisation by themselves between the first read and the second.
package sampledir
