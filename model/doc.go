// Package model holds the nouns every other package speaks in: what a source says (Record), whom it is about
// (Identity), what should exist in a target (Account), what is going to change and why (Change, Plan), and what has
// been done (Run, AuditEntry).
//
// The structs are the rows of the database, one set for PostgreSQL and SQLite; their gorm tags are inert strings, the
// package needs nothing but the standard library. Zero values are safe values: a Proof is incomplete, a Record is
// inactive, a Plan is open, and nothing is applied.
//
// Identifiers are UUIDs in their text form. Times are UTC with microseconds. JSON columns hold canonical JSON text
// (sorted keys, no insignificant space), so that equal content is equal text.
package model
