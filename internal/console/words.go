package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"jmld/model"
)

// tone is how a word is coloured; the word alone says the same.
type tone string

const (
	plain tone = "plain"
	fine  tone = "fine"
	watch tone = "watch" // being dealt with; worth a look
	act   tone = "act"   // somebody must do something
)

// mark is a word with a tone.
type mark struct {
	Word string
	Tone tone
}

func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"ago":       func(t any) template.HTML { return moment(now(), t) },
		"prose":     prose,
		"op":        operation,
		"link":      link,
		"count":     count,
		"num":       number,
		"label":     label,
		"space":     space,
		"short":     short,
		"runstate":  runMark,
		"verdict":   verdictMark,
		"planstate": planMark,
		"brake":     brakeWord,
		"lifecycle": lifecycleMark,
		"chgstate":  changeMark,
		"linkstate": linkMark,
		"dict":      dict,
		"contains":  strings.Contains,
		"categories": func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
		},
	}
}

// brakeWord says what a brake is about.
func brakeWord(b model.Brake) string {
	kind, subject := b.Kind()
	target, attr, _ := strings.Cut(subject, ":")
	attr = attr[strings.LastIndexByte(attr, ':')+1:]
	switch kind {
	case model.BrakeGroup:
		return "a group's loss"
	case model.BrakeChanged:
		return attr + " changed in " + target
	case model.BrakeEmptied:
		return attr + " emptied in " + target
	case model.BrakeMovers:
		return "movers in " + target
	case model.BrakeJoiners:
		return "joiners in " + target
	case model.BrakeReturns:
		return "returns to " + target
	case model.BrakeShrunk:
		return "fewer people"
	case model.BrakeRenewed:
		return "new ids"
	case model.BrakeClock:
		return "clocks"
	}
	return "leavers"
}

func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: key %v is no string", pairs[i])
		}
		m[k] = pairs[i+1]
	}
	return m, nil
}

// moment is a time as people say it, with the exact one beside it.
func moment(now time.Time, v any) template.HTML {
	var t time.Time
	switch v := v.(type) {
	case time.Time:
		t = v
	case *time.Time:
		if v != nil {
			t = *v
		}
	}
	if t.IsZero() {
		return `<span class="none">never</span>`
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`, //nolint:gosec // nothing but digits and our own words
		t.Format("2006-01-02T15:04:05Z"), t.Format("2006-01-02 15:04:05"), distance(now, t)))
}

// prose shows `commands` in a sentence as code.
func prose(s string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		if part = template.HTMLEscapeString(part); i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String()) //nolint:gosec // every part is escaped
}

func distance(now, t time.Time) string {
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < 5*time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a duration in its largest sensible unit.
func span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	default:
		return fmt.Sprintf("%d months", int(d.Hours()/24/30))
	}
}

// took is how long something lasted.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

// number groups thousands.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number with its noun: count 1 "person" "people".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func short(id string) string {
	if len(id) == 36 { // version 7: the last group is random, the first would be the same for all of one minute
		return id[24:]
	}
	return id
}

type opWord struct{ Symbol, Word, Plural, Class string }

func operation(o model.Op) opWord {
	switch o {
	case model.OpCreate:
		return opWord{"+", "create", "accounts to create", "create"}
	case model.OpUpdate:
		return opWord{"~", "update", "accounts to update", "update"}
	case model.OpDeactivate:
		return opWord{"!", "deactivate", "accounts to deactivate", "deactivate"}
	case model.OpReactivate:
		return opWord{"^", "reactivate", "accounts to reactivate", "reactivate"}
	case model.OpDelete:
		return opWord{"-", "delete", "accounts to delete", "delete"}
	case model.OpFinding:
		return opWord{"?", "finding", "findings", "finding"}
	}
	return opWord{string(o), "other", "others", "finding"}
}

// ops in the order they are shown: what takes something away first.
func ops() []model.Op {
	return []model.Op{model.OpDelete, model.OpDeactivate, model.OpCreate, model.OpReactivate, model.OpUpdate, model.OpFinding}
}

func runMark(s model.RunState) mark {
	switch s {
	case model.RunRunning:
		return mark{"running", plain}
	case model.RunStopping:
		return mark{"stopping", watch}
	case model.RunSucceeded:
		return mark{"succeeded", fine}
	case model.RunHeld, model.RunFailed, model.RunAbandoned: // the overview says whether somebody must act now
		return mark{string(s), watch}
	}
	return mark{string(s), plain}
}

func verdictMark(v model.Verdict) mark {
	switch v {
	case model.VerdictComplete:
		return mark{"complete", fine}
	case model.VerdictIncomplete:
		return mark{"incomplete", watch}
	case model.VerdictNone:
		return mark{"no verdict", plain}
	}
	return mark{string(v), plain}
}

func planMark(s model.PlanState) mark {
	switch s {
	case model.PlanHeld:
		return mark{"held", act}
	case model.PlanApproved, model.PlanReleased:
		return mark{string(s), fine}
	case model.PlanExpired:
		return mark{string(s), watch}
	case model.PlanOpen, model.PlanSuperseded:
		return mark{string(s), plain}
	}
	return mark{string(s), plain}
}

func lifecycleMark(l model.Lifecycle) mark {
	switch l {
	case model.Active:
		return mark{"active", fine}
	case model.Suspended:
		return mark{"suspended", watch}
	case model.Established, model.Archived:
		return mark{string(l), plain}
	}
	return mark{string(l), plain}
}

func changeMark(s model.ChangeState) mark {
	switch s {
	case model.ChangeHeld:
		return mark{"held", act}
	case model.ChangeCommitted:
		return mark{"committed", fine}
	case model.ChangeRefused:
		return mark{"refused", watch}
	case model.ChangePending, model.ChangeWithdrawn, model.ChangeNoted:
		return mark{string(s), plain}
	}
	return mark{string(s), plain}
}

func linkMark(l model.Link) mark {
	switch l {
	case model.Linked:
		return mark{"linked", fine}
	case model.Disputed:
		return mark{"disputed", act}
	case model.Unmatched:
		return mark{"unmatched", watch}
	case model.Unlinked:
		return mark{"not looked at", plain}
	}
	return mark{string(l), plain}
}

// accountMark says how an account stands between what it should be and what it is.
func accountMark(a model.Account) mark {
	switch {
	case a.Dead:
		return mark{"given up", act}
	case a.DueAt != nil && a.LeaseOwner != "":
		return mark{"in work", plain}
	case a.DueAt != nil && a.Attempts > 0:
		return mark{"retrying", watch}
	case a.DueAt != nil:
		return mark{"due", plain}
	case a.AppliedRev != a.DesiredRev:
		return mark{"not yet", plain}
	}
	return mark{"settled", fine}
}

func stateWord(s model.AccountState) string {
	if s == model.AccountUnknown {
		return "unknown"
	}
	return string(s)
}
