package jml

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// Limit is how many may change at once without a person's approval: the greater of both.
type Limit struct {
	Count int
	Share float64 // 0…1
}

// Most is the limit for a population.
func (l Limit) Most(of int) int {
	const rounding = 1e-9 // 0.29 × 100 is less than 29 in floating point
	return max(l.Count, int(math.Floor(l.Share*float64(of)+rounding)))
}

// enough is the smallest population of which n are not too many.
func (l Limit) enough(n int) int {
	switch {
	case n <= l.Count:
		return 0
	case l.Share <= 0:
		return math.MaxInt32
	}
	return int(min(math.Ceil(float64(n)/l.Share)+1, math.MaxInt32))
}

func (l Limit) words(of int) string {
	return fmt.Sprintf("the limit is %d (the larger of %d and %.4g %%)", l.Most(of), l.Count, 100*l.Share)
}

// Figures are what the brakes on changes of existing accounts look at.
type Figures struct {
	Supported map[string]int      // accounts of a target that the source supports
	Counts    []model.ChangeCount // those at hand, those that wait, and those that went within the window
}

// Verdicts say what has to wait.
type Verdicts struct {
	holds map[model.Brake]model.Hold
}

// JudgeMoves looks at the changes of existing accounts, target by target: how many get another value of one attribute, how many lose
// it, how many change beside those, and how many are reactivated. The order of the counts does not matter.
func (l Limits) JudgeMoves(f Figures) Verdicts {
	v := Verdicts{holds: map[model.Brake]model.Hold{}}
	n := map[model.Brake]int{}
	for _, c := range f.Counts {
		if c.Op == model.OpReactivate {
			n[model.BrakeReturns.About(c.Target)] += c.N
		}
		for _, mark := range updates(c) {
			name, kind := splitMark(mark)
			n[model.BrakeChanged.About(c.Target, name)] += c.N
			if kind == emptied {
				n[model.BrakeEmptied.About(c.Target, name)] += c.N
			}
		}
	}
	l.judge(v, n, f.Supported)
	clear(n)
	for _, c := range f.Counts {
		if slices.ContainsFunc(updates(c), func(mark string) bool { _, held := v.Hold(c.Target, c.Op, mark); return !held }) {
			n[model.BrakeMovers.About(c.Target)] += c.N
		}
	}
	l.judge(v, n, f.Supported)
	return v
}

// JudgeJoins looks at who would get an account by a read, target by target. changed is what its configuration lists otherwise than at the
// last one, in words; "": nothing. Then as few as may leave may join.
func (l Limits) JudgeJoins(counts []model.ChangeCount, supported int, changed string) Verdicts {
	v, n, limit := Verdicts{holds: map[model.Brake]model.Hold{}}, map[string]int{}, l.Joiners
	if changed != "" {
		limit, changed = Limit{l.Count, l.Share}, changed+" of the source changed: "
	}
	for _, c := range counts {
		if c.Op == model.OpCreate {
			n[c.Target] += c.N
		}
	}
	for target, count := range n {
		if count > limit.Most(supported) {
			brake := model.BrakeJoiners.About(target)
			v.holds[brake] = model.Hold{Brake: brake, Text: fmt.Sprintf("%s%d people would get an account in %s at once, by a source that stands for %d; %s",
				changed, count, target, supported, limit.words(supported))}
		}
	}
	return v
}

// updates are the marks that take something away: other values, and none any more.
func updates(c model.ChangeCount) []string {
	if c.Op != model.OpUpdate {
		return nil
	}
	return slices.DeleteFunc(strings.Fields(c.Attrs), func(mark string) bool { return strings.HasPrefix(mark, string(filled)) })
}

func (l Limits) judge(v Verdicts, n map[model.Brake]int, supported map[string]int) {
	for brake, count := range n {
		kind, subject := brake.Kind()
		target, attr, _ := strings.Cut(subject, ":")
		of := supported[target]
		limit, text := Limit{}, ""
		switch kind {
		case model.BrakeChanged:
			limit, text = l.Changed, fmt.Sprintf("%s would change for %d of %d accounts in %s", shortName(attr), count, of, target)
		case model.BrakeEmptied:
			limit, text = l.Emptied, fmt.Sprintf("%s would be emptied for %d of %d accounts in %s", shortName(attr), count, of, target)
		case model.BrakeMovers:
			limit, text = l.Movers, fmt.Sprintf("%d of %d accounts in %s would change", count, of, target)
		case model.BrakeReturns:
			limit, text = l.Returns, fmt.Sprintf("%d people would come back at once to %s, where %d accounts are active", count, target, of)
		}
		if count > limit.Most(of) {
			v.holds[brake] = model.Hold{Brake: brake, Text: text + "; " + limit.words(of)}
		}
	}
}

// None says whether everything may go.
func (v Verdicts) None() bool { return len(v.holds) == 0 }

