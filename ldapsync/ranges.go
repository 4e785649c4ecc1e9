package ldapsync

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
)

// rangeOption begins the option with which Active Directory gives and is asked for a part of a list: member;range=0-1499.
const rangeOption = "range="

// readRanges reads a group whose members come in parts: the whole list, and again when the group changed meanwhile.
func (r *run) readRanges(ctx context.Context, g *gathered) error {
	id, dn := g.id, g.dn
	for range maxTries {
		*g = gathered{id: id, dn: dn}
		before, err := r.readParts(ctx, g, false)
		if err != nil {
			return err
		}
		again := gathered{id: id, dn: dn}
		after, err := r.readParts(ctx, &again, true)
		if err != nil {
			return err
		}
		if before == after {
			return nil
		}
	}
	return partialError{fmt.Sprintf("it changed each time while its members were read, %d times", maxTries)}
}

// parts identifies a state of a group: the stamp of its last change and the first part of each list of members.
type parts struct {
	stamp string
	first [sha256.Size]byte
}

// readParts reads the members part by part, or only the first part.
func (r *run) readParts(ctx context.Context, g *gathered, firstOnly bool) (parts, error) {
	var state parts
	hash := sha256.New()
	attrs := []string{r.src.o.Groups.Name, r.src.preset.Stamp}
	next := map[string]int{} // by attribute: where the next part begins
	for _, m := range r.src.preset.Members {
		attrs = append(attrs, m+";"+rangeOption+"0-*")
	}
	for n := 0; len(attrs) > 0; n++ {
		if n == maxRanges {
			return state, partialError{fmt.Sprintf("its members come in more than %d parts", maxRanges)}
		}
		found := 0
		var asked []string
		var wrong error // the rest of the answer is read all the same
		_, err := r.sess.search(ctx, "read the members of "+printable(g.dn),
			wire.Search{Base: g.dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attrs: attrs}, func(e *wire.Entry) error {
				found++
				if n == 0 {
					for _, v := range rawValues(e, r.src.preset.Stamp) {
						state.stamp = string(v)
					}
				}
				asked, wrong = r.takeParts(g, e, next, func(v []byte) {
					if n == 0 {
						hash.Write(v)
						hash.Write([]byte{0})
					}
				})
				return nil
			})
		switch {
		case isNoSuchObject(err) || err == nil && found != 1:
			return state, partialError{"it went away while its members were read"}
		case err != nil:
			return state, err
		case wrong != nil:
			return state, wrong
		case n == 0:
			hash.Sum(state.first[:0])
		case unanswered(attrs, next):
			return state, partialError{fmt.Sprintf("the server did not go on with %s", attrs[0])}
		}
		if attrs = asked; firstOnly {
			return state, nil
		}
	}
	if len(g.members)+len(g.outside) == 0 {
		return state, partialError{"its members came in parts, and then there were none"}
	}
	return state, nil
}

// unanswered says whether one of the parts asked for did not come.
func unanswered(asked []string, next map[string]int) bool {
	return slices.ContainsFunc(asked, func(a string) bool {
		base, option, _ := strings.Cut(a, ";")
		from, _, err := parseRange(option)
		at := next[strings.ToLower(base)]
		return err == nil && at != ended && at <= from
	})
}

// takeParts takes the members of one answer and returns what to ask for next. Each answer must go on where the last ended:
// an empty list without a part of it would be a group that looks empty.
func (r *run) takeParts(g *gathered, e *wire.Entry, next map[string]int, note func(v []byte)) (ask []string, err error) {
	for i := range e.Attrs {
		a := &e.Attrs[i]
		base, option, _ := strings.Cut(a.Name, ";")
		if strings.EqualFold(a.Name, r.src.o.Groups.Name) {
			list, err := texts(a)
			if err != nil {
				return nil, partialError{err.Error()}
			}
			g.name = string(choose(list, e.DN, strings.ToLower(a.Name)))
			continue
		}
		member := slices.IndexFunc(r.src.preset.Members, func(m string) bool { return strings.EqualFold(m, base) })
		if member < 0 || option == "" && len(a.Values) == 0 {
			continue
		}
		key := strings.ToLower(base)
		if option != "" {
			from, last, err := parseRange(option)
			if err != nil || from != next[key] || last >= 0 && last-from+1 != len(a.Values) {
				return nil, partialError{fmt.Sprintf("the server gave %d of its members as %s, not those from %d on", len(a.Values), a.Name, next[key])}
			}
			next[key] = ended
			if last >= 0 {
				next[key] = last + 1
				ask = append(ask, fmt.Sprintf("%s;%s%d-*", r.src.preset.Members[member], rangeOption, last+1))
			}
		}
		for _, v := range a.Values {
			note(v)
		}
		g.add(base, a.Values, r.member)
	}
	return ask, nil
}

// parseRange reads range=0-1499, or range=1500-* with last -1 for the end.
func parseRange(option string) (from, last int, err error) {
	bounds, ok := strings.CutPrefix(strings.ToLower(option), rangeOption)
	low, high, dash := strings.Cut(bounds, "-")
	from, err = strconv.Atoi(low)
	if !ok || !dash || err != nil || from < 0 {
		return 0, 0, fmt.Errorf("%q is not a range", option)
	}
	if high == "*" {
		return from, -1, nil
	}
	if last, err = strconv.Atoi(high); err != nil || last < from {
		return 0, 0, fmt.Errorf("%q is not a range", option)
	}
	return from, last, nil
}

func isNoSuchObject(err error) bool {
	var answer *ldap.Error
	return errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultNoSuchObject
}
