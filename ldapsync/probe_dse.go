package ldapsync

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// Controls that tell how changes can be read, RFC 4533 and [MS-ADTS] §3.1.1.3.4.1.3.
const (
	oidSyncRequest = "1.3.6.1.4.1.4203.1.9.1.1"
	oidDirSync     = "1.2.840.113556.1.4.841"
)

// rootDSE looks at what the server says about itself, RFC 4512 §5.1.
func (p *probe) rootDSE(ctx context.Context) bool {
	dse, err := p.one(ctx, "read the root DSE", "", []string{"vendorName", "vendorVersion", "supportedControl", "namingContexts", "dnsHostName",
		"highestCommittedUSN", "changelog", "lastchangenumber", "lastusn", "supportedSASLMechanisms", "structuralObjectClass", "isGlobalCatalogReady"})
	if err != nil {
		p.fail("root DSE", err)
		return p.sess.conn.Err() == nil
	}
	p.ok("kind of server", "%s", kindOf(dse))
	if controls := dse["supportedcontrol"]; len(controls) == 0 {
		p.warn("paging offered", "Let the account read the root DSE.", "the root DSE lists no controls")
	} else if !slices.Contains(controls, ldap.ControlTypePaging) {
		p.emit(Check{Name: "paging offered", Outcome: CheckFail, Code: model.CodeSourceUnproven, Seen: "the server does not list the paging control (RFC 2696)",
			Do: "Read another server, or one with paging enabled."})
	} else {
		p.ok("paging offered", "yes")
	}
	p.ok("incremental reads offered", "%s", strings.Join(incremental(dse), ", "))
	return p.clock(ctx)
}

func kindOf(dse map[string][]string) string {
	switch {
	case len(dse["isglobalcatalogready"]) > 0 || len(dse["highestcommittedusn"]) > 0:
		return "Active Directory, " + first(dse["dnshostname"])
	case slices.ContainsFunc(dse["structuralobjectclass"], func(s string) bool { return strings.HasPrefix(s, "OpenLDAP") }):
		return "OpenLDAP"
	case first(dse["vendorname"]) != "":
		return strings.TrimSpace(first(dse["vendorname"]) + " " + first(dse["vendorversion"]))
	}
	return "it does not say"
}

// incremental lists the ways to read only what changed, the best first.
func incremental(dse map[string][]string) []string {
	var list []string
	has := func(oid string) bool { return slices.Contains(dse["supportedcontrol"], oid) }
	if len(dse["highestcommittedusn"]) > 0 {
		list = append(list, "uSNChanged (at "+first(dse["highestcommittedusn"])+")")
	}
	if has(oidDirSync) {
		list = append(list, "DirSync")
	}
	if has(oidSyncRequest) {
		list = append(list, "syncrepl (RFC 4533)")
	}
	if len(dse["changelog"]) > 0 || len(dse["lastchangenumber"]) > 0 {
		list = append(list, "retro changelog")
	}
	for name := range dse {
		if strings.HasPrefix(name, "lastusn") {
			list = append(list, "entryUSN")
			break
		}
	}
	return append(list, "modifyTimestamp")
}

// clock compares the server's with ours. Not every server tells.
func (p *probe) clock(ctx context.Context) bool {
	off, text, err := p.sess.clock(ctx)
	switch {
	case err != nil:
		p.fail("clock", err)
		return false
	case text == "":
		p.warn("clock", p.src.clockAdvice(), "the server does not tell its time to us: a clock that is wrong would not be noticed")
	case off == nil:
		p.warn("clock", p.src.clockAdvice(), "the server tells it as %s, which is no time", printable(text))
	case off.Abs() > clockLimit:
		p.warn("clock", "Set both clocks by NTP: changes are dated by the server, and Kerberos refuses such a difference.", "the server's is %s off ours", off.Round(time.Second))
	default:
		p.ok("clock", "the server's is %s off ours", off.Round(time.Second))
	}
	return true
}

// one reads one entry: its values by lower-case name.
func (p *probe) one(ctx context.Context, step, dn string, attrs []string) (map[string][]string, error) {
	var out map[string][]string
	_, err := p.sess.search(ctx, step, wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attrs: attrs}, func(e *wire.Entry) error {
		out = map[string][]string{}
		for _, a := range e.Attrs {
			for _, v := range a.Values {
				out[strings.ToLower(a.Name)] = append(out[strings.ToLower(a.Name)], string(v))
			}
		}
		return nil
	})
	if err == nil && out == nil {
		err = p.src.failed(model.CodeSourceBase, step, errors.New("no entry"))
	}
	return out, err
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
