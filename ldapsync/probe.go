package ldapsync

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// Outcome of a check.
type Outcome string

// The outcomes: a read would work, would work and somebody should look, would not work.
const (
	CheckOK   Outcome = "ok"
	CheckWarn Outcome = "warn"
	CheckFail Outcome = "fail"
)

// Check is one thing that was looked at before a directory is read.
type Check struct {
	Name    string
	Outcome Outcome
	Seen    string
	Do      string // what to do; "" with CheckOK
	Code    model.Code
}

const (
	probeSample = 200                 // entries whose attributes are counted
	fewDays     = 30 * 24 * time.Hour // a certificate or password that lives shorter is a warning
	clockLimit  = 5 * time.Minute
)

// Probe looks at everything a read depends on, as the account that would read, and hands each check to each as it is made. It changes
// nothing and reads content of a sample only; of all others it reads the ids. It stops where it cannot go on.
func (s *Source) Probe(ctx context.Context, each func(Check)) error {
	if !s.busy.TryLock() {
		return s.failed(model.CodeSourceBusy, "start", errors.New("it is being read already"))
	}
	defer s.busy.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Run, errTimeout)
	defer cancel()
	p := &probe{src: s, emit: each}
	p.run(ctx)
	return nil
}

// probe is one Probe.
type probe struct {
	src  *Source
	emit func(Check)
	sess *session

	ids    map[string]int // how often each was listed
	sample *wireSample
}

func (p *probe) ok(name, format string, args ...any) {
	p.emit(Check{Name: name, Outcome: CheckOK, Seen: fmt.Sprintf(format, args...)})
}

func (p *probe) warn(name, do, format string, args ...any) {
	p.emit(Check{Name: name, Outcome: CheckWarn, Seen: fmt.Sprintf(format, args...), Do: do})
}

func (p *probe) fail(name string, err error) {
	code := model.CodeOf(err)
	text := strings.Replace(err.Error(), "read ldap source "+p.src.o.Name+" ", "", 1)
	p.emit(Check{Name: name, Outcome: CheckFail, Seen: text, Do: code.Advice(), Code: code})
}

func (p *probe) run(ctx context.Context) {
	s := p.src
	s.at = ""
	password, err := s.secret()
	if err != nil {
		p.fail("credentials", err)
		return
	}
	list, err := s.servers(ctx)
	if err != nil {
		p.fail("servers", err)
		return
	}
	usable := p.reach(ctx, list)
	if len(usable) == 0 {
		return
	}
	if p.sess, err = s.openAt(ctx, usable[0], password); err != nil {
		p.fail("bind", err)
		return
	}
	defer p.sess.close()
	for _, step := range []func(context.Context) bool{
		p.identity, p.rootDSE, p.bases, p.people, p.groups, p.attributes, p.lookup, p.changes,
	} {
		if !step(ctx) || ctx.Err() != nil {
			return
		}
	}
}

// reach connects to each server and looks at its certificate. One of several that fails is a warning: the others take over.
func (p *probe) reach(ctx context.Context, list []server) []server {
	s := p.src
	var usable []server
	var failed []Check
	for _, v := range list {
		s.at, s.tlsSeen = v.url, nil
		start := s.now()
		conn, err := s.connect(ctx, v)
		if err != nil {
			code := model.CodeOf(err)
			failed = append(failed, Check{Name: "server " + v.url, Outcome: CheckFail, Code: code, Do: code.Advice(),
				Seen: strings.TrimPrefix(err.Error(), "read ldap source "+s.o.Name+" at "+v.url+": ")})
			continue
		}
		p.ok("server "+v.url, "%s answers in %s", conn.RemoteAddr(), s.now().Sub(start).Round(time.Millisecond))
		conn.Close()
		usable = append(usable, v)
		p.certificate(v, s.tlsSeen)
	}
	for _, c := range failed {
		if len(usable) > 0 {
			c.Outcome = CheckWarn
		}
		p.emit(c)
	}
	return usable
}

