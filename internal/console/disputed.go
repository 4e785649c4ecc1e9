package console

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// Correlator shows records that are nobody's and takes decisions about them; the engine implements it.
type Correlator interface {
	Unlinked(ctx context.Context, link model.Link, after engine.RecordRef, limit int) ([]model.Record, error)
	Case(ctx context.Context, ref engine.RecordRef, with string) (engine.Case, error)
	Correlate(ctx context.Context, j engine.Judgement) (engine.Judged, error)
	Uncorrelate(ctx context.Context, j engine.Judgement) (engine.Judged, error)
}

type disputedPage struct {
	Link    model.Link
	Links   []model.Link
	Records []model.Record
	Next    string
}

// disputed lists records that wait for a person, or that one was decided about.
func (c *console) disputed(ctx context.Context, r *http.Request) (view, error) {
	links := []model.Link{model.Disputed, model.Unmatched, model.Ignored}
	state, err := choice(parameter(r, "link"), links...)
	if err != nil {
		return view{}, err
	}
	if state == "" {
		state = model.Disputed
	}
	all, err := c.o.Correlator.Unlinked(ctx, state, engine.RecordRef{Source: parameter(r, "source"), ID: parameter(r, "after")}, pageRows+1)
	if err != nil {
		return view{}, err
	}
	p := disputedPage{Link: state, Links: links}
	var next bool
	if p.Records, next = more(all, pageRows); next {
		last := p.Records[len(p.Records)-1]
		p.Next = link("/disputed", "link", string(state), "source", last.Source, "after", last.ID)
	}
	notice := ""
	switch parameter(r, "done") {
	case "linked":
		notice = "Decided: the record is about that person."
	case "new":
		notice = "Decided: the record is about somebody new."
	case "ignored":
		notice = "Decided: the record is ignored until its keys change."
	case "undone":
		notice = "The decision was taken back."
	}
	return view{name: "disputed", title: "Records that are nobody's", section: "problems", notice: notice, data: p}, nil
}

type casePage struct {
	engine.Case
	Here  string
	With  string
	Rows  []jml.Side
	Stale bool
	Open  bool // it can be decided
}

func (c *console) correlation(ctx context.Context, r *http.Request) (view, error) {
	return c.showCase(ctx, engine.RecordRef{Source: clean(r.PathValue("source")), ID: clean(r.PathValue("id"))}, parameter(r, "with"), false)
}

func (c *console) showCase(ctx context.Context, ref engine.RecordRef, with string, stale bool) (view, error) {
	one, err := c.o.Correlator.Case(ctx, ref, with)
	if err != nil {
		return view{}, err
	}
	objects := []map[string]any{jml.Decode(one.Record.Attrs)}
	for _, p := range one.Candidates {
		objects = append(objects, jml.Decode(p.Identity.Attrs))
	}
	v := view{name: "case", title: "Whom is " + ref.Source + "’s record about?", section: "problems",
		data: casePage{Case: one, Here: "/disputed/" + ref.Source + "/" + ref.ID, With: with, Rows: jml.SideBySide(objects...), Stale: stale,
			Open: one.Record.Link != model.Linked}}
	if stale {
		v.status = http.StatusConflict
	}
	return v, nil
}

// decideCase stores what the person at the browser decided about what they saw: the form carries the digest.
func (c *console) decideCase(ctx context.Context, r *http.Request) (view, error) {
	form, err := posted(r)
	if err != nil {
		return view{}, err
	}
	j := engine.Judgement{Record: engine.RecordRef{Source: clean(r.PathValue("source")), ID: clean(r.PathValue("id"))}, Digest: form("digest"),
		Reason: form("reason"), Actor: actorNamed(r, form("by"))}
	if form("by") == "" {
		return view{}, badRequest("A decision needs the name of the person who makes it.")
	}
	do, done := c.o.Correlator.Correlate, ""
	switch what, who, _ := strings.Cut(form("do"), " "); what {
	case "link":
		j.Kind, j.Identity, done = model.RulingLink, who, "linked"
	case "new":
		j.Kind, done = model.RulingNew, "new"
	case "ignore":
		j.Kind, done = model.RulingIgnore, "ignored"
	case "undo":
		do, done = c.o.Correlator.Uncorrelate, "undone"
	default:
		return view{}, badRequest("The form does not say what to do.")
	}
	out, err := do(ctx, j)
	c.forget()
	switch {
	case model.CodeOf(err) == model.CodeCorrelationStale:
		return c.showCase(ctx, j.Record, j.Identity, true)
	case errors.Is(err, model.ErrInvalid):
		return view{}, wrong{http.StatusConflict, "Nothing was decided", "Load the record again: somebody else has decided about it, or it cannot be decided like this."}
	case err != nil:
		return view{}, err
	}
	c.log.Info("record decided in the console", zap.String(model.FieldSource, j.Record.Source), zap.String(model.FieldRecord, j.Record.ID),
		zap.String(model.FieldKind, done), zap.String(model.FieldActor, j.Actor))
	if len(out.Plans) > 0 { // what somebody loses by it waits there
		return view{to: "/held/" + out.Plans[0]}, nil
	}
	return view{to: link("/disputed", "done", done)}, nil
}
