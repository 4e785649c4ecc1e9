package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/config"
	"jmld/model"
)

// Which engagement would end, and what it becomes; the configuration itself stays as it is.
func TestTheEngagementThatWouldEnd(t *testing.T) {
	t.Parallel()
	const text = `sources: [{name: entra, scim: {}}]
organisations:
  - {name: Example, own: true, domains: [example.org]}
  - {name: Guests, domains: [guests.example]}
  - name: Partner
    domains: [partner.example]
    engagements:
      - {from: 2027-01-01, until: 2027-06-30}
      - {from: 2025-01-01, until: 2025-12-31, reason: "the first: one", sponsor: ada@example.org}
      - {from: 2028-01-01T08:00:00Z}
lifecycle: {time_zone: Europe/Berlin}
policy: {accounts: [{name: all, target: app, when: person.active}]}
targets: [{name: app, class: app, local: {}}]
`
	c, err := config.ParseElsewhere("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	before, err := c.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC) // 2027 in Berlin
	type want struct {
		Index                    int
		Is, WasOver, Over, Again string
	}
	for _, tt := range []struct {
		name, last string
		want       want
	}{
		{"Partner", "", want{0, "{from: 2027-01-01, until: 2027-01-01}", "2027-06-30T22:00:00Z", "2027-01-01T23:00:00Z", "2028-01-01T08:00:00Z"}},
		{"Partner", "2027-09-30", want{0, "{from: 2027-01-01, until: 2027-09-30}", "2027-06-30T22:00:00Z", "2027-09-30T22:00:00Z", "2028-01-01T08:00:00Z"}},
		{"Partner", "2026-03-31", want{1, `{from: 2025-01-01, until: 2026-03-31, sponsor: "ada@example.org", reason: "the first: one"}`, "2025-12-31T23:00:00Z", "2026-03-31T22:00:00Z", "2026-12-31T23:00:00Z"}},
		{"Partner", "2028-02-01T12:00:00Z", want{2, `{from: "2028-01-01T08:00:00Z", until: "2028-02-01T12:00:00Z"}`, "", "2028-02-01T12:00:00Z", ""}},
		{"Guests", "2027-01-31", want{0, "{until: 2027-01-31}", "", "2027-01-31T23:00:00Z", ""}},
	} {
		e, err := c.EndOrganisation(tt.name, tt.last, now)
		if err != nil {
			t.Errorf("%s %s: %v", tt.name, tt.last, err)
			continue
		}
		moment := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.UTC().Format(time.RFC3339)
		}
		got := want{e.Index, e.Is.String(), moment(e.WasOver), moment(e.Over), moment(e.Next)}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.name, tt.last, d)
		}
		// The line that is shown makes the file one by whose rules it ends then.
		var line string
		switch {
		case tt.name == "Guests":
			line = strings.Replace(text, "[guests.example]", "[guests.example], engagements: ["+e.Is.String()+"]", 1)
		case e.Index == 0:
			line = strings.Replace(text, "{from: 2027-01-01, until: 2027-06-30}", e.Is.String(), 1)
		case e.Index == 1:
			line = strings.Replace(text, `{from: 2025-01-01, until: 2025-12-31, reason: "the first: one", sponsor: ada@example.org}`, e.Is.String(), 1)
		default:
			line = strings.Replace(text, "{from: 2028-01-01T08:00:00Z}", e.Is.String(), 1)
		}
		written, err := config.ParseElsewhere("config.yaml", []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		rules, err := written.Rules()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rules.Calendar.Engagements, e.Rules.Calendar.Engagements); d != "" {
			t.Errorf("%s %s: written (-) and tried (+):\n%s", tt.name, tt.last, d)
		}
	}
	for _, tt := range []struct {
		name, last string
		is         error
		text       string
	}{
		{"Nobody", "", model.ErrNotFound, "Nobody"},
		{"Example", "", model.ErrInvalid, "our own organisation"},
		{"Partner", "soon", model.ErrInvalid, "is not a date"},
		{"Partner", "9999-12-31", model.ErrInvalid, "is no end"},
		{"Partner", "2024-12-31", model.ErrInvalid, "would end before"},
	} {
		if _, err := c.EndOrganisation(tt.name, tt.last, now); !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s %s: %v", tt.name, tt.last, err)
		}
	}
	if after, err := c.Fingerprint(); err != nil || after != before {
		t.Error("the configuration was changed", err)
	}
}
