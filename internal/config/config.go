package config

import (
	"maps"
	"net"
	"slices"
	"strings"

	"jmld/jml"
	"jmld/jml/entry"
	"jmld/jml/policy"
	"jmld/model"
)

// Config is the whole file. Tags: the key, whether it must be there, and the default as it would be written.
type Config struct {
	Database         Database       `yaml:"database" default:"sqlite:jmld.db"`
	DatabasePassword Secret         `yaml:"database_password"`
	Listen           Listen         `yaml:"listen"`
	Console          Console        `yaml:"console"`
	Log              Log            `yaml:"log"`
	Extensions       []Extension    `yaml:"extensions"`
	Sources          []Source       `yaml:"sources,required"` // in order of precedence
	Fusion           Fusion         `yaml:"fusion"`
	Correlation      []string       `yaml:"correlation"`
	Organisations    []Organisation `yaml:"organisations"`
	Lifecycle        Lifecycle      `yaml:"lifecycle"`
	External         External       `yaml:"external"`
	Protect          Protect        `yaml:"protect"`
	Policy           Policy         `yaml:"policy"`
	Access           Access         `yaml:"access"`
	Guard            Guard          `yaml:"guard"`
	Targets          []Target       `yaml:"targets"`

	// Path is the file, absolute; relative files in it are relative to its directory.
	Path string `yaml:"-"`
	// Warnings do not keep the daemon from starting.
	Warnings []Mistake `yaml:"-"`

	compiled   *policy.Policy
	calendar   jml.Calendar
	protection jml.Protection
}

// Listen says where the daemon answers.
type Listen struct {
	Address string `yaml:"address" default:"127.0.0.1:8484"`
	URL     string `yaml:"url"` // as clients see it; default from Address
	// TrustedProxies may say in X-Forwarded-For where a request came from.
	TrustedProxies []Network `yaml:"trusted_proxies"`
	TLS            *TLS      `yaml:"tls"`
	Insecure       bool      `yaml:"insecure"` // plain http on an address that is not loopback
}

// TLS is a certificate chain and its key, PEM files.
type TLS struct {
	Certificate Path `yaml:"certificate,required"`
	Key         Path `yaml:"key,required"`
	ClientCA    Path `yaml:"client_ca_file"` // who may have signed the certificates of clients
}

// Console is what operators see.
type Console struct {
	Token Secret `yaml:"token"`
}

// Log is how the daemon logs.
type Log struct {
	Format string `yaml:"format" default:"json" oneof:"json console"`
	Level  string `yaml:"level" default:"info" oneof:"debug info warn error"`
}

// Source is a system that reports people: exactly one of LDAP and SCIM is set.
type Source struct {
	Name string      `yaml:"name,required"`
	LDAP *LDAP       `yaml:"ldap"`
	SCIM *SCIMSource `yaml:"scim"`
	// CreatesPeople: a record that nobody's keys match is somebody new. Otherwise it waits for another source to know the person.
	CreatesPeople bool `yaml:"creates_people" default:"true"`
}

// SCIMSource is an identity provider that pushes to /scim/NAME/v2.
type SCIMSource struct {
	MaxBody  Size       `yaml:"max_body" default:"4MiB"`
	Networks []Network  `yaml:"networks"` // where clients may be; none: anywhere
	Basic    *SCIMBasic `yaml:"basic"`
	OAuth    *SCIMOAuth `yaml:"oauth"`
	JWT      *SCIMJWT   `yaml:"jwt"`
	MTLS     *SCIMMTLS  `yaml:"mtls"`
	Limits   SCIMLimits `yaml:"limits"`
	Strict   bool       `yaml:"strict"` // dialects are refused
	// Unassigned is what null, and a removal, say: that there is none, or nothing.
	Unassigned string `yaml:"unassigned" default:"empty" oneof:"empty silent"`
	Cursors    bool   `yaml:"announce_cursors"` // RFC 9865 §4
}

