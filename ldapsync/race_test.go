//go:build race

package ldapsync_test

// raced: the race detector makes everything slow. It is shown a part of the faults: what it looks for does not depend on which.
const raced = true
