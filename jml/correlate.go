package jml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"jmld/model"
)

// Match is the outcome of correlating one record.
type Match struct {
	Link     model.Link
	Identity string // Linked to somebody known; "" with Linked: a new person
	Text     string // why
}

// Correlate says whom a user record is about.
//
//	linked before                      -> stays: the source's id is the anchor, keys may change
//	no key known                       -> a new person; of a source that may not make people: unmatched
//	keys of one person                 -> that person
//	… who has another record from here -> disputed: one source does not know one person twice
//	… who has another employee number, -> disputed: a mailbox or a name may be shared, or given to somebody else
//	  or had one when last seen           after the first has left; the number is not
//	keys of several people             -> disputed
//
// owners says who has which of the record's keys; owned are all keys of the one owner, if it is one, and siblings the records.
func (r *Rules) Correlate(rec model.Record, keys []model.Key, owners map[model.Key]string, owned []model.Key, siblings []model.Record) Match {
	if rec.IdentityID != "" {
		return Match{Link: model.Linked, Identity: rec.IdentityID}
	}
	var owner string
	var by []string
	for _, k := range keys {
		switch o := owners[k]; {
		case o == "":
		case owner == "" || owner == o:
			owner = o
			by = append(by, k.Name)
		default:
			return Match{Link: model.Disputed, Text: fmt.Sprintf("%s is the key of one person, %s that of another",
				strings.Join(by, " and "), k.Name)}
		}
	}
	if owner == "" && slices.Contains(r.JoinOnly, rec.Source) {
		return Match{Link: model.Unmatched, Text: "nobody has these keys, and " + rec.Source + " makes nobody new"}
	}
	if owner == "" {
		return Match{Link: model.Linked, Text: "new: no other record has these keys"}
	}
	other := slices.IndexFunc(siblings, func(s model.Record) bool {
		return s.IdentityID == owner && s.Source == rec.Source && s.ID != rec.ID && s.AbsentSince == nil && s.MissingSince == nil // one that is missing was made anew
	})
	if other >= 0 {
		return Match{Link: model.Disputed, Text: fmt.Sprintf("%s says it is a person whom %s already has as record %s",
			strings.Join(by, " and "), rec.Source, siblings[other].ID)}
	}
	if number := numberOf(keys); number != "" && !slices.Contains(by, KeyEmployeeNumber) {
		for _, s := range siblings {
			if other := numberOf(r.Keys(s)); s.IdentityID == owner && s.AbsentSince == nil && other != "" && other != number {
				return Match{Link: model.Disputed, Text: fmt.Sprintf("%s says it is a person who has another employee number in %s",
					strings.Join(by, " and "), s.Source)}
			}
		}
		if numberOf(owned) != "" { // who left keeps the keys: the number of the owner, which is not this one
			return Match{Link: model.Disputed, Text: strings.Join(by, " and ") + " says it is a person who had another employee number"}
		}
	}
	return Match{Link: model.Linked, Identity: owner, Text: "same " + strings.Join(by, " and ")}
}

// Ruled is the outcome that a person decided, which goes before Correlate. ok is false when nobody has, or when the keys of a record
// that is ignored are others than then: it is looked at again.
func Ruled(rec model.Record, keys []model.Key, ruling *model.Ruling) (m Match, ok bool) {
	switch {
	case ruling == nil || rec.IdentityID != "":
		return Match{}, false
	case ruling.Kind != model.RulingIgnore:
		return Match{Link: model.Linked, Identity: ruling.IdentityID, Text: "decided by " + ruling.Actor}, true
	case KeyText(keys) == ruling.Keys:
		return Match{Link: model.Ignored, Text: "ignored by " + ruling.Actor}, true
	}
	return Match{}, false
}

// KeyText is the keys as a Ruling keeps them: the same for the same keys in any order.
func KeyText(keys []model.Key) string {
	sorted := slices.SortedFunc(slices.Values(keys), func(a, b model.Key) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	if sorted == nil {
		sorted = []model.Key{}
	}
	return Canonical(sorted)
}

func numberOf(keys []model.Key) string {
	for _, k := range keys {
		if k.Name == KeyEmployeeNumber {
			return k.Value
		}
	}
	return ""
}