func (p *probe) certificate(v server, state *tls.ConnectionState) {
	name := "certificate of " + v.host
	if state == nil {
		p.ok(name, "none is needed: the connection never leaves this machine")
		return
	}
	leaf, first := state.PeerCertificates[0], state.PeerCertificates[0]
	var chain []string
	for _, c := range state.VerifiedChains[0] {
		chain = append(chain, orElse(c.Subject.CommonName, c.Subject.String()))
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	left := first.NotAfter.Sub(p.src.now())
	seen := fmt.Sprintf("%s, %s, valid to %s (%d days), %s", tls.VersionName(state.Version), strings.Join(chain, " < "),
		first.NotAfter.UTC().Format(time.DateOnly), int(left.Hours()/24), pinOf(leaf))
	if left < fewDays {
		p.warn(name, "Renew it before it expires: a server with an expired certificate is not read.", "%s", seen)
		return
	}
	p.ok(name, "%s", seen)
}

// identity shows as whom the server sees us.
func (p *probe) identity(ctx context.Context) bool {
	c := p.sess
	who, known, err := c.whoAmI(ctx)
	switch {
	case err != nil:
		p.fail("bind", err)
		return false
	case known && (who == "" || who == "dn:"):
		p.fail("bind", p.src.failed(model.CodeSourceCredentials, "bind as "+p.src.who(), errors.New("the server takes us for anonymous")))
		return false
	case !known:
		who = "the server does not answer who we are"
	}
	policy := c.conn.Policy()
	if policy.Known && (policy.Grace >= 0 || policy.Expires >= 0 && time.Duration(policy.Expires)*time.Second < fewDays) {
		p.warn("bind", model.CodeSourcePassword.Advice(), "as %s (%s); %s", p.src.who(), who, runsOut(policy))
		return true
	}
	p.ok("bind", "as %s (%s)", p.src.who(), who)
	return true
}

func (p *probe) bases(ctx context.Context) bool {
	for _, dn := range p.src.bases() {
		id, err := p.sess.baseID(ctx, dn)
		switch {
		case err != nil:
			p.fail("base "+dn, err)
			return false
		case id == "":
			p.emit(Check{Name: "base " + dn, Outcome: CheckFail, Code: model.CodeSourceUnproven, Seen: "it is there, and has no " + p.src.o.ID + " that we can read",
				Do: "Let the account read " + p.src.o.ID + " of this entry, too: by it a run knows that the tree is still the same one."})
		default:
			p.ok("base "+dn, "%s %s", p.src.o.ID, id)
		}
	}
	return true
}

// listAll reads the ids of everything that matches, as a run does.
func (p *probe) listAll(ctx context.Context, what, base, filter string) (n int, ok bool) {
	c, o := p.sess, p.src.o
	nameless, twice := 0, 0
	pages, unpaged, referrals := c.pages, c.unpaged, c.referrals
	start := p.src.now()
	err := c.list(ctx, "list "+what+" below "+base, base, filter, []string{o.ID}, func(e *wire.Entry) error {
		n++
		id, err := p.src.entryID(e)
		if err != nil {
			nameless++
			return nil //nolint:nilerr // counted
		}
		if p.ids[id]++; p.ids[id] > 1 {
			twice++
		}
		return nil
	})
	if err != nil {
		p.fail(what, fmt.Errorf("after %d entries: %w", n, err))
		return n, false
	}
	p.ok(what, "%d match %s below %s, listed in %s", n, filter, base, p.src.now().Sub(start).Round(time.Millisecond))
	if n == 0 {
		p.warn(what+" found", model.CodeSourceEmpty.Advice(), "0; a run that finds nobody fails")
	}
	name := "paging of " + what
	switch {
	case c.unpaged > unpaged:
		p.emit(Check{Name: name, Outcome: CheckFail, Code: model.CodeSourceUnproven, Seen: "the server does not answer with the paging control (RFC 2696)",
			Do: "Without it a run cannot know that it saw everything. Let the account use the control, or ask another server."})
	default:
		p.ok(name, "%d pages of at most %d", c.pages-pages, o.PageSize)
	}
	if c.referrals > referrals {
		p.warn("referrals among "+what, model.CodeSourceReferral.Advice(), "%d, first %s", c.referrals-referrals, printable(c.firstReferral))
	}
	if nameless > 0 || twice > 0 {
		p.emit(Check{Name: "id of " + what, Outcome: CheckFail, Code: model.CodeSourceUnproven,
			Seen: fmt.Sprintf("%d of %d have no %s, %d have that of another entry", nameless, n, o.ID, twice),
			Do:   "id has to be an attribute that every entry has once and for ever, and that the account may read."})
	} else if n > 0 {
		p.ok("id of "+what, "every entry has its own %s", o.ID)
	}
	return n, true
}

func (p *probe) people(ctx context.Context) bool {
	p.ids = map[string]int{}
	n, ok := p.listAll(ctx, "people", p.src.o.People.Base, p.src.o.People.Filter)
	return ok && n > 0
}

func (p *probe) groups(ctx context.Context) bool {
	g := p.src.o.Groups
	if g == nil {
		p.ok("groups", "none are read")
		return true
	}
	n, ok := p.listAll(ctx, "groups", g.Base, g.Filter)
	if !ok || n == 0 {
		return ok
	}
	members := p.src.preset.Members
	sample, err := p.takeSample(ctx, "groups", g.Base, g.Filter, append([]string{g.Name}, members...))
	if err != nil {
		p.fail("attributes of groups", err)
		return false
	}
	p.rights("group attribute", sample, []string{g.Name})
	// Groups of different classes have their members in different attributes: one of them is enough.
	seen := slices.DeleteFunc(slices.Clone(members), func(a string) bool { return sample.has[strings.ToLower(a)] == 0 })
	if len(seen) == 0 {
		seen = []string{strings.Join(members, ", ")}
	}
	p.rights("group attribute", sample, seen)
	return true
}

// wireSample counts in how many entries each attribute stands.
type wireSample struct {
	entries int
	has     map[string]int // by lower-case name
	ids     []string
}

// takeSample reads one page. The rest of the list is not asked for.
func (p *probe) takeSample(ctx context.Context, what, base, filter string, attrs []string) (*wireSample, error) {
	sample := &wireSample{has: map[string]int{}}
	req := wire.Search{Base: base, Scope: ldap.ScopeWholeSubtree, Filter: filter, Attrs: append([]string{p.src.o.ID}, attrs...), PageSize: probeSample}
	_, err := p.sess.search(ctx, "read a sample of "+what, req, func(e *wire.Entry) error {
		sample.entries++
		for _, a := range attrs {
			if len(rawValues(e, a)) > 0 {
				sample.has[strings.ToLower(a)]++
			}
		}
		if id, err := p.src.entryID(e); err == nil && len(sample.ids) < 3 {
			sample.ids = append(sample.ids, id)
		}
		return nil
	})
	return sample, err
}

// rights says of how many entries each attribute could be read: what an account may not read is simply not there.
func (p *probe) rights(kind string, sample *wireSample, attrs []string) {
	for _, a := range attrs {
		n := sample.has[strings.ToLower(a)]
		if n == 0 && sample.entries > 0 {
			p.warn(kind+" "+a, fmt.Sprintf("If the directory has it, let %s read it; if not, take it out of the mapping. A right that comes or goes later looks like a "+
				"change of everybody.", p.src.who()), "0 of %d have it, as far as %s may see", sample.entries, p.src.who())
			continue
		}
		p.ok(kind+" "+a, "%d of %d have it", n, sample.entries)
	}
}

func (p *probe) attributes(ctx context.Context) bool {
	attrs := slices.DeleteFunc(slices.Clone(p.src.people.request), func(a string) bool { return strings.EqualFold(a, p.src.o.ID) })
	sample, err := p.takeSample(ctx, "people", p.src.o.People.Base, p.src.o.People.Filter, attrs)
	if err != nil {
		p.fail("attributes of people", err)
		return false
	}
	p.sample = sample
	told := map[string]bool{}
	for _, rule := range p.src.preset.Status { // nobody may have it: that is no sign of a missing right
		in := strings.ToLower(rule.Attribute)
		if told[in] || !slices.ContainsFunc(attrs, func(a string) bool { return strings.EqualFold(a, in) }) {
			continue
		}
		told[in] = true
		attrs = slices.DeleteFunc(attrs, func(a string) bool { return strings.EqualFold(a, in) })
		seen := fmt.Sprintf("%d of %d have it", sample.has[in], sample.entries)
		if sample.has[in] == 0 {
			seen += fmt.Sprintf("; if others do, %s may not read it, and who is not active looks active", p.src.who())
		}
		p.ok("status attribute "+rule.Attribute, "%s", seen)
	}
	p.rights("attribute", sample, attrs)
	return true
}

// lookup finds a few people again by their ids, as a run does before it believes that others are gone.
func (p *probe) lookup(ctx context.Context) bool {
	f := finder{sess: p.sess}
	var err error
	if f.scope, err = p.src.scopeOf(model.KindUser); err == nil {
		f.root, err = p.sess.namingContext(ctx)
	}
	found := 0
	for _, id := range p.sample.ids {
		var got model.Sighting
		if err == nil {
			got, err = f.find(ctx, id)
		}
		if err == nil && got.State == model.SightListed {
			found++
		}
	}
	switch {
	case err != nil:
		p.fail("look for one by id", err)
	case found < len(p.sample.ids):
		p.emit(Check{Name: "look for one by id", Outcome: CheckFail, Code: model.CodeSourceUnproven,
			Seen: fmt.Sprintf("%d of %d people that were just listed are found by %s", found, len(p.sample.ids), p.src.o.ID),
			Do:   "Let the account search by " + p.src.o.ID + " below " + f.root + ". Until then nobody who is missing can be told from somebody who cannot be seen."})
	default:
		p.ok("look for one by id", "%d of %d are found below %s", found, len(p.sample.ids), f.root)
	}
	return true
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
