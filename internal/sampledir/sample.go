package sampledir

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
)

// person of the sample.
type person struct {
	uid, given, family, title, department string
	partner                               bool
}

func people() []person {
	given := strings.Fields("Ada Björn Chidi Dörte Élise Fatıma Grzegorz Hana Íris Jonas Keiko Łucja Mats Nia Óscar Priya " +
		"Quentin Rosa Søren Tomáš Uma Vera Wanjiru Xavier Yusuf Zoë Aiko Bram Carmen Dag Elif Farid Greta Hugo Ines Joris " +
		"Kirsi Leila Milan Noor Olga Pavel Rania Sanne Timo Ulla Viktor Wilma Yara Zlatan Anouk Boris Ceren Daan Eva")
	family := strings.Fields("Abbott Bąk Çelik Dvořák Ekström Fünfgeld Groß Håkansson Ibáñez Jelić Kowalska Lindqvist Meijer " +
		"Novák Okafor Petrov Quist Rossi Šimić Tamm Ueda Visser Wójcik Yılmaz Zimmer")
	departments := []string{"Orders", "Claims", "Sales", "Finance", "People", "Operations", "IT"}
	titles := map[string][]string{
		"Orders": {"Head of Orders", "Product Owner", "Business Engineer", "Low-code Developer", "Tester", "Low-code Developer", "Business Analyst"},
		"Claims": {"Head of Claims", "Product Owner", "Business Engineer", "Low-code Developer", "Tester", "Business Analyst", "Claims Handler"},
		"Sales":  {"Head of Sales", "Account Manager"}, "Finance": {"Head of Finance", "Controller"},
		"People": {"Head of People", "People Partner"}, "Operations": {"Head of Operations", "Planner"},
		"IT": {"Head of IT", "Platform Administrator", "Identity Engineer", "Support Engineer"},
	}
	var list []person
	for i, g := range given[:53] {
		department := departments[i%len(departments)]
		nth := i / len(departments)
		t := titles[department]
		list = append(list, person{given: g, family: family[(i*7)%len(family)], department: department, title: t[min(nth, len(t)-1)]})
	}
	for i, g := range []string{"Amir", "Beatriz", "Cosmo", "Dilys", "Emeka", "Freja", "Gita"} {
		list = append(list, person{given: g, family: family[(i*5+2)%len(family)], department: "Partners", title: "Consultant", partner: true})
	}
	for i := range list {
		list[i].uid = ascii(list[i].given) + "." + ascii(list[i].family)
	}
	return list
}

// group of the sample; people first, then groups.
type group struct {
	name, description string
	people            func(person) bool
	groups            []string
}

func groups() []group {
	team := func(department string, titles ...string) func(person) bool {
		return func(p person) bool {
			return p.department == department && (len(titles) == 0 || slices.Contains(titles, p.title))
		}
	}
	builders := []string{"Product Owner", "Business Engineer", "Low-code Developer", "Tester", "Head of Orders", "Head of Claims"}
	return []group{
		{"team-orders", "builds the order apps", team("Orders", builders...), nil},
		{"team-claims", "builds the claims apps", team("Claims", builders...), nil},
		{"partner-builders", "people of other organisations who build with us", func(p person) bool { return p.partner && p.uid < "e" }, nil},
		{"low-code-builders", "everybody who builds on the platform", nil, []string{"team-orders", "team-claims", "partner-builders"}},
		{"admins", "administrators of the platform", team("IT", "Head of IT", "Platform Administrator"), nil},
		{"department-sales", "", team("Sales"), nil},
		{"department-operations", "", team("Operations"), nil},
		{"department-claims", "", team("Claims"), nil},
		{"app-users", "who uses the apps", func(p person) bool { return p.partner && p.uid >= "e" },
			[]string{"department-sales", "department-operations", "department-claims", "team-orders"}},
		{"all-staff", "every employee", func(p person) bool { return !p.partner }, nil},
	}
}