// LDAP is a directory that is read.
type LDAP struct {
	URL      string    `yaml:"url"`     // exactly one of URL, Servers and SRV is set
	Servers  []string  `yaml:"servers"` // URLs in the order of preference
	SRV      string    `yaml:"srv"`     // domain whose DNS records name the servers
	StartTLS bool      `yaml:"start_tls"`
	CAFile   Path      `yaml:"ca_file"`
	Server   string    `yaml:"server_name"` // expected in the certificate; default the host of the URL
	Pins     []string  `yaml:"pins"`        // sha256/BASE64 of public keys
	Client   *TLSPair  `yaml:"client_certificate"`
	Auth     string    `yaml:"auth" default:"simple" oneof:"simple external gssapi"`
	BindDN   string    `yaml:"bind_dn"`
	Password Secret    `yaml:"password"`
	Kerberos *Kerberos `yaml:"kerberos"`
	Preset   string    `yaml:"preset"` // what kind of directory it is: jml/entry has the defaults of what follows
	Base     string    `yaml:"base,required"`
	ID       string    `yaml:"id"` // attribute that never changes
	People   People    `yaml:"people"`
	Groups   *Groups   `yaml:"groups"`
	Inactive *Inactive `yaml:"inactive"`
	PageSize int       `yaml:"page_size" range:"1 100000"`
	Changes  string    `yaml:"incremental"`
	Schedule string    `yaml:"schedule"`                // cron; "": on demand only
	TimeZone string    `yaml:"time_zone" default:"UTC"` // of Schedule
	Jitter   Duration  `yaml:"jitter"`
	CatchUp  string    `yaml:"catch_up" default:"once" oneof:"once skip"`
	Overlap  string    `yaml:"overlap" default:"wait" oneof:"wait skip"`
	Delta    *Delta    `yaml:"delta"`
	Census   *Census   `yaml:"census"`
	Absence  Absence   `yaml:"absence"`
	Timeouts Timeouts  `yaml:"timeouts"`
}

// TLSPair is a client's certificate chain and its key, PEM files.
type TLSPair struct {
	Certificate Path `yaml:"certificate,required"`
	Key         Path `yaml:"key,required"`
}

// Kerberos says who binds with auth: gssapi.
type Kerberos struct {
	Principal string `yaml:"principal,required"`
	Keytab    Path   `yaml:"keytab,required"`
	Config    Path   `yaml:"config" default:"/etc/krb5.conf"`
	Service   string `yaml:"service"` // of the server; default ldap/HOST
}

// People says which entries are people, and how the mapping differs from that of the preset.
type People struct {
	Base       string            `yaml:"base"` // default LDAP.Base
	Filter     string            `yaml:"filter"`
	Attributes map[string]Mapped `yaml:"attributes"` // SCIM path in its full form
}

// Mapped is where the values of a SCIM attribute come from. It is written as the name of an LDAP attribute, "" for none, as
// a list of them, of which the first with a value counts, or as a mapping {from: …, type: …} or {cel: …}.
type Mapped struct{ entry.Attribute }

// Groups says which entries are groups.
type Groups struct {
	Base   string `yaml:"base"` // default LDAP.Base
	Filter string `yaml:"filter"`
	Name   string `yaml:"name"`
	Member string `yaml:"member"`
}

// Inactive says which people are not active: those with the attribute, or with one of its values, or those for whom a rule of
// the preset holds.
type Inactive struct {
	Attribute string   `yaml:"attribute"`
	Values    []string `yaml:"values"`
	When      []string `yaml:"when"` // names of rules
}

// Delta reads what changed, between the full reads, by LDAP.Changes.
type Delta struct {
	Every Duration `yaml:"every" default:"5m"`
}

// Census lists the ids, between the full reads.
type Census struct {
	Every Duration `yaml:"every" default:"1h"`
}

