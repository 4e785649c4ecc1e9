package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"jmld/jml"
	"jmld/model"
)

const (
	leastRuns  = 2    // complete reads before somebody is gone for not being found
	mostLooked = 1000 // entries looked for one by one in a run
	canaries   = 3    // entries known to be there that the same search must find
)

// confirm looks for each entry that a complete read did not list, alone and by its id. What has no answer stays as it is, and the
// run says so.
func (rd *reading) confirm(ctx context.Context, src Source) error {
	defer clock(&rd.phases.confirm)()
	rd.sightings = map[string]model.Sighting{}
	if !rd.proof.Complete {
		return nil
	}
	users, groups := rd.absent(model.KindUser), rd.absent(model.KindGroup)
	total := len(users) + len(groups)
	most := rd.absence.Confirm
	if most <= 0 {
		most = mostLooked
	}
	switch {
	case total == 0:
		return nil
	case rd.epoch.changed != "": // it is out of scope by what was configured; whether it exists does not matter, and a person decides
		for _, id := range append(users, groups...) {
			rd.sightings[id] = model.Sighting{State: model.SightElsewhere, Text: "not listed since " + rd.epoch.changed + " changed"}
		}
		return nil
	case total > most:
		rd.unanswered = 0
		rd.tooMany = fmt.Sprintf("%d of %d entries are missing; more than %d are not looked for one by one, and none of them leaves",
			total, rd.known.len(), most)
		return nil
	}
	count := map[model.SightingState]int{}
	first := ""
	for _, part := range []struct {
		kind model.Kind
		ids  []string
	}{{model.KindUser, users}, {model.KindGroup, groups}} {
		if len(part.ids) == 0 {
			continue
		}
		err := src.Confirm(ctx, part.kind, part.ids, rd.present(part.kind, canaries), func(id string, s model.Sighting) {
			if s.State == model.SightNone && first == "" {
				first = s.Text
			}
			rd.sightings[id] = s
		})
		if ctx.Err() != nil {
			return err
		}
		if err != nil && first == "" {
			first = err.Error()
		}
		for _, id := range part.ids {
			s := rd.sightings[id]
			if s.State == model.SightNowhere && rd.proof.Unlisted && rd.reported[id] {
				s = model.Sighting{State: model.SightDeleted, Text: "its deletion is recorded, and it is found nowhere"}
				rd.sightings[id] = s
			}
			count[s.State]++
			if s.State == model.SightListed {
				rd.known.find(id).note(wasSeen)
				rd.there = append(rd.there, id)
			}
		}
	}
	rd.unanswered = count[model.SightNone]
	seen := fmt.Sprintf("%d missing: %d deleted, %d out of scope, %d found nowhere", total, count[model.SightDeleted],
		count[model.SightElsewhere], count[model.SightNowhere])
	if n := count[model.SightListed]; n > 0 {
		seen += fmt.Sprintf(", %d found where they should have been listed", n)
		if !rd.proof.Unlisted { // a list of changes may name who has come back
			rd.unlisted = n
		}
	}
	if rd.unanswered > 0 {
		seen += fmt.Sprintf(", %d without an answer, which stay as they are (%s)", rd.unanswered, first)
	}
	rd.proof.Conditions = append(rd.proof.Conditions, model.Condition{Name: "each missing entry looked for", OK: rd.unanswered+rd.unlisted == 0, Seen: seen})
	return nil
}

// present lists some ids of the kind that the run has seen. What others have seen before may be gone by now.
func (rd *reading) present(kind model.Kind, n int) []string {
	var ids []string
	for at, k := range rd.known.from(rand.IntN(max(rd.known.len(), 1))) {
		if len(ids) == n {
			break
		}
		if k.of(kind) && k.has(wasSeen) {
			ids = append(ids, rd.known.ids.ID(at))
		}
	}
	return ids
}

// undecided says whether the entry was not listed and is not seen to be gone.
func (rd *reading) undecided(id string) bool {
	if rd.gone[id] {
		return false
	}
	s, asked := rd.sightings[id]
	if asked {
		return rd.moved() || s.State != model.SightDeleted && s.State != model.SightElsewhere
	}
	return rd.missing(id)
}

// moved says whether another server answered than the last time. One that lags behind, or was restored, says old things, so
// that what it shows has to be shown twice. Under another configuration a person decides anyway.
func (rd *reading) moved() bool {
	return rd.epoch.changed == "" && rd.proof.Server != rd.epoch.server
}

// missed says what becomes of a record that was not listed by a complete read, by what was seen when it was looked for: left is
// true when it is gone.
func (rd *reading) missed(rec model.Record, now time.Time) (next model.Record, cause jml.Cause, left bool) {
	s := rd.sightings[rec.ID]
	cause = jml.Cause{Source: rd.source, Record: rec.ID, Absent: true}
	next = rec
	if s.State != model.SightNone {
		next.MissingRuns++
		if next.MissingSince == nil {
			next.MissingSince = &now
		}
	}
	switch s.State {
	case model.SightDeleted:
		cause.Text = "deleted in " + rd.source
		left = !rd.moved() || next.MissingRuns >= leastRuns
	case model.SightElsewhere:
		cause.Text, cause.Absent, cause.Event = "out of scope of "+rd.source+": "+s.Text, false, model.EventMover
		left = !rd.moved() || next.MissingRuns >= leastRuns
	case model.SightNowhere:
		runs := max(rd.absence.Runs, leastRuns)
		left = next.MissingRuns >= runs && now.Sub(*next.MissingSince) >= rd.absence.After
		cause.Text = fmt.Sprintf("not found in %s by %d complete reads since %s", rd.source, next.MissingRuns,
			next.MissingSince.Format(time.DateOnly))
	default: // no answer
		if rd.unanswered > 0 {
			next.Hash = nil // a read of changes looks for it again, and does not take it for one that is there
		}
		return next, cause, rec.AbsentSince != nil
	}
	next.Hash = nil // whatever comes back is a change
	return next, cause, left || rec.AbsentSince != nil
}
