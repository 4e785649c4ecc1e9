package jml

import (
	"golang.org/x/text/unicode/norm"

	"jmld/model"
)

// Fold brings a value to the form in which values are compared: Unicode form NFKC, then without case (RFC 8265 §3.3).
func Fold(s string) string {
	if !norm.NFKC.IsNormalString(s) {
		s = norm.NFKC.String(s)
	}
	return model.FoldKey(s)
}
