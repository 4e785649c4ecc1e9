package conformance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// awkward is a text with everything that breaks when a URL or a JSON string is decoded once too often.
const awkward = `R&D "plus" + 100% #1 \ Ü'x`

// people are the users that queries are about, made when the first one needs them:
//
//	        familyName  title       active   emails       department
//	ada     Cole        Architect   true     work, home   Optics
//	bob     Berg        awkward     false    work         Acoustics
//	eve     Abel                    true     home
func (p *probe) people(ctx context.Context) ([]*resource, error) {
	if p.set != nil || p.noSet != nil {
		return p.set, p.noSet
	}
	var set []*resource
	for _, who := range []string{"eve", "ada", "bob"} { // in an order that no other is like
		u, err := p.newUser(ctx, func(d map[string]any) {
			name := p.inSet(who)
			d["userName"], d["externalId"], d["displayName"] = name, "Ext-"+name, strings.ToUpper(who[:1])+who[1:]
			work := map[string]any{"value": "work." + name, "type": "work", "primary": true}
			home := map[string]any{"value": "home." + name, "type": "home"}
			department, family := "", ""
			switch who {
			case "ada":
				d["title"], d["emails"], department, family = "Architect", []any{work, home}, "Optics", "Cole"
			case "bob":
				d["title"], d["active"], d["emails"], department, family = awkward, false, []any{work}, "Acoustics", "Berg"
			case "eve":
				delete(d, "title")
				d["emails"], family = []any{home}, "Abel"
			}
			d["name"] = map[string]any{"givenName": d["displayName"], "familyName": family}
			if p.server.enterprise && department != "" {
				d["schemas"] = []any{urnUser, urnEnterprise}
				d[urnEnterprise] = map[string]any{"department": department}
			}
		})
		if err != nil {
			p.noSet = err
			return nil, err
		}
		set = append(set, u)
	}
	p.set = append(set[1:], set[0])
	return p.set, nil
}

// inSet is the userName of one of the set.
func (p *probe) inSet(who string) string { return p.run + "-set-" + who + "@example.org" }

// within restricts a filter to the set.
func (p *probe) within(f string) string {
	return "userName sw " + quoted(p.run+"-set-") + " and (" + f + ")"
}

