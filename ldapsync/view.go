package ldapsync

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
)

// viewEntry shows the attributes; those that a mapping or rule looks at are never withheld.
func viewEntry(e *wire.Entry, mapped map[string]places) []ViewAttr {
	var list []ViewAttr
	for _, a := range e.Attrs {
		_, isMapped := mapped[strings.ToLower(a.Name)]
		list = append(list, viewAttr(a.Name, a.Values, isMapped))
	}
	slices.SortFunc(list, func(a, b ViewAttr) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list
}

func viewAttr(name string, values [][]byte, isMapped bool) ViewAttr {
	out := ViewAttr{Name: name, Count: len(values)}
	if entry.Secret(name) || !isMapped && likelySecret(name) {
		out.Withheld = true
		return out
	}
	t := entry.TypeOf(name)
	for _, v := range values[:min(len(values), maxShown)] {
		text, err := string(v), error(nil)
		if t.Binary() {
			text, err = t.Convert(v)
		}
		if err != nil || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' }) {
			text = "base64:" + base64.StdEncoding.EncodeToString(v[:min(len(v), maxShownValue)])
		}
		if len(v) > maxShownValue {
			text = strings.ToValidUTF8(text[:min(len(text), maxShownValue)], "") + "… (" + strconv.Itoa(len(v)) + " bytes)"
		}
		out.Values = append(out.Values, text)
	}
	slices.Sort(out.Values)
	return out
}

// likelySecret is entry.Secret for the attributes of schemas we do not know.
func likelySecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"password", "passwd", "secret", "privatekey", "credential", "otpkey"}, func(w string) bool {
		return strings.Contains(name, w)
	})
}
