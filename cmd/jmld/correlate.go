package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

type caseJSON struct {
	Schema     string          `json:"schema"`
	Record     recordJSON      `json:"record"`
	Why        string          `json:"why,omitempty"`
	Keys       []keyJSON       `json:"keys"`
	Ruling     *rulingJSON     `json:"decision,omitempty"`
	Candidates []candidateJSON `json:"candidates"`
	Compared   []sideJSON      `json:"compared"` // values: of the record, then of the candidates in order
	Digest     string          `json:"digest"`
}

type rulingJSON struct {
	Kind     model.RulingKind `json:"kind"`
	Identity string           `json:"identity,omitempty"`
	Actor    string           `json:"actor"`
	Reason   string           `json:"reason,omitempty"`
	At       string           `json:"at"`
}

type candidateJSON struct {
	ID          string          `json:"id"`
	DisplayName string          `json:"displayName"`
	UserName    string          `json:"userName"`
	Lifecycle   model.Lifecycle `json:"lifecycle"`
	By          []keyJSON       `json:"by"` // the keys of the record that are theirs
	Records     []string        `json:"records"`
	Accounts    []accountJSON   `json:"accounts"`
}

type sideJSON struct {
	Attribute string   `json:"attribute"`
	Values    []string `json:"values"`
	Differs   bool     `json:"differs"`
}

type casesJSON struct {
	Schema  string         `json:"schema"`
	Records []caseLineJSON `json:"records"`
}

type caseLineJSON struct {
	Record      string     `json:"record"`
	UserName    string     `json:"userName"`
	DisplayName string     `json:"displayName"`
	Link        model.Link `json:"link"`
	Why         string     `json:"why"`
	Updated     string     `json:"updated"`
}

func newCorrelate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "correlate",
		Short: "Whom records are about: decide disputes, merge and split people",
		Long: "A record whose keys point to different people is disputed: it is nobody's, and nobody loses anything, until a person decides.\n" +
			"A decision goes before all rules, outlives the record, and can be taken back. RECORD is SOURCE/ID; PERSON is a name, a user name,\n" +
			"an e-mail address or an id. What anybody loses by a decision waits for approval (jmld held).",
		Example: `  jmld correlate list
  jmld correlate show entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11
  jmld correlate link entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 ada@example.org --digest 5f2c… --reason "asked her"
  jmld correlate merge ada@example.org ada.jit@example.org`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCorrelateList(a), newCorrelateShow(a), newCorrelateLink(a), newCorrelateNew(a), newCorrelateIgnore(a),
		newCorrelateUndo(a), newMerge(a), newSplit(a))
	return cmd
}