func filterChecks() []check {
	one := func(f func(p *probe) string, want string) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error { return p.finds(ctx, f(p), want) }
	}
	text := func(format, want string) func(context.Context, *probe) error {
		return one(func(p *probe) string { return strings.ReplaceAll(format, "RUN", p.run) }, want)
	}
	within := func(f, want string) func(context.Context, *probe) error {
		return one(func(p *probe) string { return p.within(strings.ReplaceAll(f, "RUN", p.run)) }, want)
	}
	inactive := func(f string) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error {
			set, err := p.people(ctx)
			if err != nil {
				return err
			}
			if set[1].answer.doc["active"] == true {
				return skip("the server made somebody active who is not")
			}
			return p.finds(ctx, p.within(f), "bob")
		}
	}
	need := write | filter
	return []check{
		must("filter-none", "7644 §3.4.2", "R64", filter, "a filter that finds nobody is answered with an empty list, not with 404", filterNone),
		must("filter-eq", "7644 §3.4.2.2", "R71", need, `userName eq "…" finds the one`, text(`userName eq "RUN-set-ada@example.org"`, "ada")),
		must("filter-eq-case", "7644 §3.4.2.2, RFC 7643 §4.1.1", "R41 R76", need, "userName is compared without case",
			one(func(p *probe) string { return "userName eq " + quoted(strings.ToUpper(p.inSet("ada"))) }, "ada")),
		must("filter-attribute-case", "7643 §2.1", "R14", need, "attribute names in filters are taken in any case", text(`USERNAME eq "RUN-set-ada@example.org"`, "ada")),
		must("filter-keyword-case", "7644 §3.4.2.2", "R71", need, "operators are taken in any case", text(`userName EQ "RUN-set-ada@example.org"`, "ada")),
		must("filter-id", "7644 §3.4.2.2", "R71", need, `id eq "…" finds the one`,
			func(ctx context.Context, p *probe) error {
				set, err := p.people(ctx)
				if err != nil {
					return err
				}
				return p.finds(ctx, "id eq "+quoted(set[1].id), "bob")
			}),
		must("filter-external-id", "7643 §3.1", "R26", need, `externalId eq "…" finds the one`, text(`externalId eq "Ext-RUN-set-ada@example.org"`, "ada")),
		must("filter-external-id-case", "7643 §3.1, §7", "R26 R41", need, "externalId is compared with case", text(`externalId eq "ext-RUN-set-ada@example.org"`, "")),
		must("filter-co", "7644 §3.4.2.2", "R71", need, "co finds what contains the text", text(`userName co "RUN-set-b"`, "bob")),
		must("filter-sw", "7644 §3.4.2.2", "R71", need, "sw finds what starts with the text", text(`userName sw "RUN-set-"`, "ada bob eve")),
		must("filter-ew", "7644 §3.4.2.2", "R71", need, "ew finds what ends with the text", one(func(p *probe) string { return "userName ew " + quoted(p.inSet("eve")[4:]) }, "eve")),
		must("filter-ne", "7644 §3.4.2.2", "R71", need, "ne finds what has another value", within(`userName ne "RUN-set-ada@example.org"`, "bob eve")),
		must("filter-pr", "7644 §3.4.2.2", "R71 R76", need, "pr finds what has a value", within(`title pr`, "ada bob")),
		must("filter-gt", "7644 §3.4.2.2", "R71", need, "gt finds what is greater", within(`userName gt "RUN-set-bob@example.org"`, "eve")),
		must("filter-ge", "7644 §3.4.2.2", "R71", need, "ge finds what is greater or equal", within(`userName ge "RUN-set-bob@example.org"`, "bob eve")),
		must("filter-lt", "7644 §3.4.2.2", "R71", need, "lt finds what is less", within(`userName lt "RUN-set-bob@example.org"`, "ada")),
		must("filter-le", "7644 §3.4.2.2", "R71", need, "le finds what is less or equal", within(`userName le "RUN-set-bob@example.org"`, "ada bob")),
		must("filter-and", "7644 §3.4.2.2", "R73", need, "and finds what both find", text(`userName sw "RUN-set-" and displayName eq "Bob"`, "bob")),
		must("filter-or", "7644 §3.4.2.2", "R73", need, "or finds what one of them finds",
			text(`userName eq "RUN-set-ada@example.org" or userName eq "RUN-set-eve@example.org"`, "ada eve")),
		must("filter-not", "7644 §3.4.2.2", "R73", need, "not finds what it does not find", within(`not (userName eq "RUN-set-ada@example.org")`, "bob eve")),
		must("filter-precedence", "7644 §3.4.2.2", "R73", need, "and binds more tightly than or",
			text(`userName eq "RUN-set-ada@example.org" or userName eq "RUN-set-bob@example.org" and displayName eq "Nobody"`, "ada")),
		must("filter-group", "7644 §3.4.2.2", "R73", need, "parentheses group",
			text(`(userName eq "RUN-set-ada@example.org" or userName eq "RUN-set-bob@example.org") and displayName eq "Bob"`, "bob")),
		must("filter-boolean", "7644 §3.4.2.2", "R75", need, "active eq false finds who is not active", inactive(`active eq false`)),
		must("filter-sub", "7644 §3.4.2.2", "R79", need, `emails.value eq "…" finds who has the address among others`, text(`emails.value eq "home.RUN-set-ada@example.org"`, "ada")),
		must("filter-value-path", "7644 §3.4.2.2", "R74", need, "emails[…] looks at one value at a time", valuePath),
		must("filter-time", "7644 §3.4.2.2", "R76", need, "meta.created is compared as a time, in any zone",
			func(ctx context.Context, p *probe) error {
				return firstOf(p.finds(ctx, p.within(`meta.created gt "2001-01-01T00:00:00+05:00"`), "ada bob eve"),
					p.finds(ctx, p.within(`meta.created gt "2999-01-01T00:00:00Z"`), ""))
			}),
		must("filter-escape", "7644 §3.4.2.2", "R75", need, `quotes, signs and other scripts in a value are taken as they are`, within(`title eq `+quoted(awkward), "bob")),
		must("filter-urn", "7644 §3.10", "R82", need, "an attribute can be named with its URN", text(urnUser+`:userName eq "RUN-set-ada@example.org"`, "ada")),
		must("filter-extension", "7644 §3.10", "R82", need|enterprise, "an attribute of an extension is named with its URN", within(urnEnterprise+`:department eq "optics"`, "ada")),
		should("filter-null", "7644 §3.4.2.2", "R75", need, "eq null finds what has no value", within(`title eq null`, "eve")),
		interop("filter-ne-absent", "7644 §3.4.2.2", "R77", need, "ne finds what has no value, too: it is what eq does not find", within(`title ne "Architect"`, "bob eve")),
		interop("filter-emails-work", "7644 §3.4.2.2", "R74", need, `emails[type eq "work"].value eq "…" finds the one (Entra)`,
			text(`emails[type eq "work"].value eq "work.RUN-set-ada@example.org"`, "ada")),
		interop("filter-emails", "7644 §3.4.2.2", "R78", need, `emails eq "…" means the value (Ping)`, text(`emails eq "work.RUN-set-ada@example.org"`, "ada")),
		interop("filter-string-boolean", "7644 §3.4.2.2", "R75", need, `active eq "False" is read as a boolean (Entra)`, inactive(`active eq "False"`)),
	}
}

