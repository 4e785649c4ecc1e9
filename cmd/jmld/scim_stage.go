package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"jmld/internal/capture"
	"jmld/internal/config"
	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// stage is what a capture is played on: the real handler and engine over a database of its own, without targets.
type stage struct {
	store   *store.Store
	engine  *engine.Engine
	handler http.Handler
	source  string
	secret  string
	now     atomic.Int64 // microseconds
}

func (a *app) openStage(ctx context.Context, f *capture.File, database string) (*stage, error) {
	s := &stage{source: f.Source}
	s.Clock(f.Begun)
	o := engine.Options{Now: s.clock, Replica: "replay"}
	provider := scim.Options{Sources: []scim.Source{{
		Name: f.Source, MaxBody: f.MaxBody, Bounds: scim.Bounds(f.Bounds), Strict: f.Strict, AnnounceCursors: f.Cursors, NullIsSilence: f.Silent,
	}}, Extensions: f.Extensions}
	if err := a.stageRules(f, &o, &provider); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{URL: database, MaxConns: commandConns, Empty: true})
	if errors.Is(err, model.ErrConflict) {
		return nil, usage(errors.New("--database: it is not empty; a capture is played to a database of its own"))
	}
	if err != nil {
		return nil, err
	}
	if err := db.KeepUnique(ctx, uniqueAttributes(provider.Extensions)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	random := make([]byte, 16)
	rand.Read(random) //nolint:errcheck // crypto/rand.Read never fails (Go 1.24)
	s.secret = hex.EncodeToString(random)
	o.Store = db
	s.store, s.engine = db, engine.New(o)
	hash := sha256.Sum256([]byte(s.secret))
	provider.URL, provider.Pusher, provider.Resources, provider.Now, provider.Timeout = capture.ScratchURL, s.engine, db, s.clock, commandTimeout
	provider.Tokens = oneToken{{ID: "replay", Source: f.Source, Name: "replay", Hash: hash[:]}}
	s.handler = scim.New(provider)
	return s, nil
}

// stageRules are those of the configuration that was named, or none.
func (a *app) stageRules(f *capture.File, o *engine.Options, provider *scim.Options) error {
	if a.config == "" {
		o.Rules = &jml.Rules{Precedence: []string{f.Source}, Correlation: []string{"employeeNumber", "email", "userName"}}
		return nil
	}
	cfg, err := a.read(config.Inspect)
	if err != nil {
		return err
	}
	named := &site{file: cfg.Path, cfg: cfg}
	if err := named.needPushed(f.Source); err != nil {
		return err
	}
	if o.Rules, err = cfg.Rules(); err != nil {
		return err
	}
	o.Guard = cfg.Guard.Limits()
	now := settingsOf(named, f.Source)
	source := &provider.Sources[0]
	source.MaxBody, source.Bounds, source.Strict, source.AnnounceCursors = now.MaxBody, scim.Bounds(now.Bounds), now.Strict, now.Cursors
	source.NullIsSilence = now.Silent
	provider.Extensions = now.Extensions
	return nil
}

// oneToken lets the replay in.
type oneToken []model.Token

// Tokens is the one.
func (t oneToken) Tokens(context.Context, string) ([]model.Token, error) { return t, nil }

// TouchTokens is for people to see; here nobody looks.
func (t oneToken) TouchTokens(context.Context, map[string]time.Time) error { return nil }

// Clock sets the time.
func (s *stage) Clock(now time.Time) { s.now.Store(now.UnixMicro()) }

func (s *stage) clock() time.Time { return time.UnixMicro(s.now.Load()).UTC() }

// Restore stores a resource as it was, through the engine, so that everything that hangs on it is there, too.
func (s *stage) Restore(ctx context.Context, rec capture.Record) error {
	doc := map[string]any{"displayName": rec.Name}
	if rec.Attrs != nil {
		d := json.NewDecoder(bytes.NewReader(rec.Attrs))
		d.UseNumber()
		doc = nil
		if err := d.Decode(&doc); err != nil || doc == nil {
			return errors.New("its attributes are no object")
		}
	}
	if rec.Kind != model.KindUser && rec.Kind != model.KindGroup {
		return fmt.Errorf("it is a %q", line(string(rec.Kind)))
	}
	done, err := s.engine.Push(ctx, engine.Push{
		Source: s.source, Kind: rec.Kind, ID: rec.ID, Actor: "replay", Action: "scim.create",
		Change: func(*model.Record) (*model.Record, engine.MemberChange, error) {
			return s.record(rec, doc), engine.MemberChange{}, nil
		},
	})
	if err != nil || rec.Attrs == nil {
		return err
	}
	stored := done.Record
	next := stored
	next.Version, next.UpdatedAt = max(1, rec.Version), rec.Updated
	return s.store.Commit(ctx, &engine.Commit{Records: []engine.Write{{Old: &stored, New: &next}}})
}

// record is the content as scim makes it of a resource.
func (s *stage) record(rec capture.Record, doc map[string]any) *model.Record {
	text := func(name string) string {
		v, _ := doc[name].(string)
		return v
	}
	next := &model.Record{
		Source: s.source, ID: rec.ID, Kind: rec.Kind, UserName: text("userName"), DisplayName: text("displayName"), ExternalID: text("externalId"),
		Active: rec.Active || rec.Attrs == nil, Attrs: jml.Canonical(doc),
	}
	next.UserNameKey, next.DisplayNameKey = jml.Fold(next.UserName), jml.Fold(next.DisplayName)
	if rec.Kind == model.KindUser {
		next.UniqueKey = model.UniqueKey(next.UserNameKey)
	}
	sum := sha256.Sum256([]byte(next.Attrs))
	next.Hash = sum[:16]
	return next
}

// Join puts members into a group.
func (s *stage) Join(ctx context.Context, group string, members []string) error {
	rec, err := s.store.Record(ctx, s.source, model.KindGroup, group)
	if err != nil {
		return err
	}
	return s.store.Commit(ctx, &engine.Commit{Records: []engine.Write{{Old: &rec, New: &rec, AddMembers: members}}})
}
