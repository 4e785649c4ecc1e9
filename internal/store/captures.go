package store

import (
	"context"
	"time"

	"jmld/model"
)

// captureSilence is after which time without a sign of life a capture ends.
const captureSilence = 30 * time.Second

// Conditions on captures, with the parameter that is how long ago the last sign of life may be.
const (
	captureColumns = "id, source, key, actor, started_at, seen_at, until"
	captureEnded   = "(until <= now() OR seen_at <= after($1))"
)

// StartCapture begins to record a source for the time, and returns the capture as it is stored. ErrConflict: somebody else
// captures the source; one that was given up does not count.
func (s *Store) StartCapture(ctx context.Context, c model.Capture, life time.Duration) (model.Capture, error) {
	silence := -captureSilence.Microseconds()
	err := s.write(ctx,
		op{text: s.sql("DELETE FROM capture_lines WHERE capture IN (SELECT id FROM captures WHERE source = $2 AND " + captureEnded + ")"),
			args: []any{silence, c.Source}},
		op{text: s.sql("DELETE FROM captures WHERE source = $2 AND " + captureEnded), args: []any{silence, c.Source}},
		op{text: s.sql("INSERT INTO captures (" + captureColumns + ") VALUES ($2, $3, $4, $5, now(), now(), after($1))"),
			args: []any{life.Microseconds(), c.ID, c.Source, c.Key, c.Actor}},
	)
	if err != nil {
		return model.Capture{}, err
	}
	return first(s.captures(ctx, "id = $1", c.ID))
}

// Captures are those that run now.
func (s *Store) Captures(ctx context.Context) ([]model.Capture, error) {
	return s.captures(ctx, "NOT "+captureEnded, -captureSilence.Microseconds())
}

// CaptureOf is the one that records the source now, or ErrNotFound.
func (s *Store) CaptureOf(ctx context.Context, source string) (model.Capture, error) {
	return first(s.captures(ctx, "source = $2 AND NOT "+captureEnded, -captureSilence.Microseconds(), source))
}

func (s *Store) captures(ctx context.Context, where string, args ...any) ([]model.Capture, error) {
	var list []model.Capture
	err := s.read(ctx, op{text: s.sql("SELECT " + captureColumns + " FROM captures WHERE " + where + " ORDER BY id"), args: args,
		each: func(row scanner) error {
			var c model.Capture
			err := row.Scan(&c.ID, &c.Source, &c.Key, &c.Actor, &c.StartedAt, &c.SeenAt, &c.Until)
			c.StartedAt, c.SeenAt, c.Until = c.StartedAt.UTC(), c.SeenAt.UTC(), c.Until.UTC()
			list = append(list, c)
			return err
		}})
	return list, err
}

// TouchCapture is the sign of life. ErrStale: the capture is no more.
func (s *Store) TouchCapture(ctx context.Context, id string) error {
	return s.write(ctx, op{text: s.must("UPDATE captures SET seen_at = now() WHERE id = $1"), args: []any{id}, must: true})
}

// StopCapture ends the recording; what was recorded stays until EndCapture.
func (s *Store) StopCapture(ctx context.Context, id string) error {
	return s.write(ctx, op{text: s.sql("UPDATE captures SET until = now() WHERE id = $1 AND until > now()"), args: []any{id}})
}

// EndCapture removes the capture and everything that was recorded.
func (s *Store) EndCapture(ctx context.Context, id string) error {
	return s.write(ctx,
		op{text: s.sql("DELETE FROM capture_lines WHERE capture = $1"), args: []any{id}},
		op{text: s.sql("DELETE FROM captures WHERE id = $1"), args: []any{id}})
}

// SweepCaptures removes captures that ended a while ago and that nobody removed, and lines that came after their end. When
// there is nothing to remove it writes nothing.
func (s *Store) SweepCaptures(ctx context.Context) error {
	const (
		ended  = "captures WHERE until <= after($1) OR seen_at <= after($1)"
		orphan = "capture_lines WHERE NOT EXISTS (SELECT 1 FROM captures c WHERE c.id = capture_lines.capture)"
	)
	silence, n := -2*captureSilence.Microseconds(), 0
	found := func(row scanner) error {
		var one int
		n++
		return row.Scan(&one)
	}
	err := s.read(ctx,
		op{text: s.sql("SELECT 1 FROM " + ended + " LIMIT 1"), args: []any{silence}, each: found},
		op{text: s.sql("SELECT 1 FROM " + orphan + " LIMIT 1"), each: found})
	if err != nil || n == 0 {
		return err
	}
	return s.write(ctx, op{text: s.sql("DELETE FROM " + ended), args: []any{silence}}, op{text: s.sql("DELETE FROM " + orphan)})
}

// AddCaptureLines stores what was recorded.
func (s *Store) AddCaptureLines(ctx context.Context, lines []model.CaptureLine) error {
	to := insert{into: "capture_lines (id, capture, text)", tuple: tuple(3)}
	return s.write(ctx, s.rows(to, len(lines), func(i int, args []any) []any {
		return append(args, lines[i].ID, lines[i].Capture, lines[i].Text)
	})...)
}

// CaptureLines are the first lines of a capture.
func (s *Store) CaptureLines(ctx context.Context, id string, limit int) ([]model.CaptureLine, error) {
	const text = "SELECT id, capture, text FROM capture_lines WHERE capture = $1 ORDER BY id LIMIT $2"
	var lines []model.CaptureLine
	err := s.read(ctx, op{text: s.sql(text), args: []any{id, limit}, each: func(row scanner) error {
		var l model.CaptureLine
		err := row.Scan(&l.ID, &l.Capture, &l.Text)
		lines = append(lines, l)
		return err
	}})
	return lines, err
}

// DropCaptureLines removes lines that are in the file.
func (s *Store) DropCaptureLines(ctx context.Context, lines []model.CaptureLine) error {
	if len(lines) == 0 {
		return nil
	}
	ids := make([]string, len(lines))
	for i := range lines {
		ids[i] = lines[i].ID
	}
	return s.write(ctx, op{text: s.sql("DELETE FROM capture_lines WHERE id IN list($1)"), args: []any{s.list(ids)}})
}
