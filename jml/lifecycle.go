package jml

import (
	"fmt"
	"slices"
	"time"

	"jmld/jml/policy"
	"jmld/model"
)

// verdict is what a person's lifecycle means for their accounts.
type verdict int

const (
	keep verdict = iota // what is there stays as it is
	give                // what the rules say
	take                // none
)

// phase is where somebody stands in time.
//
//	evidence                          lifecycle     accounts
//	no record anywhere                archived      none
//	a date that cannot be read        as it was     stay as they are; a finding
//	end before start                  as it was     stay as they are; a finding
//	active: false                     by the dates  none: an order needs no date
//	start to come                     established   none, or those of rules with before_start; what is there stays
//	started, not ended                active        by the rules
//	ended less than the grace ago     archived      stay as they are
//	ended                             archived      none
//
// Somebody's own dates and those of their organisation's engagement hold together.
type phase struct {
	lifecycle model.Lifecycle
	verdict   verdict
	text      string    // why there are no accounts
	dated     bool      // a date is why
	ended     string    // the organisation whose engagement is over
	start     time.Time // to come; else zero
	end       time.Time // zero: open
	sponsor   string    // of the organisation's engagement
	next      time.Time // when it may be different; zero: never by itself
	findings  []model.Finding
	lacking   bool // an external person has not what they need for a new account
}

// phase says where the person stands at s.Now.
func (r *Rules) phase(s Situation, live []model.Record, f Fused, organisation string) phase {
	if len(live) == 0 {
		text := "no source has a record of the person any more"
		if slices.ContainsFunc(s.Records, func(rec model.Record) bool { return rec.AbsentSince == nil && rec.Link == model.Linked }) {
			text = "only sources that make nobody new have a record of the person"
		}
		return phase{lifecycle: model.Archived, verdict: take, text: text}
	}
	p := phase{lifecycle: model.Active, verdict: give}
	began, ended, known := r.ownDates(f, &p)
	if !known && f.Active {
		p.verdict, p.lifecycle = keep, model.Established
		if s.Identity != nil {
			p.lifecycle = s.Identity.Lifecycle
		}
		return p
	}
	over, why := ended, fmt.Sprintf("endDate %s has passed", text(lifecycleOf(f.Attrs)["endDate"]))
	passed := !ended.IsZero() && !s.Now.Before(ended)
	p.soon(s.Now, began, ended)
	for _, e := range r.Calendar.Engagements[organisation] {
		p.soon(s.Now, e.From, e.Until)
	}
	if e, hold := r.Calendar.Engagement(organisation, s.Now); hold {
		switch {
		case !e.Until.IsZero() && !s.Now.Before(e.Until):
			if !passed || e.Until.Before(over) {
				over, why, p.ended = e.Until, EngagementOver(organisation), organisation
			}
			passed = true
		default:
			if e.From.After(began) {
				began = e.From
			}
			if ended.IsZero() || !e.Until.IsZero() && e.Until.Before(ended) {
				ended = e.Until
			}
		}
		p.sponsor = e.Sponsor
	}
	p.end = ended
	if passed {
		p.end = over
	}
	switch {
	case passed:
		p.lifecycle, p.verdict, p.text, p.dated = model.Archived, take, why, true
		if after := over.Add(r.Calendar.Grace); s.Now.Before(after) {
			p.verdict = keep
			p.soon(s.Now, after)
		}
	case s.Now.Before(began):
		p.lifecycle, p.verdict, p.start = model.Established, keep, began
		if r.Policy != nil {
			for _, ahead := range r.Policy.Ahead() {
				p.soon(s.Now, began.Add(-ahead))
			}
		}
	}
	if !f.Active {
		p.verdict, p.text, p.dated, p.ended = take, fmt.Sprintf("%s says active: false", f.ActiveBy), false, ""
		if p.lifecycle == model.Active {
			p.lifecycle = model.Suspended
		}
	}
	return p
}

// EngagementOver is why accounts go when an organisation's engagement has ended.
func EngagementOver(organisation string) string {
	return fmt.Sprintf("the engagement of %s is over", organisation)
}

// End is when the work of somebody who is there ends by what is known of them: by their own date, or by the engagement of their organisation. Zero:
// it is open, or cannot be told.
func (r *Rules) End(id model.Identity, now time.Time) time.Time {
	there := []model.Record{{Source: "any"}}
	return r.phase(Situation{Now: now, Identity: &id}, there, Fused{Attrs: Decode(id.Attrs), Active: true}, id.Organisation).end
}

