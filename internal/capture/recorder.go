package capture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"jmld/model"
)

// Bounds of what a recorder holds. What goes beyond is lost to the capture, never to the client.
const (
	maxRequest = 4 << 20
	maxAnswer  = 1 << 20
	maxPending = 32 << 20 // bytes, of all exchanges that go on or wait to be stored
	maxQueue   = 4096
	maxBatch   = 50
	maxFlush   = 1 << 20 // bytes of lines that wait to be stored together

	pollEvery    = 500 * time.Millisecond
	flushEvery   = 200 * time.Millisecond
	storeTimeout = 5 * time.Second
	// blindFor is how long a recorder goes on that cannot see whether it should.
	blindFor = 10 * time.Second
	// sweepEvery is how often what abandoned captures left is removed.
	sweepEvery = time.Minute
)

// Settle is how long a recorder takes to see that a capture has begun, or to hand over what it has when it has ended.
const Settle = 2 * pollEvery

// Store is where captures are kept while they run.
type Store interface {
	// Captures are those that run now.
	Captures(ctx context.Context) ([]model.Capture, error)
	AddCaptureLines(ctx context.Context, lines []model.CaptureLine) error
	// SweepCaptures removes those that nobody will end any more.
	SweepCaptures(ctx context.Context) error
}

// Recorder records the requests of sources that are captured.
type Recorder struct {
	store   Store
	replica string
	now     func() time.Time
	failed  func(error) // tells what went wrong
	// declared are the values that the operator allows, by the attribute's name, both in small letters.
	declared map[string][]string

	active  atomic.Pointer[map[string]*session] // by source; nil: there is no capture
	queue   chan *exchange
	pending atomic.Int64
}

// NewRecorder makes a recorder; Run makes it look for captures. What goes wrong is told to failed. Canonical values of the
// declared extensions stay in captures.
func NewRecorder(store Store, replica string, now func() time.Time, failed func(error), declared ...model.Extension) *Recorder {
	return &Recorder{
		store: store, replica: replica, now: now, failed: failed, declared: canonical(declared), queue: make(chan *exchange, maxQueue),
	}
}

// request and answer are as they came.
type request struct {
	method, path, query, id, auth string
	header                        http.Header
	body                          buffer
	length                        int64
	read                          bool
}

type answer struct {
	status int
	header http.Header
	body   buffer
	broken bool
}

// Wrap is next with the recorder before it. Without a capture it costs one look at a pointer.
func (r *Recorder) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		active := r.active.Load()
		if active == nil {
			next.ServeHTTP(w, req)
			return
		}
		s := (*active)[sourceOf(req.URL.Path)]
		if s == nil {
			next.ServeHTTP(w, req)
			return
		}
		r.record(s, next, w, req)
	})
}

// sourceOf is the segment after scim.
func sourceOf(path string) string {
	rest := strings.TrimLeft(path, "/")
	head, rest, _ := strings.Cut(rest, "/")
	if head != "scim" {
		return ""
	}
	source, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	return source
}

func (r *Recorder) record(s *session, next http.Handler, w http.ResponseWriter, req *http.Request) {
	x := &exchange{session: s, begin: r.now().UTC()}
	x.request = request{
		method: req.Method, path: req.URL.EscapedPath(), query: req.URL.RawQuery, id: req.Header.Get("X-Request-Id"),
		auth: scheme(req.Header.Get("Authorization")), header: req.Header.Clone(), length: req.ContentLength,
	}
	// What proves who somebody is does not even get near the file.
	for _, name := range [...]string{"Authorization", "Cookie", "Proxy-Authorization"} {
		x.request.header.Del(name)
	}
	x.request.body = buffer{r: r, x: x, limit: maxRequest}
	x.answer.body = buffer{r: r, x: x, limit: maxAnswer}
	if forSecrets(req.URL.Path) {
		x.request.body.limit, x.answer.body.limit = -1, -1
	}
	req = req.WithContext(context.WithValue(req.Context(), watchKey{}, &Watch{x}))
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &tee{req.Body, x}
	}
	out := &answerWriter{ResponseWriter: w, x: x}
	start := time.Now()
	done := false
	defer func() {
		x.took = time.Since(start)
		x.answer.broken = !done
		x.answer.header = w.Header().Clone()
		r.keep(x)
	}()
	next.ServeHTTP(out, req)
	done = true
}