func filterNone(ctx context.Context, p *probe) error {
	a, err := p.get(ctx, query("/Users", "filter", "userName eq "+quoted(p.nobody())))
	if err != nil {
		return err
	}
	list, err := a.list()
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return wrong("no resources", "%d of them: the filter was ignored", len(list))
	}
	return firstOf(lists(a, urnList), same("totalResults", amount(a, "totalResults"), 0))
}

func valuePath(ctx context.Context, p *probe) error {
	// ada has both, but not in one value.
	return firstOf(
		p.finds(ctx, `emails[type eq "work" and value co "`+p.run+`-set-ada"]`, "ada"),
		p.finds(ctx, p.within(`emails[type eq "work" and value sw "home."]`), ""))
}

// finds runs a filter and compares who is found. A server that refuses a filter as the RFC says is honest: that weighs
// as a should.
func (p *probe) finds(ctx context.Context, f, want string) error {
	set, err := p.people(ctx)
	if err != nil {
		return err
	}
	a, err := p.get(ctx, query("/Users", "filter", f, "count", "20"))
	if err != nil {
		return err
	}
	if a.status == http.StatusNotFound && want == "" {
		return nil // filter-none says so
	}
	if a.status == http.StatusBadRequest || a.status == http.StatusNotImplemented {
		return mild(a.is(200))
	}
	list, err := a.list()
	if err != nil {
		return err
	}
	got, others := whom(set, list)
	wanted := strings.Fields(want)
	if slices.Equal(got, wanted) && others == 0 {
		return nil
	}
	return wrong(found(wanted, 0)+" for "+clip(f, 140), "%s", found(got, others))
}

// whom names those of the set that are in the list, and counts others.
func whom(set []*resource, list []map[string]any) (names []string, others int) {
	names = []string{}
	for _, doc := range list {
		i := slices.IndexFunc(set, func(r *resource) bool { return r.id == doc["id"] })
		if i < 0 {
			others++
			continue
		}
		_, who, _ := strings.Cut(set[i].name, "-set-")
		who, _, _ = strings.Cut(strings.ToLower(who), "@")
		names = append(names, who)
	}
	slices.Sort(names)
	return names, others
}

