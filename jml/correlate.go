package jml

import (
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
//	no key known                       -> a new person
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

func numberOf(keys []model.Key) string {
	for _, k := range keys {
		if k.Name == KeyEmployeeNumber {
			return k.Value
		}
	}
	return ""
}
