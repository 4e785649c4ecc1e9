//go:build !race

package ldapsync_test

const raced = false