func newCorrelateList(a *app) *cobra.Command {
	var unmatched, ignored bool
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Records that wait for a decision",
		Example: `  jmld correlate list               disputed: their keys point to different people
  jmld correlate list --unmatched   of sources that make nobody new, and nobody has their keys
  jmld correlate list --ignored     somebody decided that they are nobody's`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			link := model.Disputed
			switch {
			case unmatched && ignored:
				return usage(errors.New("--unmatched and --ignored are two lists"))
			case unmatched:
				link = model.Unmatched
			case ignored:
				link = model.Ignored
			case limit < 1 || limit > maxRows:
				return usage(errLimit(limit))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error { return a.listCases(ctx, s, link, limit) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&unmatched, "unmatched", false, "those that wait for another source to know the person")
	f.BoolVar(&ignored, "ignored", false, "those that somebody decided to ignore")
	f.IntVar(&limit, "limit", 100, "at most `N`")
	return cmd
}

func (a *app) listCases(ctx context.Context, s *site, link model.Link, limit int) error {
	records, err := s.store.Unlinked(ctx, link, engine.RecordRef{}, limit)
	if err != nil {
		return err
	}
	if a.json() {
		doc := casesJSON{Schema: "jmld.correlations/1", Records: []caseLineJSON{}}
		for _, r := range records {
			doc.Records = append(doc.Records, caseLineJSON{Record: r.Source + "/" + r.ID, UserName: r.UserName, DisplayName: r.DisplayName,
				Link: r.Link, Why: r.LinkText, Updated: r.UpdatedAt.UTC().Format(timeJSON)})
		}
		return a.printJSON(doc)
	}
	if len(records) == 0 {
		a.printf("no record is %s\n", link)
		return nil
	}
	t := newTable(a.stdout)
	t.row("RECORD", "USER NAME", "NAME", "SINCE", "WHY")
	for _, r := range records {
		t.row(r.Source+"/"+r.ID, r.UserName, r.DisplayName, at(r.UpdatedAt), r.LinkText)
	}
	return t.flush()
}

func newCorrelateShow(a *app) *cobra.Command {
	var with string
	cmd := &cobra.Command{
		Use:   "show RECORD",
		Short: "A record beside the people it may be about, with what differs",
		Example: `  jmld correlate show entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11
  jmld correlate show entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 --with bob@example.org   beside somebody else, too`,
		Args: exactly("RECORD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				c, err := a.caseOf(ctx, s, args[0], with)
				if err != nil {
					return err
				}
				return a.printCase(c)
			})
		},
	}
	cmd.Flags().StringVar(&with, "with", "", "`PERSON` to show beside those who share keys")
	return cmd
}

// refOf reads SOURCE/ID.
func refOf(text string) (engine.RecordRef, error) {
	source, id, ok := strings.Cut(text, "/")
	if !ok || source == "" || id == "" {
		return engine.RecordRef{}, usage(fmt.Errorf("%q is no record; SOURCE/ID is expected", line(text)))
	}
	return engine.RecordRef{Source: source, ID: id}, nil
}

func (a *app) caseOf(ctx context.Context, s *site, record, with string) (engine.Case, error) {
	ref, err := refOf(record)
	if err != nil {
		return engine.Case{}, err
	}
	if with != "" {
		who, err := findPerson(ctx, s, with)
		if err != nil {
			return engine.Case{}, err
		}
		with = who.ID
	}
	c, err := s.engine.Case(ctx, ref, with)
	return c, missing(err, "record", record, "jmld correlate list")
}

func compared(c engine.Case) []jml.Side {
	objects := []map[string]any{jml.Decode(c.Record.Attrs)}
	for _, p := range c.Candidates {
		objects = append(objects, jml.Decode(p.Identity.Attrs))
	}
	return jml.SideBySide(objects...)
}