// Absence says when an entry that a read does not find counts as gone. Explicit evidence does not wait.
type Absence struct {
	Runs    int      `yaml:"runs" default:"2" range:"2 1000"` // complete reads that found it nowhere
	After   Duration `yaml:"after" default:"24h"`             // from the first of them
	Confirm int      `yaml:"confirm" default:"1000" range:"1 1000000"`
}

// Timeouts of a directory read.
type Timeouts struct {
	Connect Duration `yaml:"connect" default:"10s"`
	Idle    Duration `yaml:"idle" default:"30s"`
	Run     Duration `yaml:"run" default:"30m"`
}

// Fusion says whose word counts for which attribute.
type Fusion struct {
	Authority map[string]Authorities `yaml:"authority"`
}

// Authorities of an attribute: the first that holds decides. A plain list of sources is one that always holds.
type Authorities []Authority

// Authority says whose word counts for some people.
type Authority struct {
	Sources   []string `yaml:"sources,required"`
	When      string   `yaml:"when"`
	Exclusive bool     `yaml:"exclusive"` // what the first of the sources with a record does not say is empty
}

// Organisation is recognised by e-mail domain.
type Organisation struct {
	Name    string   `yaml:"name,required"`
	Own     bool     `yaml:"own"`
	Domains []string `yaml:"domains,required"`
	// Engagements: its people work with us only as long.
	Engagements []Engagement `yaml:"engagements"`
}

// Policy is the rules; Rules compiles them.
type Policy struct {
	Categories Categories `yaml:"categories"`
	Accounts   []Rule     `yaml:"accounts"`

	// Those that are empty are left out of the fingerprint.
	Roles         []RoleRule     `yaml:"roles" json:",omitempty"`
	Separation    []Separation   `yaml:"separation" json:",omitempty"`
	Certification *Certification `yaml:"certification" json:",omitempty"`
}

// Categories in the order of the file.
type Categories []policy.Category

// Rule grants accounts.
type Rule struct {
	Name       string            `yaml:"name,required"`
	Target     string            `yaml:"target,required"`
	When       string            `yaml:"when,required"`
	Attributes map[string]string `yaml:"attributes"`
	// UserName makes names that nobody else has in the target.
	UserName *Naming `yaml:"user_name"`
	Leaver   string  `yaml:"leaver" default:"deactivate" oneof:"deactivate delete"`
	// BeforeStart: the account is there as long before the start date.
	BeforeStart Duration `yaml:"before_start"`
	// DeleteAfter: it is deleted when it has been deactivated as long.
	DeleteAfter Duration `yaml:"delete_after"`
	// Administrator: its accounts administer the target.
	Administrator bool `yaml:"administrator"`
}

// Naming is how user names are made.
type Naming struct {
	Patterns []string `yaml:"patterns,required"`
	Number   bool     `yaml:"number" default:"true"`
	Rename   bool     `yaml:"rename"`
	Longest  int      `yaml:"longest" default:"64" range:"8 256"`
}

// Guard holds what takes too much away.
type Guard struct {
	Leavers Leavers  `yaml:"leavers"`
	Week    Week     `yaml:"week"`
	Joiners Joiners  `yaml:"joiners"`
	Ceiling Percent  `yaml:"ceiling" default:"10%"`
	Floor   int      `yaml:"floor" default:"50" range:"0 1000000"` // people below which Ceiling says nothing
	Window  Duration `yaml:"window" default:"24h"`
	Expiry  Duration `yaml:"expiry" default:"72h"`

	Attributes GuardAttributes `yaml:"attributes"`
	Movers     Movers          `yaml:"movers"`
	Returns    Returns         `yaml:"returns"`
	Groups     GuardGroups     `yaml:"groups"`
	Reads      GuardReads      `yaml:"reads"`
}

// GuardAttributes is for how many accounts of one target one attribute may change without approval.
type GuardAttributes struct {
	Changed Changed `yaml:"changed"`
	Emptied Emptied `yaml:"emptied"`
}

