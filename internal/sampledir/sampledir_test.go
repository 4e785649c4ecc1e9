package sampledir_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"jmld/internal/sampledir"
	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

type served struct {
	*sampledir.Dir
	path, url, password string
	stop                func()
}

func serve(t *testing.T, path string) *served {
	t.Helper()
	d, err := sampledir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d.Report = func(err error) { t.Error(err) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l) }()
	s := &served{Dir: d, path: path, url: "ldap://" + l.Addr().String()}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("the server did not stop")
		}
	}
	t.Cleanup(s.stop)
	if s.password, err = d.Password(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *served) source(t *testing.T) *ldapsync.Source {
	t.Helper()
	src, err := ldapsync.New(ldapsync.Options{
		Name: "sample", URL: s.url, BindDN: sampledir.ReaderDN, Password: func() (string, error) { return s.password, nil },
		Base: sampledir.Base, People: ldapsync.People{Base: sampledir.PeopleBase},
		Groups: &ldapsync.Groups{Base: sampledir.GroupsBase}, PageSize: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func (s *served) read(t *testing.T) (people, groups map[string]model.Entry) {
	t.Helper()
	people, groups = map[string]model.Entry{}, map[string]model.Entry{}
	p, err := s.source(t).Read(t.Context(), func(e model.Entry) error {
		if e.Kind == model.KindGroup {
			groups[e.DisplayName] = e
		} else {
			people[e.UserName] = e
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Complete || len(p.Skipped) != 0 || p.Unresolved != 0 {
		t.Fatalf("proof: %+v", p)
	}
	return people, groups
}

func (s *served) conn(t *testing.T) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetTimeout(time.Minute)
	return c
}

func (s *served) edit(t *testing.T, change func(string) string) {
	t.Helper()
	old, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	text := change(string(old))
	if text == string(old) {
		t.Fatal("the edit changes nothing")
	}
	if err := os.WriteFile(s.path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path+".new", s.path); err != nil {
		t.Fatal(err)
	}
}

func TestTheSampleIsReadCompletelyAndTwoPeopleLeaveOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "directory.ldif")
	s := serve(t, path)
	first, groups := s.read(t)
	if len(first) != 60 || len(groups) != 10 {
		t.Fatalf("%d people in %d groups, want 60 in 10", len(first), len(groups))
	}
	for _, name := range []string{"low-code-builders", "app-users", "all-staff", "admins"} {
		if len(groups[name].Members) == 0 {
			t.Errorf("group %s has no members", name)
		}
	}
	if !slices.Contains(groups["low-code-builders"].Members, groups["team-orders"].ID) {
		t.Error("low-code-builders does not contain team-orders")
	}
	var left []string
	for range 3 { // exactly once, through a restart too
		waitFor(t, func() bool {
			text, _ := os.ReadFile(path)
			return strings.Count(string(text), sampledir.LeavesLater) == 1
		})
		next, nextGroups := s.read(t)
		left = left[:0]
		for name, e := range first {
			if _, ok := next[name]; !ok {
				left = append(left, name)
			} else if string(next[name].Hash) != string(e.Hash) {
				t.Errorf("%s changed", name)
			}
		}
		if len(left) != 2 {
			t.Fatalf("%v left, want two", left)
		}
		gone := 0
		for name, g := range groups {
			for _, m := range g.Members {
				if !slices.Contains(nextGroups[name].Members, m) {
					gone++
					if m != first[left[0]].ID && m != first[left[1]].ID {
						t.Errorf("group %s lost %s", name, m)
					}
				}
			}
		}
		if gone < 4 {
			t.Errorf("those who left were in %d groups, want at least 4", gone)
		}
		s.stop()
		s = serve(t, path)
	}
}

func TestNobodyLeavesBeforeEverybodyWasRead(t *testing.T) {
	t.Parallel()
	s := serve(t, filepath.Join(t.TempDir(), "directory.ldif"))
	stop := errors.New("stop")
	n := 0
	if _, err := s.source(t).Read(t.Context(), func(model.Entry) error {
		if n++; n == 30 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	c := s.conn(t)
	if err := c.Bind(sampledir.ReaderDN, s.password); err != nil {
		t.Fatal(err)
	}
	for _, attr := range []string{"entryUUID", "uid"} { // ids alone, then one person alone
		filter := "(uid=*)"
		if attr == "uid" {
			filter = "(uid=ada*)"
		}
		if _, err := c.SearchWithPaging(ldap.NewSearchRequest(sampledir.Base, 2, 0, 0, 0, false, filter, []string{attr}, nil), 10); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	s.stop() // waits for the connections
	if people, _ := serve(t, s.path).read(t); len(people) != 60 {
		t.Errorf("%d people, want all 60", len(people))
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not happen within a minute")
}

func TestAnEditByHandIsSeenByTheNextRead(t *testing.T) {
	t.Parallel()
	s := serve(t, filepath.Join(t.TempDir(), "directory.ldif"))
	s.edit(t, func(text string) string {
		return strings.ReplaceAll(text, "description: "+sampledir.LeavesLater+"\n", "")
	})
	before, _ := s.read(t)
	s.edit(t, func(text string) string {
		text = strings.Replace(text, "title: Controller", "title: Treasurer", 1)
		return text + "\n# by hand\ndn: uid=new,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: new\ncn: Neu Ling\nsn: Ling\n"
	})
	after, _ := s.read(t)
	if len(after) != len(before)+1 || after["new"].ID == "" {
		t.Errorf("%d people, want %d", len(after), len(before)+1)
	}
	changed := 0
	for name, e := range before {
		if string(after[name].Hash) != string(e.Hash) {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d people changed, want 1", changed)
	}
	again, _ := s.read(t)
	if d := cmp.Diff(after, again); d != "" {
		t.Errorf("a read without a change differs:\n%s", d)
	}
	s.edit(t, func(text string) string { return text + "\ndn: uid=broken\nmail ada\n" })
	_, err := s.source(t).Read(t.Context(), func(model.Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "line ") {
		t.Errorf("a broken file: %v, want an error that names the line", err)
	}
	s.edit(t, func(text string) string { return text[:strings.Index(text, "\ndn: uid=broken")] })
	s.read(t)
}

func TestSearches(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "directory.ldif")
	const text = `dn: dc=example,dc=org
objectClass: organization
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: cn=reader,ou=services,dc=example,dc=org
objectClass: applicationProcess
cn: reader
userPassword: secret

dn: uid=ada,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ada
cn:: QWRhIEx1w6lz
mail: ada@example.org
mail: ada@partner.example
title: a very long title that
  goes on in the next line
entryUUID: 11111111-1111-4111-8111-111111111111

dn: uid=ben\2C jr,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ben, jr
cn: Ben
manager: uid=Ada, ou=People,dc=example,dc=org

dn: ou=team,ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: team

dn: uid=eve,ou=team,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: eve
cn: Eve Adams
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, path)
	c := s.conn(t)
	if err := c.Bind(sampledir.ReaderDN, "secret"); err != nil {
		t.Fatal(err)
	}
	const people = sampledir.PeopleBase
	for name, q := range map[string]struct {
		base   string
		scope  int
		filter string
		want   []string
	}{
		"base":               {people, 0, "(objectClass=*)", []string{people}},
		"one":                {people, 1, "(objectClass=*)", []string{"uid=ada," + people, `uid=ben\2C jr,` + people, "ou=team," + people}},
		"sub":                {"OU=People, DC=example,DC=org", 2, "(uid=*)", []string{"uid=ada," + people, `uid=ben\2C jr,` + people, "uid=eve,ou=team," + people}},
		"equal without case": {people, 2, "(UID=ADA)", []string{"uid=ada," + people}},
		"and":                {people, 2, "(&(objectClass=inetOrgPerson)(cn=ben))", []string{`uid=ben\2C jr,` + people}},
		"or":                 {people, 2, "(|(uid=ada)(uid=eve))", []string{"uid=ada," + people, "uid=eve,ou=team," + people}},
		"not":                {people, 2, "(&(uid=*)(!(mail=*)))", []string{`uid=ben\2C jr,` + people, "uid=eve,ou=team," + people}},
		"initial":            {people, 2, "(cn=ada*)", []string{"uid=ada," + people}},
		"final":              {people, 2, "(cn=*Adams)", []string{"uid=eve,ou=team," + people}},
		"any":                {people, 2, "(cn=*lué*)", []string{"uid=ada," + people}},
		"all parts":          {people, 2, "(mail=a*@*example)", []string{"uid=ada," + people}},
		"parts in order":     {people, 2, "(mail=*example*ada*)", nil},
		"DN value":           {people, 2, "(manager=uid=ada,ou=people,dc=example,dc=org)", []string{`uid=ben\2C jr,` + people}},
		"greater":            {people, 2, "(uid>=ben)", []string{`uid=ben\2C jr,` + people, "uid=eve,ou=team," + people}},
		"folded":             {people, 2, "(title=a very long title that goes on in the next line)", []string{"uid=ada," + people}},
		"no such attribute":  {people, 2, "(shoeSize=43)", nil},
		"password is secret": {sampledir.Base, 2, "(userPassword=*)", nil},
		"password guessed":   {sampledir.Base, 2, "(|(userPassword=secret)(userPassword=s*))", nil},
	} {
		r, err := c.Search(ldap.NewSearchRequest(q.base, q.scope, 0, 0, 0, false, q.filter, []string{"1.1"}, []ldap.Control{ldap.NewControlManageDsaIT(true)}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, e := range r.Entries {
			got = append(got, e.DN)
			if len(e.Attributes) != 0 {
				t.Errorf("%s: attributes though none were asked for", name)
			}
		}
		if d := cmp.Diff(q.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}

	attrs := func(dn string, names ...string) map[string][]string {
		t.Helper()
		r, err := c.Search(ldap.NewSearchRequest(dn, 0, 0, 0, 0, false, "(objectClass=*)", names, nil))
		if err != nil || len(r.Entries) != 1 {
			t.Fatal(r, err)
		}
		m := map[string][]string{}
		for _, a := range r.Entries[0].Attributes {
			m[a.Name] = a.Values
		}
		return m
	}
	ada := map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"ada"}, "cn": {"Ada Lués"},
		"mail": {"ada@example.org", "ada@partner.example"}, "title": {"a very long title that goes on in the next line"}}
	if d := cmp.Diff(ada, attrs("uid=ada,"+people)); d != "" {
		t.Errorf("all attributes (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string][]string{"uid": {"ada"}, "entryUUID": {"11111111-1111-4111-8111-111111111111"}},
		attrs("uid=ada,"+people, "UID", "entryuuid", "userPassword")); d != "" {
		t.Errorf("chosen attributes (-want +got):\n%s", d)
	}
	if _, ok := attrs(sampledir.ReaderDN, "*", "+")["userPassword"]; ok {
		t.Error("the password is shown")
	}

	codes := func(name string, err error, want uint16) {
		t.Helper()
		if !ldap.IsErrorWithCode(err, want) {
			t.Errorf("%s: %v, want code %d", name, err, want)
		}
	}
	_, err := c.Search(ldap.NewSearchRequest(people, 2, 0, 2, 0, false, "(uid=*)", nil, nil))
	codes("size limit", err, ldap.LDAPResultSizeLimitExceeded)
	_, err = c.Search(ldap.NewSearchRequest("ou=nowhere,"+sampledir.Base, 2, 0, 0, 0, false, "(uid=*)", nil, nil))
	codes("no base", err, ldap.LDAPResultNoSuchObject)
	_, err = c.Search(ldap.NewSearchRequest(people, 2, 0, 0, 0, false, "(uid=*)", nil, []ldap.Control{ldap.NewControlString("1.2.3", true, "")}))
	codes("critical control", err, ldap.LDAPResultUnavailableCriticalExtension)
	paging := ldap.NewControlPaging(1)
	paging.SetCookie([]byte("99"))
	_, err = c.Search(ldap.NewSearchRequest(people, 2, 0, 0, 0, false, "(uid=*)", nil, []ldap.Control{paging}))
	codes("foreign cookie", err, ldap.LDAPResultUnwillingToPerform)
	codes("change", c.Del(ldap.NewDelRequest("uid=ada,"+people, nil)), ldap.LDAPResultUnwillingToPerform)
	r, err := c.SearchWithPaging(ldap.NewSearchRequest(people, 2, 0, 0, 0, false, "(uid=*)", nil, nil), 1)
	if err != nil || len(r.Entries) != 3 {
		t.Errorf("in pages: %v, %v", r, err)
	}
	codes("wrong password", c.Bind(sampledir.ReaderDN, "wrong"), ldap.LDAPResultInvalidCredentials)
	_, err = c.Search(ldap.NewSearchRequest(people, 2, 0, 0, 0, false, "(uid=*)", nil, nil))
	codes("anonymous", err, ldap.LDAPResultInsufficientAccessRights)
}

func TestLdapsearchUnderstandsIt(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("ldapsearch")
	if err != nil {
		testserver.Missing(t, "ldapsearch", "ldap-utils")
	}
	s := serve(t, filepath.Join(t.TempDir(), "directory.ldif"))
	out, err := exec.CommandContext(t.Context(), tool, "-LLL", "-x", "-H", s.url, "-D", sampledir.ReaderDN, "-w", s.password,
		"-b", sampledir.Base, "-E", "pr=7/noprompt", "(objectClass=inetOrgPerson)", "uid", "entryUUID").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := len(regexp.MustCompile(`(?m)^dn: uid=`).FindAll(out, -1)); n != 60 {
		t.Errorf("%d people, want 60", n)
	}
	out, err = exec.CommandContext(t.Context(), tool, "-LLL", "-x", "-H", s.url, "-b", "", "-s", "base", "supportedControl").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1.2.840.113556.1.4.319") {
		t.Errorf("root DSE: %v\n%s", err, out)
	}
}

func TestStoppingDoesNotWaitForIdleClients(t *testing.T) {
	t.Parallel()
	s := serve(t, filepath.Join(t.TempDir(), "directory.ldif"))
	for range 5 {
		s.conn(t)
	}
	start := time.Now()
	s.stop()
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("stopping took %s", d)
	}
}

// OpenLDAP with the same content and the sample directory give the same records.
func TestItAnswersLikeOpenLDAP(t *testing.T) {
	t.Parallel()
	s := serve(t, filepath.Join(t.TempDir(), "directory.ldif"))
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, record := range strings.Split(string(text), "\n\n") {
		// The base and its first level are there already.
		if strings.HasPrefix(record, "dn: uid=") || strings.HasPrefix(record, "dn: cn=") && strings.Contains(record, sampledir.GroupsBase) {
			entries = append(entries, record)
		}
	}
	slapd := testserver.Slapd(t, testserver.SlapdOptions{LDIF: strings.Join(entries, "\n\n") + "\n\n"})
	mine := [2]map[string]model.Entry{}
	mine[0], mine[1] = s.read(t)
	o := ldapsync.Options{
		Name: "sample", URL: slapd.URL, BindDN: testserver.SyncDN, Password: func() (string, error) { return testserver.Password, nil },
		Base: sampledir.Base, Groups: &ldapsync.Groups{},
	}
	src, err := ldapsync.New(o)
	if err != nil {
		t.Fatal(err)
	}
	theirs := [2]map[string]model.Entry{{}, {}}
	p, err := src.Read(t.Context(), func(e model.Entry) error {
		if e.Kind == model.KindGroup {
			theirs[1][e.DisplayName] = e
		} else {
			theirs[0][e.UserName] = e
		}
		return nil
	})
	if err != nil || !p.Complete {
		t.Fatal(p, err)
	}
	if d := cmp.Diff(theirs, mine); d != "" {
		t.Errorf("(-slapd +sample):\n%s", d)
	}
}