// Hold says why a change must wait; mark is one of an update's. The most specific reason is given.
func (v Verdicts) Hold(target string, op model.Op, mark string) (model.Hold, bool) {
	if len(v.holds) == 0 {
		return model.Hold{}, false
	}
	var asked []model.Brake
	switch name, kind := splitMark(mark); {
	case op == model.OpReactivate:
		asked = []model.Brake{model.BrakeReturns.About(target)}
	case op == model.OpCreate:
		asked = []model.Brake{model.BrakeJoiners.About(target)}
	case op != model.OpUpdate || kind == filled:
	case kind == emptied:
		asked = []model.Brake{model.BrakeEmptied.About(target, name), model.BrakeChanged.About(target, name), model.BrakeMovers.About(target)}
	default:
		asked = []model.Brake{model.BrakeChanged.About(target, name), model.BrakeMovers.About(target)}
	}
	for _, b := range asked {
		if h, ok := v.holds[b]; ok {
			return h, true
		}
	}
	return model.Hold{}, false
}

// GroupLoss adds a loss of members to what a group lost within the window, and says whether it is too much. had counts the members
// before.
func (l Limits) GroupLoss(was model.GroupLoss, name string, had, drop int, now time.Time) (next model.GroupLoss, held string) {
	next = was
	if was.Lost == 0 || now.Sub(was.Since) >= l.Window {
		next.Since, next.Had, next.Lost = now, had, 0
	}
	next.Had = max(next.Had, had+next.Lost) // who joined since belongs to them
	next.Lost += drop
	switch {
	case drop == 0:
	case drop == had && next.Had >= l.GroupEmptied:
		return next, fmt.Sprintf("group %s lost all of its %d members; %d or more need approval", name, next.Had, l.GroupEmptied)
	case next.Lost > l.Group.Most(next.Had):
		return next, fmt.Sprintf("group %s lost %d of its %d members; %s", name, next.Lost, next.Had, l.Group.words(next.Had))
	}
	return next, ""
}

// GroupMatters says up to which number the members of a group have to be counted before it loses drop of them: with more, GroupLoss says
// the same.
func (l Limits) GroupMatters(was model.GroupLoss, drop int, now time.Time) int {
	before := was.Lost
	if now.Sub(was.Since) >= l.Window {
		before = 0
	}
	const many = 100 // that it has so many is enough to remember what it lost
	return max(drop+1, min(l.GroupEmptied, l.Group.Count+1, many), l.Group.enough(before+drop))
}

// Circumstances are what a read as a whole shows, beside whom it concerns.
type Circumstances struct {
	Listed, Before int // people listed now, and by the last complete read of everything; Before 0: there was none
	Explained      int // of those that are missing: the directory says itself that they were deleted
	Renewed        int // known people under new ids
	Supported      int
	Ahead          time.Duration // by how much our clock is ahead of another: the database's, its own of the last read, or the directory's
	Clock          string        // which one
}

// JudgeRead says why nobody may leave by a read without approval, whatever their number: the read itself is suspect.
func (l Limits) JudgeRead(c Circumstances) (model.Hold, bool) {
	shrunk := c.Before - c.Listed - c.Explained
	switch {
	case c.Ahead.Abs() > l.Clock:
		return model.Hold{Brake: model.BrakeClock, Text: fmt.Sprintf("our clock is %s off %s; nobody leaves while they are more than %s apart",
			c.Ahead.Round(time.Second), c.Clock, l.Clock)}, true
	case c.Before > 0 && shrunk > l.Shrink.Most(c.Before):
		return model.Hold{Brake: model.BrakeShrunk, Text: fmt.Sprintf("the read lists %d people, the last complete one listed %d, and only %d are seen to be deleted; %s",
			c.Listed, c.Before, c.Explained, l.Shrink.words(c.Before))}, true
	case c.Renewed > l.Renewed.Most(c.Supported):
		return model.Hold{Brake: model.BrakeRenewed, Text: fmt.Sprintf("%d of %d people came back under new ids; %s",
			c.Renewed, c.Supported, l.Renewed.words(c.Supported))}, true
	}
	return model.Hold{}, false
}

// How an attribute changes.
const (
	changed = ' '
	filled  = '+'
	emptied = '-'
)

// marks lists what differs between two projections, as model.Change.Attrs does. Extensions are compared one level down.
func marks(before, after map[string]any) []string {
	was, is := flat(before), flat(after)
	var out []string
	for name, v := range is {
		switch old, ok := was[name]; {
		case !ok:
			out = append(out, string(filled)+name)
		case !same(old, v):
			out = append(out, name)
		}
	}
	for name := range was {
		if _, ok := is[name]; !ok {
			out = append(out, string(emptied)+name)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		x, _ := splitMark(a)
		y, _ := splitMark(b)
		return cmp.Compare(x, y)
	})
	return out
}

func splitMark(mark string) (name string, kind rune) {
	switch {
	case strings.HasPrefix(mark, string(filled)):
		return mark[1:], filled
	case strings.HasPrefix(mark, string(emptied)):
		return mark[1:], emptied
	}
	return mark, changed
}

// shortName is the attribute's name without the URN of its extension.
func shortName(attr string) string {
	if strings.HasPrefix(attr, "urn:") {
		return attr[strings.LastIndexByte(attr, ':')+1:]
	}
	return attr
}
