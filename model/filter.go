package model

// Filter is a SCIM filter (RFC 7644 §3.4.2.2) after names were resolved: canonical spelling, types known, unknown
// attributes refused. The scim package makes it, the store turns it into SQL.
type Filter interface{ isFilter() }

// And holds when every term does.
type And struct{ Terms []Filter }

// Or holds when any term does.
type Or struct{ Terms []Filter }

// Not negates.
type Not struct{ Term Filter }

// Compare compares one attribute with a literal. For a multi-valued attribute it holds when any value does.
type Compare struct {
	Attr  AttrRef
	Op    CompareOp
	Value any // string, bool, float64, time.Time or nil
}

// ValuePath holds when one element of a multi-valued attribute satisfies Term: emails[type eq "work"]. The attributes in Term are
// relative to the element (Path has only the sub-attribute; value where the attribute is not complex).
type ValuePath struct {
	Attr AttrRef
	Term Filter
}

// Related holds when one member of the group, or one group that the user is in, satisfies Term. The attributes in Term are value,
// display and, of members, type; texts in it that are compared with names are neither empty nor longer than a key. Nothing in a record
// says whether it holds: the store knows.
type Related struct {
	Attr string // RelatedMembers or RelatedGroups
	Term Filter
	// Through says, of groups, how the user is in one.
	Through Through
	// Number tells those of one filter apart, from 0.
	Number int
}

// What Related is about.
const (
	RelatedMembers = "members"
	RelatedGroups  = "groups"
)

// Through is how somebody is in a group.
type Through string

// The ways into a group.
const (
	ThroughAny    Through = ""
	ThroughItself Through = "direct"
	ThroughOthers Through = "indirect" // and not also directly
)

func (And) isFilter()       {}
func (Or) isFilter()        {}
func (Not) isFilter()       {}
func (Compare) isFilter()   {}
func (ValuePath) isFilter() {}
func (Related) isFilter()   {}

// CompareOp is a comparison operator in lower case.
type CompareOp string

// The operators.
const (
	OpEq CompareOp = "eq"
	OpNe CompareOp = "ne"
	OpCo CompareOp = "co"
	OpSw CompareOp = "sw"
	OpEw CompareOp = "ew"
	OpPr CompareOp = "pr"
	OpGt CompareOp = "gt"
	OpGe CompareOp = "ge"
	OpLt CompareOp = "lt"
	OpLe CompareOp = "le"
)

// AttrRef names an attribute in canonical spelling.
type AttrRef struct {
	Schema    string   // URN of an extension, "" for core and common attributes
	Path      []string // {"userName"}, {"emails", "value"}, {"meta", "lastModified"}
	CaseExact bool
	// Declared: the attribute is of an extension that the operator declared, so that the side table has all its values.
	Declared bool
	// Typed: they are no texts, and stand there as Ordered has them.
	Typed bool
}

// String is the canonical notation, which is also Value.Attr: "emails.value", "urn:…:User:employeeNumber".
func (a AttrRef) String() string {
	s := a.Schema
	if s != "" {
		s += ":"
	}
	for i, p := range a.Path {
		if i > 0 {
			s += "."
		}
		s += p
	}
	return s
}

// Query selects records of one source and kind.
type Query struct {
	Source string
	Kind   Kind
	Filter Filter // nil: all
	// Match decides what Filter says, for one record; it is asked where SQL cannot say it. related says of the Related in Filter, by their
	// numbers, which hold. Never nil when Filter is not.
	Match      func(r *Record, related []bool) bool
	SortBy     *AttrRef // nil: by creation, then id
	Descending bool
	Offset     int  // records to skip
	Limit      int  // 0: only count
	Most       int  // records that Match may be asked about; 0: 50,000
	Groups     bool // of users: the groups they are in are wanted, too
}

// Page is the answer to a Query.
type Page struct {
	Total   int
	Records []Record
	// Groups are those that each record is in, directly or through others, by id. nil: nobody asked, or they are to be asked for.
	Groups map[string][]Membership
}
