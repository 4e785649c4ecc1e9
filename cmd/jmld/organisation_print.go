package main

import (
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// printEnd prints what becomes of accounts, the gravest first, then what follows, and last the line to write.
func (a *app) printEnd(doc *organisationEndJSON) error {
	end := doc.is
	a.printf("%s would end at %s", line(doc.Organisation), day(end.Over, doc.zone))
	switch {
	case end.WasOver.IsZero():
		a.printf("; no end is written now")
	case end.WasOver.Before(end.Over):
		a.printf("; as it is written it ends BEFORE, at %s", day(end.WasOver, doc.zone))
	case end.WasOver.After(end.Over):
		a.printf("; as it is written it ends at %s", day(end.WasOver, doc.zone))
	default:
		a.printf(", as it is written already")
	}
	a.printf("\n")
	if doc.Go != doc.Ends {
		a.printf("accounts stay until %s (lifecycle.grace)\n", day(end.Over.Add(end.Rules.Calendar.Grace), doc.zone))
	}
	if doc.Again != "" {
		a.printf("another engagement begins at %s: its people are back then\n", day(end.Next, doc.zone))
	}
	a.printf("known of it: %s; accounts: %d would end with it, %d wait for approval, %d stay, %d end anyway\n", count(doc.Members, "person", "people"),
		doc.Totals[endsWithIt], doc.Totals[endsHeld], doc.Totals[endsNot], doc.Totals[endsBefore])
	for _, part := range []struct{ outcome, title string }{
		{endsWithIt, "end with it"}, {endsHeld, "wait for approval"}, {endsNot, "stay"}, {endsBefore, "end anyway, for another reason"},
	} {
		if err := a.printEnding(doc, part.outcome, part.title); err != nil {
			return err
		}
	}
	if len(doc.Elsewhere) > 0 {
		a.printf("\npeople whom a source calls its own, and who stay because they are of another organisation:\n")
		t := newTable(a.stdout)
		for _, p := range doc.Elsewhere {
			t.indented(p.Who, p.UserName, orElse(p.Organisation, "none that is known"))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	for _, p := range doc.held {
		a.printf("\nheld: %s\n  %s would wait for approval; everything else would go on.\n", line(p.Reason), count(p.Items, "change"))
	}
	if err := a.printEndingMembers(doc); err != nil {
		return err
	}
	kept := map[[2]string]bool{} // accounts whose findings are shown as the reason
	for _, p := range doc.People {
		for _, acct := range p.Accounts {
			kept[[2]string{p.Identity, acct.Target}] = acct.Outcome == endsNot
		}
	}
	found := slices.DeleteFunc(slices.Clone(doc.findings), func(c model.Change) bool { return kept[[2]string{c.IdentityID, c.Target}] })
	for _, part := range []struct {
		title   string
		changes []model.Change
	}{{"what else changes by it", doc.changes}, {"findings", found}} {
		if len(part.changes) == 0 {
			continue
		}
		a.printf("\n%s:\n", part.title)
		if err := a.printHistory(part.changes); err != nil {
			return err
		}
	}
	if !doc.InForce {
		a.printf("\nThe rules in force are not those of %s: adopting the file brings more than this end.\n", line(doc.Write.File))
	}
	a.printf("\nNothing was changed. To make it so, write in %s, at %s\n", line(doc.Write.File), line(doc.Write.Path))
	if doc.Write.Was != "" {
		a.printf("  instead of  - %s\n", line(doc.Write.Was))
	}
	a.printf("  this        - %s\nThen `%s`, or a restart of the daemons, takes it.\n", line(doc.Write.Is), line(doc.Write.Then[0]))
	return nil
}

func (a *app) printEnding(doc *organisationEndJSON, outcome, title string) error {
	t := newTable(a.stdout)
	t.tint = func(_ []string, column int, cell string) string {
		if op := strings.TrimSpace(cell); column == 0 && op != "" && op != "=" {
			return strings.Replace(cell, op, a.symbol(model.Op(op)), 1)
		}
		return cell
	}
	for _, p := range doc.People {
		for _, acct := range p.Accounts {
			if acct.Outcome != outcome {
				continue
			}
			why := acct.Because
			if acct.DeletedAfter != "" {
				why += "; deleted " + inDays(acct.after) + " later"
			}
			t.indented(orElse(string(acct.op), "="), at(acct.at), p.Who, acct.Target, acct.UserName, why)
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	a.printf("\naccounts that %s:\n", title)
	return t.flush()
}

func (a *app) printEndingMembers(doc *organisationEndJSON) error {
	t := newTable(a.stdout)
	for _, p := range doc.People {
		for _, m := range p.Memberships {
			what := orElse(m.Role, "member")
			if m.Admin {
				what += ", administers it"
			}
			t.indented(p.Who, m.Place, what)
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	a.printf("\ngroups and roles that count no more:\n")
	return t.flush()
}

// inDays is a long time in words.
func inDays(d time.Duration) string {
	if d > 0 && d%(24*time.Hour) == 0 {
		return count(int(d/(24*time.Hour)), "day")
	}
	return d.String()
}

// day is a moment where the configuration's days are.
func day(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("2006-01-02 15:04 MST")
}
