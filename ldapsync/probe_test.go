package ldapsync_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

func probed(t *testing.T, o ldapsync.Options) map[string]ldapsync.Check {
	t.Helper()
	got := map[string]ldapsync.Check{}
	if err := source(t, o).Probe(t.Context(), func(c ldapsync.Check) {
		if _, twice := got[c.Name]; twice {
			t.Errorf("%s is checked twice", c.Name)
		}
		if (c.Outcome == ldapsync.CheckOK) != (c.Do == "") {
			t.Errorf("%s is %s, and what to do is %q", c.Name, c.Outcome, c.Do)
		}
		if strings.Contains(c.Seen+c.Do, testserver.Password) {
			t.Errorf("%s shows the password", c.Name)
		}
		got[c.Name] = c
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

// bad lists what is not ok.
func bad(checks map[string]ldapsync.Check) map[string]ldapsync.Outcome {
	out := map[string]ldapsync.Outcome{}
	for name, c := range checks {
		if c.Outcome != ldapsync.CheckOK {
			out[name] = c.Outcome
		}
	}
	return out
}

// Before anything is read: what a read would meet, on a directory with limits and rights of each kind.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(300, 12, 50)})
	dead := testserver.Slapd(t, testserver.SlapdOptions{})
	dead.Kill()
	type outcomes = map[string]ldapsync.Outcome
	const warn, fail = ldapsync.CheckWarn, ldapsync.CheckFail
	// What LDIF never fills is taken out of the mapping.
	base := options(s)
	full := probed(t, base)
	unused := outcomes{}
	for name, o := range bad(full) {
		if o != warn || !strings.HasPrefix(name, "attribute ") && name != "clock" { // there is no back-monitor
			t.Fatalf("%s is %s: %+v", name, o, full[name])
		}
		unused[name] = warn
	}
	for name, text := range map[string]string{
		"people": "300 match (objectClass=inetOrgPerson) below " + testserver.PeopleBase, "groups": "12 match", "paging of people": "3 pages of at most 100",
		"kind of server": "OpenLDAP", "incremental reads offered": "modifyTimestamp", "changes": "incremental is none; here work modify-timestamp", "id of people": "every entry has its own entryUUID",
		"look for one by id": "3 of 3 are found", "attribute mail": "200 of 200 have it", "attribute employeeNumber": "200 of 200 have it",
		"bind": "as " + testserver.SyncDN + " (dn:" + testserver.SyncDN + ")", "group attribute member": "12 of 12 have it",
	} {
		if c := full[name]; c.Outcome != ldapsync.CheckOK || !strings.Contains(c.Seen, text) {
			t.Errorf("%s: %q is not in: %+v", name, text, c)
		}
	}
	with := func(more outcomes) outcomes {
		out := outcomes{}
		for k, v := range unused {
			out[k] = v
		}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	for name, c := range map[string]struct {
		change func(*ldapsync.Options)
		want   outcomes
	}{
		"unreadable attribute": {func(o *ldapsync.Options) { o.BindDN = testserver.PagedDN }, with(outcomes{"attribute employeeNumber": warn})},
		"no attribute of the map": {func(o *ldapsync.Options) { o.Groups.Member = "uniqueMember" },
			with(outcomes{"group attribute uniqueMember": warn})},
		"no overlay for syncrepl": {func(o *ldapsync.Options) { o.Incremental = entry.MethodSyncrepl }, with(outcomes{"changes": warn})},
		"size limit":              {func(o *ldapsync.Options) { o.BindDN = testserver.SmallDN }, outcomes{"people": fail, "clock": warn}},
		"size limit in pages":     {func(o *ldapsync.Options) { o.BindDN = testserver.SmallDN; o.PageSize = 30 }, outcomes{"people": fail, "clock": warn}},
		"base hidden": {func(o *ldapsync.Options) { o.BindDN = testserver.PagedDN; o.People.Base = testserver.HiddenBase },
			outcomes{"base " + testserver.HiddenBase: fail, "clock": warn}},
		"nobody":          {func(o *ldapsync.Options) { o.People.Filter = "(uid=nobody)" }, outcomes{"people found": warn, "clock": warn}},
		"id not unique":   {func(o *ldapsync.Options) { o.ID = "sn" }, nil},
		"wrong password":  {func(o *ldapsync.Options) { o.Password = func() (string, error) { return "wrong", nil } }, outcomes{"bind": fail}},
		"empty password":  {func(o *ldapsync.Options) { o.Password = func() (string, error) { return "", nil } }, outcomes{"credentials": fail}},
		"unknown CA":      {func(o *ldapsync.Options) { o.CAFile = dead.CAFile }, outcomes{"server " + s.TLSURL: fail}},
		"nobody listens":  {func(o *ldapsync.Options) { o.URL = dead.TLSURL }, outcomes{"server " + dead.TLSURL: fail}},
		"one of two down": {func(o *ldapsync.Options) { o.URL, o.Servers = "", []string{dead.TLSURL, s.TLSURL} }, with(outcomes{"server " + dead.TLSURL: warn})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := base
			groups := *base.Groups
			o.Groups = &groups
			c.change(&o)
			got := probed(t, o)
			if c.want == nil {
				if got["id of people"].Outcome != fail || !strings.Contains(got["id of people"].Seen, "that of another entry") {
					t.Errorf("%+v", got["id of people"])
				}
				return
			}
			if d := cmp.Diff(c.want, bad(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, c := range got {
				if c.Outcome == fail && c.Code == "" {
					t.Errorf("%s fails without a code", c.Name)
				}
			}
		})
	}
	if c := probed(t, func() ldapsync.Options { o := base; o.BindDN = testserver.SmallDN; return o }())["people"]; c.Code != model.CodeSourceLimit ||
		!strings.Contains(c.Seen, "after 100 entries") {
		t.Errorf("the limit: %+v", c)
	}
}

// Groups of different classes have their members in different attributes.
func TestProbeLooksForMembersInEachAttributeOfThePreset(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(6, 2, 3)})
	o := options(s)
	o.Preset, o.Groups, o.ID, o.People.Filter = entry.OpenLDAP, &ldapsync.Groups{}, "", ""
	if c := probed(t, o)["group attribute member"]; c.Outcome != ldapsync.CheckOK || c.Seen != "2 of 2 have it" {
		t.Errorf("%+v", c)
	}
	o.Groups = &ldapsync.Groups{Member: "uniqueMember"}
	if c := probed(t, o)["group attribute uniqueMember"]; c.Outcome != ldapsync.CheckWarn {
		t.Errorf("%+v", c)
	}
}

func TestProbeShowsTheLifeOfACertificate(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(3, 1, 2), Certificate: func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(10*24*time.Hour + time.Hour)
	}})
	c := probed(t, options(s))["certificate of 127.0.0.1"]
	if c.Outcome != ldapsync.CheckWarn || !strings.Contains(c.Seen, "(10 days)") || !strings.Contains(c.Seen, "localhost < test authority") ||
		!strings.Contains(c.Seen, "TLS 1.3") || !strings.Contains(c.Seen, "sha256/") {
		t.Errorf("%+v", c)
	}
}