func found(names []string, others int) string {
	s := "nobody"
	if len(names) > 0 {
		s = strings.Join(names, ", ")
	}
	if others > 0 {
		s += fmt.Sprintf(" and %d others", others)
	}
	return s
}

func filterRefusalChecks() []check {
	refused := func(f string) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error { return p.refuses(ctx, f) }
	}
	return []check{
		must("filter-unknown-attribute", "7644 §3.4.2.2", "R70 R80", write|filter, "a filter on an attribute that does not exist is 400, never a list of everybody", refused(`frobnicate eq "x"`)),
		must("filter-unknown-operator", "7644 §3.4.2.2", "R70 R80", write|filter, "an operator that does not exist is 400", refused(`userName like "x"`)),
		must("filter-syntax", "7644 §3.4.2.2", "R70 R134", write|filter, "a filter that is none is 400", refused(`userName eq`)),
		must("filter-parentheses", "7644 §3.4.2.2", "R70 R134", write|filter, "a filter with a parenthesis left open is 400", refused(`(userName eq "x"`)),
		should("filter-order-boolean", "7644 §3.4.2.2", "R72", write|filter, "a boolean has no order: active gt true is 400", refused(`active gt true`)),
		must("filter-password", "7643 §7", "R36 R81", write|filter, "a filter does not tell whether a password is right", passwordOracle),
		should("search-type", "7644 §3.4.3", "R91", write|filter, "POST /Users/.search is a query with its parameters in the body",
			func(ctx context.Context, p *probe) error { return p.searches(ctx, "/Users/.search") }),
		should("search-root", "7644 §3.4.3, §3.4.2.1", "R67 R91", write|filter, "POST /.search asks for resources of every type",
			func(ctx context.Context, p *probe) error { return p.searches(ctx, "/.search") }),
	}
}

// refuses wants 400 invalidFilter. Somebody in the answer is the worst of all: the client takes them for the ones it
// asked for. An empty list makes it create them again.
func (p *probe) refuses(ctx context.Context, f string) error {
	if _, err := p.people(ctx); err != nil {
		return err
	}
	a, err := p.get(ctx, query("/Users", "filter", f, "count", "5"))
	if err != nil {
		return err
	}
	if a.status == http.StatusOK {
		if n := len(elements(a.doc, "Resources")); n > 0 {
			return wrong("status 400 for "+f, "%s, with %d resources", a.brief(), n)
		}
		return mild(wrong("status 400 for "+f, "%s, with an empty list", a.brief()))
	}
	return a.refused("invalidFilter", http.StatusNotImplemented)
}

func passwordOracle(ctx context.Context, p *probe) error {
	secret := p.password()
	u, err := p.newUser(ctx, func(d map[string]any) { d["password"] = secret })
	if err != nil {
		return err
	}
	for _, f := range []string{"password eq " + quoted(secret), "userName eq " + quoted(u.name) + " and password sw " + quoted(secret[:5])} {
		a, err := p.get(ctx, query("/Users", "filter", f, "count", "5"))
		if err != nil {
			return err
		}
		for _, doc := range elements(a.doc, "Resources") {
			if doc["id"] == u.id {
				return wrong("status 400, or an empty list", "%s, with the user whose password it is", a.brief())
			}
		}
	}
	return nil
}

func (p *probe) searches(ctx context.Context, path string) error {
	set, err := p.people(ctx)
	if err != nil {
		return err
	}
	a, err := p.do(ctx, request{method: "POST", path: path, body: map[string]any{
		"schemas": []any{urnSearch}, "filter": "userName eq " + quoted(set[0].name), "attributes": []any{"userName"}, "startIndex": 1, "count": 10,
	}})
	if err != nil {
		return err
	}
	list, err := a.list()
	if err != nil {
		return err
	}
	names, others := whom(set, list)
	if !slices.Equal(names, []string{"ada"}) || others > 0 {
		return wrong("ada", "%s", found(names, others))
	}
	return unassigned("displayName, which was not asked for,", list[0]["displayName"])
}