// sample makes the text of the file. Names stand in UTF-8 as they are, where RFC 2849 has base64: it is for people to
// edit, and the usual tools read it too.
func sample() (string, error) {
	password := rand.Text()
	var b strings.Builder
	fmt.Fprintf(&b, `# The sample directory of jmld: invented people, read over LDAP like any other directory.
# Edit it while the demo runs and read the directory again: change a title, move somebody to another
# department or group, add a person (copy a record, leave entryUUID out), delete one.
# People described with %q leave by themselves after the first read.
version: 1

dn: %[2]s
objectClass: organization
objectClass: dcObject
o: Example
dc: example
entryUUID: %[3]s

`, LeavesLater, Base, uuidOf(Base))
	for _, ou := range []string{"people", "groups", "services"} {
		dn := "ou=" + ou + "," + Base
		fmt.Fprintf(&b, "dn: %s\nobjectClass: organizationalUnit\nou: %s\nentryUUID: %s\n\n", dn, ou, uuidOf(dn))
	}
	fmt.Fprintf(&b, "dn: %s\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: reader\n"+
		"description: jmld binds with it\nuserPassword: %s\nentryUUID: %s\n\n", ReaderDN, password, uuidOf(ReaderDN))

	list := people()
	heads := map[string]string{}
	for _, p := range list {
		if strings.HasPrefix(p.title, "Head of ") {
			heads[p.department] = p.uid
		}
	}
	leavers := leavers(list)
	for i, p := range list {
		dn := userDN(p.uid)
		fmt.Fprintf(&b, "dn: %s\nobjectClass: inetOrgPerson\nuid: %s\n", dn, p.uid)
		fmt.Fprintf(&b, "cn: %s\n", p.given+" "+p.family)
		fmt.Fprintf(&b, "givenName: %s\n", p.given)
		fmt.Fprintf(&b, "sn: %s\n", p.family)
		fmt.Fprintf(&b, "displayName: %s\n", p.given+" "+p.family)
		domain, kind, org, number := "example.org", "employee", "Example", 1000+i
		if p.partner {
			domain, kind, org, number = "partner.example", "partner", "Partner", 7000+i
		}
		fmt.Fprintf(&b, "mail: %s@%s\nemployeeNumber: %d\nemployeeType: %s\no: %s\ntitle: %s\ndepartmentNumber: %s\n"+
			"telephoneNumber: +49 30 5550 %04d\n", p.uid, domain, number, kind, org, p.title, p.department, 100+i)
		if head := heads[p.department]; head != "" && head != p.uid {
			fmt.Fprintf(&b, "manager: %s\n", userDN(head))
		}
		if leavers[p.uid] {
			fmt.Fprintf(&b, "description: %s\n", LeavesLater)
		}
		fmt.Fprintf(&b, "entryUUID: %s\n\n", uuidOf(dn))
	}
	for _, g := range groups() {
		dn := groupDN(g.name)
		fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\ncn: %s\n", dn, g.name)
		if g.description != "" {
			fmt.Fprintf(&b, "description: %s\n", g.description)
		}
		for _, p := range list {
			if g.people != nil && g.people(p) {
				fmt.Fprintf(&b, "member: %s\n", userDN(p.uid))
			}
		}
		for _, name := range g.groups {
			fmt.Fprintf(&b, "member: %s\n", groupDN(name))
		}
		fmt.Fprintf(&b, "entryUUID: %s\n\n", uuidOf(dn))
	}
	return b.String(), nil
}

// leavers are one who builds and one who only uses an app.
func leavers(list []person) map[string]bool {
	m := map[string]bool{}
	for _, title := range []string{"Tester", "Account Manager"} {
		for _, p := range list {
			if p.title == title {
				m[p.uid] = true
				break
			}
		}
	}
	return m
}

func userDN(uid string) string { return "uid=" + uid + "," + PeopleBase }

func groupDN(name string) string { return "cn=" + name + "," + GroupsBase }

func uuidOf(dn string) string { return nameUUID(strings.ToLower(dn)) }

// ascii spells a name without the letters that need more.
func ascii(s string) string {
	r := strings.NewReplacer("ä", "ae", "å", "a", "á", "a", "ą", "a", "ç", "c", "č", "c", "ć", "c", "é", "e", "ë", "e", "ğ", "g",
		"í", "i", "ı", "i", "ł", "l", "ń", "n", "ñ", "n", "ö", "oe", "ó", "o", "ø", "o", "ř", "r", "š", "s", "ß", "ss", "ü", "ue", "ž", "z", "á", "a")
	return r.Replace(strings.ToLower(s))
}