func scheme(header string) string {
	s, _, _ := strings.Cut(header, " ")
	if s = strings.ToLower(s); s == "" || s == "bearer" || s == "basic" {
		return s
	}
	return "other"
}

// forSecrets says whether the path is the token endpoint: what goes over it is withheld.
func forSecrets(path string) bool { return strings.Contains(path, "/oauth") }

// keep hands the exchange over, or gives it up.
func (r *Recorder) keep(x *exchange) {
	for i := range x.before.records {
		r.take(x, int64(len(x.before.records[i].Attrs)+500))
	}
	for _, lists := range [...]map[string][]string{x.before.in, x.before.out} {
		for _, ids := range lists {
			r.take(x, int64(100*len(ids)))
		}
	}
	if r.pending.Load() <= maxPending {
		select {
		case r.queue <- x:
			return
		default:
		}
	}
	x.session.lost.Add(1)
	r.pending.Add(-x.size)
}

// take counts n bytes for the exchange, as long as there is room.
func (r *Recorder) take(x *exchange, n int64) bool {
	x.size += n
	return r.pending.Add(n) <= maxPending
}

// buffer keeps the beginning of a body.
type buffer struct {
	r     *Recorder
	x     *exchange
	limit int // -1: nothing
	text  []byte
	n     int64
	over  bool
}

func (b *buffer) add(p []byte) {
	b.n += int64(len(p))
	switch {
	case b.limit < 0 || b.over:
	case len(b.text)+len(p) > b.limit || !b.r.take(b.x, int64(len(p))):
		b.over, b.text = true, nil // a part of a body is of no use
	default:
		b.text = append(b.text, p...)
	}
}

type tee struct {
	io.ReadCloser
	x *exchange
}

// Read notes what the handler reads.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.x.request.body.add(p[:n])
	if err == io.EOF { //nolint:errorlint // by contract of io.Reader
		t.x.request.read = true
	}
	return n, err
}

type answerWriter struct {
	http.ResponseWriter
	x *exchange
}