// ownDates are the person's start and end; known is false when that cannot be told.
func (r *Rules) ownDates(f Fused, p *phase) (began, ended time.Time, known bool) {
	attrs := lifecycleOf(f.Attrs)
	start, startText := textOf(attrs["startDate"])
	end, endText := textOf(attrs["endDate"])
	if attrs["startDate"] == nil && attrs["endDate"] == nil {
		return began, ended, true
	}
	zone, err := r.Calendar.zoneOf(text(f.Attrs["timezone"]))
	if err != nil {
		p.found(model.CodeLifecycleDate, "%s", err)
	}
	began, startErr := StartOf(start, zone)
	ended, endErr := EndOf(end, zone)
	switch {
	case !startText || startErr != nil:
		p.found(model.CodeLifecycleDate, "startDate %s", unreadable(startErr))
	case !endText || endErr != nil:
	case !began.IsZero() && !ended.IsZero() && !began.Before(ended):
		p.found(model.CodeLifecycleDate, "endDate %s is before startDate %s", end, start)
	default:
		return began, ended, true
	}
	if !endText || endErr != nil {
		p.found(model.CodeLifecycleDate, "endDate %s", unreadable(endErr))
	}
	return time.Time{}, time.Time{}, false
}

// soon notes moments at which the phase may change, of which the first to come counts.
func (p *phase) soon(now time.Time, moments ...time.Time) {
	for _, t := range moments {
		if t.After(now) && (p.next.IsZero() || t.Before(p.next)) {
			p.next = t
		}
	}
}

func (p *phase) found(code model.Code, format string, args ...any) {
	p.findings = append(p.findings, model.Finding{Code: code, Text: fmt.Sprintf(format, args...)})
}

// before says whether the account of the rule is there before the start already.
func (w *situation) before(rules *policy.Policy, g policy.Grant) bool {
	rule, _ := rules.RuleOf(g.Target, g.Rule)
	return !w.start.IsZero() && rule.BeforeStart > 0 && !w.Now.Before(w.start.Add(-rule.BeforeStart))
}

// administratorRecheck is how often somebody is looked at who stays because nobody else administers the target.
const administratorRecheck = time.Hour

// recheck is how often an account is looked at that should be deleted, and is not known to be deactivated yet.
const recheck = 24 * time.Hour

// retire deletes an account that has been deactivated as long as its rule says. Only an account that we made, whose target has
// confirmed that it is deactivated, of somebody who has left or whom the rule is no longer about: who is on leave comes back.
func (r *Rules) retire(w *situation, acct model.Account) *Step {
	if len(w.owned) > 0 {
		return nil
	}
	why := reasonOf(acct)
	if step := w.handedOver(acct, why); step != nil {
		return step
	}
	rule, ok := r.Policy.RuleOf(acct.Target, why.Rule)
	if !ok || rule.DeleteAfter <= 0 || acct.Origin != model.OriginOurs || acct.AppliedState == model.AccountAbsent ||
		w.lifecycle != model.Archived && w.lifecycle != model.Active {
		return nil
	}
	if acct.AppliedState != model.AccountInactive || acct.AppliedRev != acct.DesiredRev || acct.AppliedAt == nil {
		w.soon(w.Now, w.Now.Add(recheck))
		return nil
	}
	since := why.At
	if acct.AppliedAt.After(since) {
		since = *acct.AppliedAt
	}
	if due := since.Add(rule.DeleteAfter); w.Now.Before(due) {
		w.soon(w.Now, due)
		return nil
	}
	next, event := acct, model.EventLeaver
	next.State, next.Priority = model.AccountAbsent, 0
	if w.lifecycle == model.Active {
		event = model.EventMover
	}
	return w.step(&acct, next, model.OpDelete, event, model.Reason{Rule: why.Rule,
		Text: fmt.Sprintf("deactivated since %s, and rule %s keeps such accounts for %s", since.Format(time.DateOnly), why.Rule, days(rule.DeleteAfter))})
}

func days(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

func lifecycleOf(attrs map[string]any) map[string]any {
	m, _ := attrs[LifecycleUser].(map[string]any)
	return m
}

// textOf reads an attribute that should be text; nothing is "".
func textOf(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok || v == nil
}

func unreadable(err error) string {
	if err != nil {
		return err.Error()
	}
	return "is not text"
}
