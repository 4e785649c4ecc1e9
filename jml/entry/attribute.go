package entry

// Attribute says where the values of one SCIM attribute come from. The zero value takes the attribute out of a mapping.
type Attribute struct {
	From []string // LDAP attributes: the first that has a value counts
	CEL  string   // instead of From: an expression over `entry`
	Type Type     // how values of From are converted; by the attribute's name when not said
	// SaysEmpty: an entry without a value says that there is none; else it says nothing.
	SaysEmpty bool
}

// Empty says that there is nothing to fill the attribute with.
func (a Attribute) Empty() bool { return len(a.From) == 0 && a.CEL == "" }

// Simple says that values are taken as they are from one attribute.
func (a Attribute) Simple() bool {
	return len(a.From) == 1 && a.CEL == "" && (a.Type == Text || a.Type == Auto && TypeOf(a.From[0]) == Text)
}

// Of is the mapping of one LDAP attribute; none is that of "".
func Of(attr string) Attribute {
	if attr == "" {
		return Attribute{}
	}
	return Attribute{From: []string{attr}}
}
