package entry

import "slices"

// Method is how changes since the last read are found.
type Method string

// The methods. None reads everything each time.
const (
	MethodNone       Method = "none"
	MethodUSN        Method = "usn-changed"      // Active Directory: uSNChanged and tombstones, pinned to the server's invocationId
	MethodDirSync    Method = "dirsync"          // Active Directory
	MethodSyncrepl   Method = "syncrepl"         // RFC 4533, refreshOnly
	MethodChangelog  Method = "retro-changelog"  // 389 Directory Server: cn=changelog
	MethodEntryUSN   Method = "entry-usn"        // 389 Directory Server
	MethodModifyTime Method = "modify-timestamp" // any, with an overlap; it does not see everything
)

// Methods lists them as they are written.
func Methods() []string {
	return []string{
		string(MethodNone), string(MethodUSN), string(MethodDirSync), string(MethodSyncrepl), string(MethodChangelog), string(MethodEntryUSN),
		string(MethodModifyTime),
	}
}

// Preset is what is usual in one kind of directory. Every part can be replaced.
type Preset struct {
	Name        string
	ID          string   // attribute that never changes; "": it must be configured
	Aliases     []string // attributes by which an operator may name an entry, too
	People      string   // filter
	Attributes  map[string]Attribute
	Status      []Rule
	Inactive    []string // names of the rules that make a person inactive
	Groups      string   // filter
	GroupName   string
	Members     []string // attributes with members: DNs, or user names in memberUid
	NeedsMember bool     // groupOfNames and groupOfUniqueNames have a member, RFC 4519 §3.5 and §3.6; not so in 389 Directory Server
	Primary     bool     // primaryGroupID names a group that does not list the person (Active Directory)
	Stamp       string   // changes with every change of an entry: it guards lists of members that come in parts
	PageSize    int
	DomainScope bool   // send the control that keeps referrals to other naming contexts away
	Incremental Method // how changes are found
}

// The names.
const (
	ActiveDirectory = "active-directory"
	OpenLDAP        = "openldap"
	DS389           = "389ds"
	Generic         = "generic"
)

// Presets lists their names.
func Presets() []string { return []string{ActiveDirectory, OpenLDAP, DS389, Generic} }

// PresetOf returns a preset; that of "" is what jmld did before there were any: inetOrgPerson and groupOfNames with
// entryUUID. ok is false for a name that nobody knows.
func PresetOf(name string) (p Preset, ok bool) {
	switch name {
	case "":
		return plain(), true
	case ActiveDirectory:
		return activeDirectory(), true
	case OpenLDAP:
		return openLDAP(), true
	case DS389:
		return ds389(), true
	case Generic:
		p = plain()
		p.Name, p.ID, p.PageSize, p.Incremental, p.NeedsMember = Generic, "", 500, MethodModifyTime, false
		return p, true
	}
	return Preset{}, false
}

func from(attrs ...string) Attribute { return Attribute{From: attrs} }

// inetOrgPerson maps RFC 2798.
func inetOrgPerson() map[string]Attribute {
	return map[string]Attribute{
		"userName":          from("uid"),
		"displayName":       from("displayName"),
		"name.formatted":    from("cn"),
		"name.givenName":    from("givenName"),
		"name.familyName":   from("sn"),
		"emails":            from("mail"),
		"phoneNumbers":      from("telephoneNumber"),
		"title":             from("title"),
		"userType":          from("employeeType"),
		"preferredLanguage": from("preferredLanguage"),
		"employeeNumber":    from("employeeNumber"),
		"department":        from("departmentNumber"),
		"organization":      from("o"),
		"division":          from("ou"),
		"manager":           from("manager"),
	}
}

func plain() Preset {
	return Preset{
		ID: "entryUUID", People: "(objectClass=inetOrgPerson)", Attributes: inetOrgPerson(),
		Groups: "(objectClass=groupOfNames)", GroupName: "cn", Members: []string{"member"}, NeedsMember: true, Stamp: "modifyTimestamp",
		PageSize: 1000, Incremental: MethodNone,
	}
}

func openLDAP() Preset {
	p := plain()
	p.Name, p.Incremental = OpenLDAP, MethodSyncrepl
	p.Groups = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
	p.Members, p.Stamp = []string{"member", "uniqueMember", "memberUid"}, "entryCSN"
	const forEver = "000001010000Z" // draft-behera-ldap-password-policy §5.3.3: until an administrator unlocks it
	p.Status = []Rule{
		{Name: Disabled, Attribute: "pwdAccountLockedTime", Values: []string{forEver}},
		{Name: Expired, Attribute: "shadowExpire", Past: Days},
		{Name: Locked, Attribute: "pwdAccountLockedTime", Any: true, Values: []string{forEver}},
	}
	p.Inactive = []string{Disabled, Expired}
	return p
}

func ds389() Preset {
	p := plain()
	p.Name, p.ID, p.Aliases, p.Incremental = DS389, "nsUniqueId", []string{"ipaUniqueID", "entryUUID"}, MethodChangelog
	p.People = "(&(objectClass=inetOrgPerson)(!(objectClass=nsTombstone)))"
	p.Groups = "(&(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))(!(objectClass=nsTombstone)))"
	p.Members, p.NeedsMember = []string{"member", "uniqueMember"}, false
	p.Status = []Rule{
		{Name: Disabled, Attribute: "nsAccountLock", Values: []string{"true"}},
		{Name: Expired, Attribute: "krbPrincipalExpiration", Past: Time},
		{Name: PasswordExpired, Attribute: "krbPasswordExpiration", Past: Time},
	}
	p.Inactive = []string{Disabled, Expired}
	return p
}

func activeDirectory() Preset {
	p := plain()
	p.Name, p.ID, p.Aliases, p.Incremental = ActiveDirectory, "objectGUID", []string{"objectSid"}, MethodUSN
	p.People = "(&(objectCategory=person)(objectClass=user))"
	p.Groups, p.Primary, p.Stamp, p.DomainScope = "(objectCategory=group)", true, "uSNChanged", true
	p.NeedsMember = false
	a := p.Attributes
	a["userName"] = from("userPrincipalName", "sAMAccountName")
	a["phoneNumbers.mobile"] = from("mobile")
	a["employeeNumber"] = from("employeeID", "employeeNumber")
	a["department"] = from("department")
	a["organization"] = from("company")
	a["division"] = from("division")
	p.Status = []Rule{
		{Name: Disabled, Attribute: "userAccountControl", Bits: 0x2, Needed: true},
		{Name: Expired, Attribute: "accountExpires", Past: FileTime},
		// Constructed: it comes only when it is asked for by name.
		{Name: Locked, Attribute: "msDS-User-Account-Control-Computed", Bits: 0x10},
		{Name: PasswordExpired, Attribute: "msDS-User-Account-Control-Computed", Bits: 0x800000},
	}
	p.Inactive = []string{Disabled, Expired}
	return p
}

// RuleNames lists the names of the preset's rules.
func (p Preset) RuleNames() []string {
	var names []string
	for _, r := range p.Status {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}
