// Package arch holds the tests that keep the house in its shape: which package may import which, and what no package
// may do. It has no code of its own.
package arch