// Changed counts another value, or none any more.
type Changed struct {
	Count int     `yaml:"count" default:"10" range:"0 1000000"`
	Share Percent `yaml:"share" default:"20%"`
}

// Emptied counts no value any more.
type Emptied struct {
	Count int     `yaml:"count" default:"5" range:"0 1000000"`
	Share Percent `yaml:"share" default:"5%"`
}

// Movers is how many accounts of one target may change at all.
type Movers struct {
	Count int     `yaml:"count" default:"20" range:"0 1000000"`
	Share Percent `yaml:"share" default:"30%"`
}

// Week is how many may lose an account within seven days.
type Week struct {
	Count int     `yaml:"count" default:"15" range:"0 1000000"`
	Share Percent `yaml:"share" default:"3%"`
}

// Joiners is how many people may get an account in one target by one read.
type Joiners struct {
	Count int     `yaml:"count" default:"50" range:"0 1000000"`
	Share Percent `yaml:"share" default:"50%"`
}

// Returns is how many inactive accounts of one target may become active again.
type Returns struct {
	Count int     `yaml:"count" default:"5" range:"0 1000000"`
	Share Percent `yaml:"share" default:"2%"`
}

// GuardGroups is how many members a group may lose.
type GuardGroups struct {
	Count   int     `yaml:"count" default:"10" range:"0 1000000"`
	Share   Percent `yaml:"share" default:"25%"`
	Emptied int     `yaml:"emptied" default:"5" range:"1 1000000"` // members of a group that may not lose all of them
}

// GuardReads is when nobody leaves by a read, whatever their number.
type GuardReads struct {
	Fewer   Fewer    `yaml:"fewer"`
	Renewed Renewed  `yaml:"renewed"`
	Clock   Duration `yaml:"clock" default:"5m"`
}

// Fewer counts people that the last complete read listed and this one does not, without a deletion.
type Fewer struct {
	Count int     `yaml:"count" default:"5" range:"0 1000000"`
	Share Percent `yaml:"share" default:"2%"`
}

// Renewed counts known people under new ids.
type Renewed struct {
	Count int     `yaml:"count" default:"5" range:"0 1000000"`
	Share Percent `yaml:"share" default:"10%"`
}

// Leavers is how many people may lose an account without approval: the greater of both.
type Leavers struct {
	Count int     `yaml:"count" default:"5" range:"0 1000000"`
	Share Percent `yaml:"share" default:"1%"`
}

// Target is a system we keep accounts in: exactly one of Local, SCIM, Manual and Memory is set; or SCIM and, for some steps, Manual.
type Target struct {
	Name        string      `yaml:"name,required"`
	Class       model.Class `yaml:"class,required" oneof:"platform app"`
	Concurrency int         `yaml:"concurrency" default:"4" range:"1 64"` // accounts worked on at once
	Local       *Local      `yaml:"local"`
	SCIM        *SCIMTarget `yaml:"scim"`
	Memory      *Memory     `yaml:"memory"`
	Manual      *Manual     `yaml:"manual" json:",omitempty"`
}

// Local keeps accounts in our own database, in platform_users and app_users.
type Local struct{}

// Memory keeps accounts while the daemon runs.
type Memory struct{}

// SCIMTarget is a SCIM 2.0 service provider.
type SCIMTarget struct {
	URL      string   `yaml:"url,required"`
	Token    Secret   `yaml:"token,required"`
	CAFile   Path     `yaml:"ca_file"`
	Timeout  Duration `yaml:"timeout" default:"10s"`
	Insecure bool     `yaml:"insecure"` // plain http to a host that is not loopback
}

// Kind is "ldap" or "scim".
func (s *Source) Kind() string {
	if s.LDAP != nil {
		return "ldap"
	}
	return "scim"
}

