package ldapsync

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

const (
	oidShowRecycled = "1.2.840.113556.1.4.2064" // [MS-ADTS] §3.1.1.3.4.1.24
	// oldest is how old a mark may be: a domain controller forgets deleted objects after 60 days or more ([MS-ADTS] §3.1.1.1.15).
	oldest = 30 * 24 * time.Hour
)

// usnChanged asks a domain controller of Active Directory for entries with a higher update sequence number ([MS-ADTS] §3.1.1.1.9), deleted ones
// among them. Each controller numbers by itself, and begins anew under another invocationId when it was restored.
type usnChanged struct{}

func (usnChanged) begin(ctx context.Context, r *run) (position, error) {
	s := r.src
	switch {
	case !strings.EqualFold(s.o.ID, "objectGUID"):
		return position{}, unfit{"deleted objects are named by objectGUID, and id is " + s.o.ID}
	case !s.covered():
		return position{}, unfit{"people and groups stand below no common base"}
	}
	first, err := r.readController(ctx, "")
	if err != nil {
		return position{}, err
	}
	c := first
	if first.service != "" {
		if c, err = r.readController(ctx, first.service); err != nil {
			return position{}, err
		}
	}
	if first.highest == 0 || c.invocation == "" || c.base == "" {
		return position{}, unfit{"the server does not show highestCommittedUSN, dsServiceName and its invocationId"}
	}
	p := position{Method: entry.MethodUSN, Service: first.service, Server: c.invocation, Base: c.base, Root: first.root, Number: first.highest, Time: first.time}
	p.Blind, err = r.noDeleted(ctx, p.Root)
	return p, err
}

func (usnChanged) since(ctx context.Context, r *run, from position) (found, error) {
	f := found{next: from, recorded: true}
	c, err := r.readController(ctx, from.Service)
	if err != nil {
		return f, err
	}
	if doubt := c.doubt(r, from); doubt != nil {
		return f, doubt
	}
	f.seen = fmt.Sprintf("nothing after uSNChanged %d", c.highest)
	if c.highest == from.Number {
		return f, nil
	}
	f.next.Number, f.next.Time = c.highest, c.time
	step := "look for changes below " + from.Root
	req := wire.Search{Base: from.Root, Scope: ldap.ScopeWholeSubtree, Filter: fmt.Sprintf("(uSNChanged>=%d)", from.Number+1),
		Attrs: []string{"objectGUID", "objectClass", "isDeleted"}, Controls: deletedToo()}
	err = r.sess.listAll(ctx, step, req, func(e *wire.Entry) error {
		id, err := r.src.entryID(e)
		if err != nil {
			return &model.Doubt{Text: "an entry shows no usable objectGUID: " + printable(e.DN)}
		}
		if v := rawValues(e, "isDeleted"); len(v) == 1 && strings.EqualFold(string(v[0]), "TRUE") {
			return f.lose(id)
		}
		return f.note(id, change{dn: e.DN, leaf: leafClass(e)})
	})
	f.next.Blind = from.Blind && len(f.gone) == 0
	return f, err
}

func (usnChanged) behind(was, now position) (known, behind bool, seen string) {
	return was.Server == now.Server, now.Number < was.Number, fmt.Sprintf("highestCommittedUSN %d, before %d", now.Number, was.Number)
}

// deletedToo shows deleted objects to who may see them.
func deletedToo() []ldap.Control {
	return []ldap.Control{ldap.NewControlMicrosoftShowDeleted(), ldap.NewControlString(oidShowRecycled, false, "")}
}

// leafClass says whether the entry is of a class below which no people and groups stand.
func leafClass(e *wire.Entry) bool {
	return slices.ContainsFunc(rawValues(e, "objectClass"), func(v []byte) bool {
		switch strings.ToLower(string(v)) {
		case "user", "group", "contact", "computer", "dnsnode":
			return true
		}
		return false
	})
}

func tooOld(was, now string) bool {
	a, err := time.Parse(stampForm, was)
	b, nerr := time.Parse(stampForm, now)
	return err == nil && nerr == nil && b.Sub(a) > oldest
}

// controller is what a domain controller says about itself.
type controller struct {
	service, invocation, root, time, base string
	highest                               int64
}

// doubt says why changes cannot be told from the position on.
func (c controller) doubt(r *run, from position) error {
	switch {
	case c.service != from.Service || c.invocation != from.Server:
		return &model.Doubt{Text: "the domain controller is another one than before, or was restored"}
	case c.base != from.Base:
		return &model.Doubt{Text: fmt.Sprintf("the entry %s is another one than before", r.src.changeBase())}
	case c.highest < from.Number:
		return &model.Doubt{Text: fmt.Sprintf("the server's highestCommittedUSN is %d, before it was %d", c.highest, from.Number)}
	case tooOld(from.Time, c.time):
		return &model.Doubt{Text: "the last read of changes was so long ago that the server may have forgotten who was deleted"}
	}
	return nil
}

// readController reads in one round trip what the server says about itself and about the NTDS Settings object of that name.
func (r *run) readController(ctx context.Context, service string) (c controller, err error) {
	s := r.src
	base := s.changeBase()
	list := []wire.Search{
		{Filter: "(objectClass=*)", Attrs: []string{"highestCommittedUSN", "dsServiceName", "currentTime", "namingContexts"}},
		{Base: base, Filter: "(objectClass=*)", Attrs: []string{s.o.ID}},
	}
	if service != "" {
		list = append(list, wire.Search{Base: service, Filter: "(objectClass=*)", Attrs: []string{"invocationId"}})
	}
	answers, err := r.sess.reads(ctx, "read what the server says about itself", list, func(n int, e *wire.Entry) {
		switch n {
		case 0:
			c.service, c.time = only(e, "dsServiceName"), strings.Replace(only(e, "currentTime"), ".0Z", "Z", 1)
			c.highest, _ = strconv.ParseInt(only(e, "highestCommittedUSN"), 10, 64) // 0: it does not say
			for _, v := range rawValues(e, "namingContexts") {
				if dn := string(v); below(base, dn) && len(dn) > len(c.root) {
					c.root = dn
				}
			}
		case 1:
			if v := rawValues(e, s.o.ID); len(v) == 1 {
				c.base, _ = decodeID(s.o.ID, v[0])
			}
		case 2:
			if v := rawValues(e, "invocationId"); len(v) == 1 {
				c.invocation = fmt.Sprintf("%x", bytes.Clone(v[0]))
			}
		}
	})
	switch {
	case err != nil:
		return c, err
	case answers[0] != nil:
		return c, answers[0]
	case c.root == "":
		c.root = base
	}
	return c, answers[1] // the base has to be there; the NTDS Settings of another name need not
}

// noDeleted says whether no deleted object is shown to us.
func (r *run) noDeleted(ctx context.Context, root string) (bool, error) {
	seen := 0
	_, err := r.sess.reads(ctx, "look for deleted objects", []wire.Search{{Base: "CN=Deleted Objects," + root, Scope: ldap.ScopeSingleLevel, Filter: "(isDeleted=TRUE)",
		Attrs: []string{"1.1"}, PageSize: 1, Controls: deletedToo()}}, func(int, *wire.Entry) { seen++ })
	return seen == 0, err
}

// only is the one value of an attribute as text, "" when it has none or several.
func only(e *wire.Entry, attr string) string {
	if v := rawValues(e, attr); len(v) == 1 {
		return string(v[0])
	}
	return ""
}
