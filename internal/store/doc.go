// Package store keeps everything in one database: PostgreSQL, for any number of processes, or one SQLite file, for which
// nothing needs to be installed. *Store implements the ports of jml/engine and the reads the other edges ask for.
//
// The rows are the structs of package model. Hot paths (Load, Commit, the queue, lookups) are SQL, written once for both
// databases (dialect.go says what is translated); everything else is GORM on the same connections.
//
//   - PostgreSQL: one pgx pool. Load is one round trip, or two when new keys turn out to be somebody's or a group is in
//     another; Commit is one batch without BEGIN, which the server runs as one transaction. A compare-and-set that misses
//     divides by zero there, so that the server itself undoes the rest. No extension, trigger, sequence, advisory lock or
//     NOTIFY is used.
//   - SQLite: one writing connection, fed by a goroutine that puts what waits into one transaction (one fsync for up to 64
//     commits), and four connections that can only read. Several processes may open one file.
//
// The clock of due times, leases and reviews is the database's. Errors are the sentinels of package model: ErrStale asks
// to load and decide again, ErrConflict is a value that may exist once, ErrUnavailable is the database's own trouble.
package store
