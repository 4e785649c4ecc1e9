// Package jml decides: from what sources say about a person and what exists in the targets it derives what should exist,
// and the explained difference. It is pure: no context, clock, randomness, logger or I/O; values in, values out.
//
// Invariants, each tested as a property:
//
//  1. Presence is evidence, absence is not. Absence counts only in a complete read, and complete means proven.
//  2. Unknown is not no. A policy error, a disputed correlation, a broken guard, a missing attribute keeps what is.
//  3. Same input, same plan; applied plan, empty plan. Deterministic, sorted, idempotent, convergent.
//  4. Nothing is lost. What a client was told is committed; a crash at any point repeats work, never skips it.
//  5. Everything has a reason. No change without the rule, the record and the time that made it.
//
// Stages: Correlate (whom is a record about) -> Fuse (one set of attributes) -> policy (what should exist) -> Diff
// (what changes, and why) -> Judge (may it go).
package jml
