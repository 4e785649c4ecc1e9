package testserver

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// names of invented people; some need more than ASCII, one needs escaping in a DN.
func given() []string {
	return []string{"Ada", "Björn", "Chidi", "Dörte", "Élise", "Fatıma", "Grzegorz", "Hüseyin", "Íris", "Jørgen", "Keiko", "Łucja", "明"}
}

func family() []string {
	return []string{"Abbott", "Bąk", "Çelik", "Dvořák", "Ekström", "Fünfgeld", "Groß", "Håkansson", "Ibáñez", "Jelić", "Kowalski, Jr."}
}

// UserDN is the DN of the i-th person of LDIF, from 0.
func UserDN(i int) string { return fmt.Sprintf("uid=u%06d,%s", i, PeopleBase) }

// GroupDN is the DN of the i-th group of LDIF, from 0.
func GroupDN(i int) string { return fmt.Sprintf("cn=group %04d,%s", i, GroupsBase) }

// UserID and GroupID are the entryUUIDs of LDIF's entries.
func UserID(i int) string  { return fmt.Sprintf("00000000-0000-4000-8000-%012x", i+1) }
func GroupID(i int) string { return fmt.Sprintf("00000000-0000-4000-9000-%012x", i+1) }

// LDIF makes invented people at example.org and groups of them. Everybody but the first has a manager, who may come
// later in the file. The first group has the first big people; every other one has up to twenty people and, but for
// every sixth, the group before it as a member, so groups nest up to six deep.
func LDIF(users, groups, big int) string {
	var b strings.Builder
	b.Grow(users*520 + groups*1200 + big*45)
	g, f := given(), family()
	for i := range users {
		first, last := g[i%len(g)], f[(i/3)%len(f)]
		fmt.Fprintf(&b, "dn: %s\nobjectClass: inetOrgPerson\nuid: u%06d\nentryUUID: %s\n", UserDN(i), i, UserID(i))
		line(&b, "cn", first+" "+last)
		line(&b, "displayName", first+" "+last)
		line(&b, "givenName", first)
		line(&b, "sn", last)
		fmt.Fprintf(&b, "mail: u%06d@example.org\nemployeeNumber: %d\ntitle: Engineer %d\ndepartmentNumber: %d\n"+
			"telephoneNumber: +49 30 5550 %06d\npreferredLanguage: de\nemployeeType: employee\no: Example\n",
			i, 100000+i, i%7, i%40, i)
		if i > 0 {
			fmt.Fprintf(&b, "manager: %s\n", UserDN((i*7)%users))
		}
		b.WriteByte('\n')
	}
	for i := range groups {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\ncn: group %04d\nentryUUID: %s\n", GroupDN(i), i, GroupID(i))
		if i == 0 {
			for m := range max(1, min(big, users)) {
				fmt.Fprintf(&b, "member: %s\n", UserDN(m))
			}
		} else {
			for _, m := range GroupUsers(i, users) {
				fmt.Fprintf(&b, "member: %s\n", UserDN(m))
			}
			if i%6 != 0 {
				fmt.Fprintf(&b, "member: %s\n", GroupDN(i-1))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// GroupUsers lists the people in the i-th group of LDIF, for i > 0.
func GroupUsers(i, users int) []int {
	var list []int
	for m := range min(20, users) {
		list = append(list, (i*31+m)%users)
	}
	return list
}

// line writes an attribute, in base64 where RFC 2849 asks for it.
func line(b *strings.Builder, name, value string) {
	for i := range len(value) {
		if value[i] >= 0x80 {
			fmt.Fprintf(b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
			return
		}
	}
	fmt.Fprintf(b, "%s: %s\n", name, value)
}
