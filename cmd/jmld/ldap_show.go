package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jmld/ldapsync"
	"jmld/model"
)

type showJSON struct {
	Schema   string            `json:"schema"`
	Server   string            `json:"server"`
	DN       string            `json:"dn"`
	ID       string            `json:"id"`
	Kind     model.Kind        `json:"kind,omitempty"`
	Left     string            `json:"leftOut,omitempty"`
	Entry    []showAttrJSON    `json:"entry"`
	Mappings []showMappingJSON `json:"mappings"`
	Active   *bool             `json:"active,omitempty"` // absent: unknown
	Because  string            `json:"because,omitempty"`
	Notes    []string          `json:"notes,omitempty"`
	Record   json.RawMessage   `json:"record,omitempty"`
	Unknown  []string          `json:"unknown,omitempty"`
	Error    string            `json:"error,omitempty"`
	Groups   []showGroupJSON   `json:"groups"`
	Members  int               `json:"members"`
	Outside  []string          `json:"outside,omitempty"`
}

type showAttrJSON struct {
	Name     string   `json:"name"`
	Values   []string `json:"values"`
	Count    int      `json:"count"`
	Withheld bool     `json:"withheld,omitempty"`
}

type showMappingJSON struct {
	Path   string         `json:"path"`
	From   string         `json:"from"`
	Source []showAttrJSON `json:"source"`
	Type   string         `json:"type,omitempty"`
	Values []string       `json:"values"`
	Why    string         `json:"why,omitempty"`
}

type showGroupJSON struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	DN      string `json:"dn"`
	Primary bool   `json:"primary,omitempty"`
}

func newLDAPShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show SOURCE WHO",
		Short: "One entry: what the directory has, what each mapping makes of it, and the record",
		Long: "show reads one entry from the directory with the source's own account. WHO is its DN, its id, or a user name; groups are found by their\n" +
			"name, too. Passwords and keys are withheld. It needs the configuration and the directory, no database and no daemon, and it\n" +
			"changes nothing.",
		Example: `  jmld ldap show corp ada
  jmld ldap show corp 'cn=builders,ou=groups,dc=example,dc=org'
  jmld ldap show corp ada -o json | jq '.mappings[] | select(.why != null)'`,
		Args:              exactly("SOURCE", "WHO"),
		ValidArgsFunction: a.completeSource(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := a.directory(args[0])
			if err != nil {
				return err
			}
			v, err := src.Show(cmd.Context(), args[1])
			switch {
			case errors.Is(err, model.ErrNotFound):
				return notFound("%s", strings.TrimPrefix(err.Error(), model.ErrNotFound.Error()+": "))
			case err != nil:
				return err
			case a.json():
				return a.printJSON(showView(v))
			}
			return a.printEntry(v)
		},
	}
}

func showView(v ldapsync.View) showJSON {
	out := showJSON{
		Schema: "jmld.ldap-entry/1", Server: v.Server, DN: v.DN, ID: v.ID, Kind: v.Kind, Left: v.Left, Entry: showAttrs(v.Entry),
		Mappings: []showMappingJSON{}, Because: v.Status.Because, Notes: v.Status.Notes, Record: object(v.Attrs), Unknown: v.Unknown, Error: v.Error,
		Groups: []showGroupJSON{}, Members: v.Members, Outside: v.Outside,
	}
	if v.Kind == model.KindUser && v.Status.Err == nil {
		out.Active = &v.Status.Active
	}
	for _, m := range v.Mappings {
		values := m.Values
		if values == nil {
			values = []string{}
		}
		out.Mappings = append(out.Mappings, showMappingJSON{m.Path, m.From, showAttrs(m.Source), m.Type, values, m.Why})
	}
	for _, g := range v.Groups {
		out.Groups = append(out.Groups, showGroupJSON{g.ID, g.Name, g.DN, g.Primary})
	}
	return out
}

func showAttrs(list []ldapsync.ViewAttr) []showAttrJSON {
	out := []showAttrJSON{}
	for _, a := range list {
		values := a.Values
		if values == nil {
			values = []string{}
		}
		out = append(out, showAttrJSON{a.Name, values, a.Count, a.Withheld})
	}
	return out
}

func (a *app) printEntry(v ldapsync.View) error {
	a.printf("%s\n", line(v.DN))
	a.printf("  server  %s\n", line(v.Server))
	a.printf("  id      %s\n", line(v.ID))
	switch v.Kind {
	case model.KindUser:
		a.printf("  read    as a person\n")
		a.printf("  active  %s\n", activeText(v))
		for _, n := range v.Status.Notes {
			a.printf("  note    %s\n", line(n))
		}
	case model.KindGroup:
		a.printf("  read    as a group of %s\n", count(v.Members, "member"))
	default:
		a.printf("  read    not at all: %s\n", line(v.Left))
	}
	if v.Error != "" {
		a.printf("  record  none: %s\n", line(v.Error))
	}
	a.printf("\nEntry\n")
	t := newTable(a.stdout)
	for _, at := range v.Entry {
		t.indented(at.Name, attrText(at))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(v.Mappings) > 0 {
		a.printf("\nMapping\n")
		t = newTable(a.stdout)
		for _, m := range v.Mappings {
			t.indented(m.Path, orElse(strings.Join(m.Values, ", "), "-"), mappingText(m))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if v.Attrs != "" {
		text, err := json.MarshalIndent(json.RawMessage(v.Attrs), "  ", "  ")
		if err != nil {
			return fmt.Errorf("the record: %w", err)
		}
		a.printf("\nRecord\n  %s\n", clean(string(text)))
	}
	if len(v.Groups) > 0 {
		a.printf("\nGroups\n")
		t = newTable(a.stdout)
		for _, g := range v.Groups {
			how := ""
			if g.Primary {
				how = "primary group"
			}
			t.indented(g.Name, g.ID, how)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(v.Outside) > 0 {
		a.printf("\nMembers who are nobody that is read\n")
		for _, o := range v.Outside {
			a.printf("  %s\n", line(o))
		}
	}
	return nil
}

func activeText(v ldapsync.View) string {
	switch {
	case v.Status.Err != nil:
		return "unknown, so it stays as it is: " + line(v.Status.Err.Error())
	case v.Status.Active:
		return "yes"
	}
	return "no, " + line(v.Status.Because)
}

func attrText(at ldapsync.ViewAttr) string {
	if at.Withheld {
		return "(withheld)"
	}
	text := strings.Join(at.Values, ", ")
	if more := at.Count - len(at.Values); more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// mappingText is "title" or "accountExpires (filetime): 132539328000000000", and why there is no value.
func mappingText(m ldapsync.ViewMapping) string {
	var sources []string
	for _, s := range m.Source {
		sources = append(sources, s.Name+" "+attrText(s))
	}
	text := m.From
	if m.Type != "" && m.Type != "text" {
		text += " as " + m.Type
	}
	if len(sources) > 0 && (len(m.Values) != 1 || len(m.Source) != 1 || len(m.Source[0].Values) != 1 || m.Values[0] != m.Source[0].Values[0]) {
		text += " of " + strings.Join(sources, "; ")
	}
	if m.Why != "" {
		text += ": " + m.Why
	}
	return text
}