func (a *app) printCase(c engine.Case) error {
	if a.json() {
		return a.printJSON(caseView(c))
	}
	r := c.Record
	a.printf("record   %s/%s\n", line(r.Source), line(r.ID))
	state := string(r.Link)
	if r.LinkText != "" {
		state += ": " + line(r.LinkText)
	}
	a.printf("state    %s\n", state)
	if c.Ruling != nil {
		a.printf("decided  %s, by %s %s: %s\n", c.Ruling.Kind, line(c.Ruling.Actor), at(c.Ruling.At), orElse(line(c.Ruling.Reason), "no reason given"))
	}
	head := []string{"", "RECORD"}
	for i, p := range c.Candidates {
		a.printf("person %d %s  %s  (%s)\n", i+1, p.Identity.ID, line(p.Identity.DisplayName), p.Identity.Lifecycle)
		a.printf("         same %s; known by %s; accounts %s\n", orElse(keysLine(p.By), "nothing"), recordsLine(p.Records), accountsLine(p.Accounts))
		head = append(head, fmt.Sprintf("PERSON %d", i+1))
	}
	if len(c.Candidates) == 0 {
		a.printf("nobody has its keys\n")
	}
	a.printf("\n")
	t := newTable(a.stdout)
	t.row(append([]string{" "}, head...)...)
	for _, row := range compared(c) {
		mark := " "
		if row.Differs {
			mark = "≠"
		}
		t.row(append([]string{mark, row.Attr}, row.Values...)...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printf("\ndigest   %s\n", c.Digest)
	return nil
}

func keysLine(keys []model.Key) string {
	var parts []string
	for _, k := range keys {
		parts = append(parts, k.Name+" "+line(k.Value))
	}
	return strings.Join(parts, ", ")
}

func recordsLine(records []model.Record) string {
	var parts []string
	for _, r := range records {
		parts = append(parts, r.Source+"/"+line(r.ID))
	}
	return orElse(strings.Join(parts, ", "), "no record any more")
}

func accountsLine(accounts []model.Account) string {
	var parts []string
	for _, acc := range accounts {
		parts = append(parts, fmt.Sprintf("%s as %s (%s)", acc.Target, line(acc.UserName), acc.State))
	}
	return orElse(strings.Join(parts, ", "), "none")
}

func caseView(c engine.Case) caseJSON {
	r := c.Record
	v := caseJSON{
		Schema: "jmld.correlation/1", Why: r.LinkText, Digest: c.Digest, Keys: keysJSON(c.Keys), Candidates: []candidateJSON{}, Compared: []sideJSON{},
		Record: recordJSON{Source: r.Source, ID: r.ID, Active: r.Active, Link: r.Link, Attrs: object(r.Attrs), Version: r.Version,
			Updated: r.UpdatedAt.UTC().Format(timeJSON)},
	}
	if g := c.Ruling; g != nil {
		v.Ruling = &rulingJSON{Kind: g.Kind, Identity: g.IdentityID, Actor: g.Actor, Reason: g.Reason, At: g.At.UTC().Format(timeJSON)}
	}
	for _, p := range c.Candidates {
		one := candidateJSON{ID: p.Identity.ID, DisplayName: p.Identity.DisplayName, UserName: p.Identity.UserName, Lifecycle: p.Identity.Lifecycle,
			By: keysJSON(p.By), Records: []string{}, Accounts: []accountJSON{}}
		for _, r := range p.Records {
			one.Records = append(one.Records, r.Source+"/"+r.ID)
		}
		for _, acc := range p.Accounts {
			one.Accounts = append(one.Accounts, accountView(acc))
		}
		v.Candidates = append(v.Candidates, one)
	}
	for _, row := range compared(c) {
		v.Compared = append(v.Compared, sideJSON{row.Attr, row.Values, row.Differs})
	}
	return v
}

func keysJSON(keys []model.Key) []keyJSON {
	out := []keyJSON{}
	for _, k := range keys {
		out = append(out, keyJSON{k.Name, k.Value})
	}
	return out
}

// decision is what commands that decide have in common.
type decision struct {
	digest, by, reason string
	yes                bool
}

func (d *decision) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.digest, "digest", "", "digest of what was shown")
	f.StringVar(&d.by, "by", "", "`name` of the person who decides (default: your account here)")
	f.StringVar(&d.reason, "reason", "", "`why`, for the audit log")
	f.BoolVar(&d.yes, "yes", false, "decide about what is there now, without being asked")
}

// seen is the digest that was given, or the one of what is shown once somebody said yes to it.
func (d *decision) seen(a *app, what, digest string, show func() error) (string, error) {
	switch {
	case d.digest != "":
		return d.digest, nil
	case d.yes:
		return digest, nil
	case a.json() || !isTerminal(a.stdin):
		return "", usage(fmt.Errorf("%s needs --digest %s (of what is there now) or --yes", what, digest))
	}
	if err := show(); err != nil {
		return "", err
	}
	a.printf("\n%s? Type yes: ", what)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && answer == "" {
		return "", err
	}
	if strings.TrimSpace(answer) != "yes" {
		return "", errors.New("not decided; nothing was changed")
	}
	return digest, nil
}
