package entry

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a Rule is about. Disabled and Expired end an account; Locked and PasswordExpired only keep its owner from logging in
// for a while: whoever types wrong passwords for other people must not end their accounts elsewhere.
const (
	Disabled        = "disabled"
	Expired         = "expired"
	Locked          = "locked"
	PasswordExpired = "password_expired"
)

// Rule says of one attribute when an entry is not active.
type Rule struct {
	Name      string // Disabled, …
	Attribute string
	Bits      int64    // any of them is set in the number
	Past      Type     // a time of this type is over
	Values    []string // it has one of them, compared without case
	Any       bool     // it has any value but those of Values
	Needed    bool     // every entry has the attribute: without it the status is unknown
}

// Holds says whether the rule holds, and in words why. An error is a status that is unknown.
func (r Rule) Holds(values [][]byte, now time.Time) (bool, string, error) {
	if len(values) == 0 {
		if r.Needed {
			return false, "", fmt.Errorf("%s is missing; may it be read?", r.Attribute)
		}
		return false, "", nil
	}
	for _, v := range values {
		switch {
		case r.Bits != 0:
			n, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil {
				return false, "", fmt.Errorf("%s: %q is not a whole number", r.Attribute, clip(v))
			}
			if n&r.Bits != 0 {
				return true, fmt.Sprintf("%s: %s is %d, with the bit %#x", r.Name, r.Attribute, n, n&r.Bits), nil
			}
		case r.Past != Auto:
			at, err := r.Past.time(v)
			if errors.Is(err, errNever) {
				continue
			} else if err != nil {
				return false, "", fmt.Errorf("%s: %w", r.Attribute, err)
			}
			if !at.After(now) {
				return true, fmt.Sprintf("%s: %s is %s", r.Name, r.Attribute, at.Format(time.RFC3339)), nil
			}
		default:
			has := slices.ContainsFunc(r.Values, func(w string) bool { return strings.EqualFold(w, string(v)) })
			if has != r.Any {
				return true, fmt.Sprintf("%s: %s is %q", r.Name, r.Attribute, clip(v)), nil
			}
		}
	}
	return false, "", nil
}

// String says what the rule looks at.
func (r Rule) String() string {
	switch {
	case r.Bits != 0:
		return fmt.Sprintf("%s has the bit %#x", r.Attribute, r.Bits)
	case r.Past != Auto:
		return r.Attribute + " is over"
	case r.Any && len(r.Values) > 0:
		return r.Attribute + " is there and not " + strings.Join(r.Values, ", ")
	case r.Any:
		return r.Attribute + " is there"
	}
	return r.Attribute + " is " + strings.Join(r.Values, ", ")
}

// Status is what the rules say of one entry.
type Status struct {
	Active  bool
	Because string   // why not
	Notes   []string // rules that hold and do not count
	Err     error    // the status is unknown
}

// StatusOf asks the rules; those named in counting make an entry inactive, in the rules' order, and the others are noted.
// One that says no outweighs one that cannot say anything.
func StatusOf(rules []Rule, counting []string, values func(i int) [][]byte, now time.Time) Status {
	s := Status{Active: true}
	for i, r := range rules {
		holds, why, err := r.Holds(values(i), now)
		switch counts := slices.Contains(counting, r.Name); {
		case err != nil && counts:
			s.Err = errors.Join(s.Err, err)
		case holds && !counts:
			s.Notes = append(s.Notes, why+"; it does not count")
		case holds && s.Active:
			s.Active, s.Because = false, why
		}
	}
	if !s.Active {
		s.Err = nil
	}
	return s
}