// Kind is "local", "scim", "manual" or "memory".
func (t *Target) Kind() string {
	switch {
	case t.Local != nil:
		return "local"
	case t.SCIM != nil:
		return "scim"
	case t.Manual != nil:
		return "manual"
	}
	return "memory"
}

// Loopback reports whether only this machine can reach the address.
func (l *Listen) Loopback() bool {
	host, _, err := net.SplitHostPort(l.Address)
	return err == nil && isLoopback(host)
}

// isLoopback is about names and addresses as written: nothing is looked up.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Limits is the guard's configuration as the core takes it.
func (g *Guard) Limits() jml.Limits {
	return jml.Limits{
		Count: g.Leavers.Count, Share: float64(g.Leavers.Share), Ceiling: float64(g.Ceiling), Floor: g.Floor,
		Week: limit(g.Week.Count, g.Week.Share), Joiners: limit(g.Joiners.Count, g.Joiners.Share), Window: g.Window.Std(), Expiry: g.Expiry.Std(),
		Changed: limit(g.Attributes.Changed.Count, g.Attributes.Changed.Share), Emptied: limit(g.Attributes.Emptied.Count, g.Attributes.Emptied.Share),
		Movers: limit(g.Movers.Count, g.Movers.Share), Returns: limit(g.Returns.Count, g.Returns.Share),
		Group: limit(g.Groups.Count, g.Groups.Share), GroupEmptied: g.Groups.Emptied,
		Shrink: limit(g.Reads.Fewer.Count, g.Reads.Fewer.Share), Renewed: limit(g.Reads.Renewed.Count, g.Reads.Renewed.Share),
		Clock: g.Reads.Clock.Std(),
	}
}

func limit(count int, share Percent) jml.Limit { return jml.Limit{Count: count, Share: float64(share)} }

// conditions are those of Fusion, and where each stands.
func (c *Config) conditions() (when []string, at []route) {
	for _, name := range slices.Sorted(maps.Keys(c.Fusion.Authority)) {
		for i, a := range c.Fusion.Authority[name] {
			if a.When != "" {
				when, at = append(when, a.When), append(at, route{"fusion", "authority", name, i, "when"})
			}
		}
	}
	return when, at
}

// Rules is every decision's configuration as the core takes it. It is made once, when the file is read.
func (c *Config) Rules() (*jml.Rules, error) {
	if c.compiled == nil {
		return nil, model.Errorf(model.CodeConfig, "the policy was not compiled: the configuration was not made by config.Load")
	}
	r := &jml.Rules{Correlation: c.Correlation, Authority: map[string][]string{}, Conditional: map[string][]jml.Authority{}, Policy: c.compiled,
		Calendar: c.calendar, Protect: c.protection}
	r.Certification = c.Policy.Certification.certification()
	for _, s := range c.Policy.Separation {
		r.Separation = append(r.Separation, s.separation())
	}
	for _, s := range c.Sources {
		r.Precedence = append(r.Precedence, s.Name)
		if !s.CreatesPeople {
			r.JoinOnly = append(r.JoinOnly, s.Name)
		}
	}
	n := 0 // the conditions are numbered as conditions lists them
	for _, name := range slices.Sorted(maps.Keys(c.Fusion.Authority)) {
		list := c.Fusion.Authority[name]
		if len(list) == 1 && list[0].When == "" && !list[0].Exclusive {
			r.Authority[name] = list[0].Sources
			continue
		}
		for _, a := range list {
			r.Conditional[name] = append(r.Conditional[name], jml.Authority{Sources: a.Sources, When: a.When, If: n, Exclusive: a.Exclusive})
			if a.When != "" {
				n++
			}
		}
	}
	for _, o := range c.Organisations {
		if o.Own {
			r.OwnDomains = append(r.OwnDomains, o.Domains...)
		}
	}
	for _, t := range c.Targets {
		r.Targets = append(r.Targets, t.Name)
	}
	return r, nil
}