// WriteHeader notes the status.
func (w *answerWriter) WriteHeader(status int) {
	if w.x.answer.status == 0 && status >= http.StatusOK {
		w.x.answer.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the body.
func (w *answerWriter) Write(p []byte) (int, error) {
	if w.x.answer.status == 0 {
		w.x.answer.status = http.StatusOK
	}
	w.x.answer.body.add(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Run looks for captures and stores what they record, until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	var lines []entry
	size := int64(0)
	store := func(ctx context.Context, more ...entry) {
		r.flush(ctx, append(lines, more...))
		lines, size = nil, 0
	}
	take := func(ctx context.Context, x *exchange) {
		l := r.line(x)
		size += l.size
		if lines = append(lines, l); len(lines) >= maxBatch || size >= maxFlush {
			store(ctx)
		}
	}
	seen, swept, blind := r.now(), time.Time{}, false
	for {
		select {
		case <-ctx.Done():
			// What was answered before the end is still stored.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
			defer cancel()
			for len(r.queue) > 0 {
				take(last, <-r.queue)
			}
			store(last, r.losses()...)
			return nil
		case x := <-r.queue:
			take(ctx, x)
		case <-flush.C:
			store(ctx, r.losses()...)
		case <-poll.C:
			now := r.now()
			err := r.look(ctx)
			if err == nil {
				seen = now
			} else if now.Sub(seen) > blindFor {
				r.active.Store(nil)
			}
			if err != nil && !blind && ctx.Err() == nil { // once, not twice a second
				r.failed(fmt.Errorf("look for captures: %w", err))
			}
			blind = err != nil
			if now.Sub(swept) > sweepEvery {
				swept = now
				r.try(ctx, r.store.SweepCaptures)
			}
		}
	}
}

func (r *Recorder) try(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := do(ctx); err != nil && ctx.Err() == nil {
		r.failed(err)
	}
}

// look finds out which captures run.
func (r *Recorder) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	list, err := r.store.Captures(ctx)
	if err != nil {
		return err
	}
	was := r.active.Load()
	if len(list) == 0 {
		if was != nil {
			r.active.Store(nil)
		}
		return nil
	}
	now := map[string]*session{}
	for _, c := range list {
		if was != nil && (*was)[c.Source] != nil && (*was)[c.Source].ID == c.ID {
			now[c.Source] = (*was)[c.Source]
			continue
		}
		now[c.Source] = newSession(c)
	}
	r.active.Store(&now)
	return nil
}

// entry is a line that waits to be stored.
type entry struct {
	line model.CaptureLine
	of   *session
	lost int64 // that the line tells; 0: it is an exchange
	size int64 // that is counted as pending until the line is stored
}

// flush stores lines. Those that cannot be stored are lost, and counted.
func (r *Recorder) flush(ctx context.Context, entries []entry) {
	if len(entries) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	lines := make([]model.CaptureLine, len(entries))
	size := int64(0)
	for i := range entries {
		lines[i] = entries[i].line
		size += entries[i].size
	}
	defer r.pending.Add(-size)
	err := r.store.AddCaptureLines(ctx, lines)
	if err == nil {
		return
	}
	r.failed(err)
	for _, e := range entries {
		if e.lost > 0 {
			e.of.told -= e.lost // to be told again
			continue
		}
		e.of.lost.Add(1)
	}
}

// losses are lines about what was lost since the last ones.
func (r *Recorder) losses() []entry {
	active := r.active.Load()
	if active == nil {
		return nil
	}
	var out []entry
	for _, s := range *active {
		if n := s.lost.Load() - s.told; n > 0 {
			out = append(out, entry{line: r.encode(s, r.now(), Line{Lost: &Lost{Replica: s.redact.Text(r.replica), Exchanges: n}}), of: s, lost: n})
			s.told += n
		}
	}
	return out
}

func (r *Recorder) encode(s *session, at time.Time, l Line) model.CaptureLine {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil { // texts and numbers always encode; attributes are JSON
		r.failed(err)
		return model.CaptureLine{ID: model.NewID(at), Capture: s.ID, Text: `{"lost":{"exchanges":1}}`}
	}
	return model.CaptureLine{ID: model.NewID(at), Capture: s.ID, Text: strings.TrimSuffix(b.String(), "\n")}
}

// line redacts an exchange.
func (r *Recorder) line(x *exchange) entry {
	red := &redaction{Pseudonyms: x.session.redact, source: x.session.Source, declared: r.declared}
	red.filled = 0
	out := Exchange{
		Begin: x.begin, Micros: x.took.Microseconds(), Replica: red.Text(r.replica),
		Request: Request{
			Method: method(x.request.method), Path: red.path(x.request.path), Query: red.query(x.request.query),
			Headers: red.header(x.request.header), Auth: x.request.auth,
		},
		Answer: Answer{Status: x.answer.status, Headers: red.header(x.answer.header), Broken: x.answer.broken},
	}
	if isOurID(x.request.id) {
		out.Request.ID = x.request.id
	}
	out.Request.Body = red.kept(&x.request.body, x.request.length)
	if b := &x.request.body; !x.request.read && x.request.length != 0 && out.Request.Missing == "" && (x.request.length < 0 || b.n < x.request.length) {
		out.Request.Body = Body{Length: x.request.length, Missing: missingUnread}
	}
	static := discovery(x.request.path) && x.answer.status == http.StatusOK
	if static && !x.answer.body.over {
		out.Answer.Body = Body{Text: red.places(string(x.answer.body.text)), Length: x.answer.body.n}
	} else {
		out.Answer.Body = red.kept(&x.answer.body, x.answer.body.n)
	}
	out.Before = red.state(&x.before)
	out.Inexact = red.inexact || x.partial || x.before.bounded
	out.Filled = red.filled
	done := entry{line: r.encode(x.session, x.begin, Line{Exchange: &out}), of: x.session}
	done.size = int64(len(done.line.Text))
	r.pending.Add(done.size - x.size) // the line waits in place of the exchange
	return done
}

func method(s string) string {
	if oneOf(s, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT") {
		return s
	}
	return "OTHER"
}

// discovery answers are about this program and nobody else.
func discovery(path string) bool {
	parts := strings.FieldsFunc(strings.ToLower(path), func(c rune) bool { return c == '/' })
	return len(parts) >= 4 && oneOf(parts[3], "schemas", "resourcetypes", "serviceproviderconfig")
}

// kept is a redacted body.
func (r *redaction) kept(b *buffer, length int64) Body {
	out := Body{Length: length}
	if length < 0 && !b.over {
		out.Length = b.n
	}
	switch {
	case b.limit < 0:
		if b.n > 0 {
			out.Missing = missingWithheld
		}
	case b.over:
		out.Missing = missingLong
		out.Length = max(out.Length, b.n)
	default:
		if text := r.body(b.text); utf8.Valid(text) {
			out.Text = string(text)
		} else {
			out.Binary = text
		}
	}
	return out
}
