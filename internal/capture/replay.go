package capture

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// Scratch is the database a capture is played on.
type Scratch interface {
	// Restore stores a resource as it was.
	Restore(ctx context.Context, rec Record) error
	// Join puts members into a group that is restored.
	Join(ctx context.Context, group string, members []string) error
	// Clock sets the time.
	Clock(now time.Time)
}

// Report is what became of a replay.
type Report struct {
	Exchanges   int // in the file
	Played      int
	Same        int
	Skipped     map[string]int // reason -> exchanges
	Overlapping int            // began before another one ended: their true order is not known
	Lost        int64          // not in the file
	Incomplete  bool           // the file ends early
	Restored    int
	NotRestored []string // ids with the reason
	Bounded     bool     // there was more state than the file has
	Differences []Difference
}

// playTimeout is for one request.
const playTimeout = time.Minute

// ScratchURL is where a handler that is played to has to say it is.
const ScratchURL = scratchURL

// Play restores what was stored before, sends the requests in the order in which they began, and compares the answers. The
// handler lets in who shows the token. An error is one of ctx: everything else is part of the report.
func Play(ctx context.Context, f *File, h http.Handler, s Scratch, token string) (Report, error) {
	p := player{handler: h, scratch: s, token: token, file: f, to: map[string]string{}, from: map[string]string{}, cursors: map[string]string{}}
	p.report = Report{Exchanges: len(f.Exchanges), Lost: f.Lost, Incomplete: f.End == nil, Skipped: map[string]int{}}
	all := make([]*Exchange, len(f.Exchanges))
	for i := range f.Exchanges {
		all[i] = &f.Exchanges[i]
	}
	slices.SortStableFunc(all, func(a, b *Exchange) int { return cmp.Or(a.Begin.Compare(b.Begin), cmp.Compare(a.Micros, b.Micros)) })
	if err := p.restore(ctx, all); err != nil {
		return p.report, err
	}
	var end time.Time
	for _, x := range all {
		if x.Begin.Before(end) {
			p.report.Overlapping++
		}
		if done := x.Begin.Add(time.Duration(x.Micros) * time.Microsecond); done.After(end) {
			end = done
		}
	}
	p.overlap = p.report.Overlapping > 0
	for i, x := range all {
		if err := ctx.Err(); err != nil {
			return p.report, err
		}
		if reason := unplayable(x); reason != "" {
			p.report.Skipped[reason]++
			continue
		}
		p.play(ctx, i+1, x)
	}
	return p.report, ctx.Err()
}

// unplayable says why an exchange says nothing about how requests are understood.
func unplayable(x *Exchange) string {
	switch {
	case x.Answer.Broken || x.Answer.Status == 0:
		return "the answer was cut off"
	case forSecrets(unescaped(x.Request.Path)):
		return "it was about credentials"
	case x.Answer.Status == http.StatusUnauthorized || x.Answer.Status == http.StatusForbidden:
		return "the client was not let in"
	case x.Answer.Status == http.StatusTooManyRequests, x.Answer.Status == http.StatusServiceUnavailable, x.Answer.Status == http.StatusRequestTimeout:
		return "the answer was about load or time"
	case x.Request.Missing == missingLong, x.Request.Missing == missingWithheld, x.Request.Missing == missingUnread && x.Request.Length < 0:
		return "the body is not in the file"
	}
	return ""
}

func unescaped(path string) string {
	if s, err := url.PathUnescape(path); err == nil {
		return s
	}
	return path
}

type player struct {
	handler  http.Handler
	scratch  Scratch
	token    string
	file     *File
	to, from map[string]string // ids: of the capture -> of the replay, and back
	cursors  map[string]string
	overlap  bool // some exchanges overlap, so the order of changes is not known, and versions are not either
	report   Report
}

// restore stores the state before, as far as the capture does not make it itself.
func (p *player) restore(ctx context.Context, all []*Exchange) error {
	made, stood := map[string]bool{}, map[string]bool{}
	for _, x := range all {
		if x.Before != nil {
			for _, rec := range x.Before.Records {
				stood[rec.ID] = true
			}
		}
		for _, id := range created(x.Answer.Status, x.Answer.bytes()) {
			if !stood[id] { // else somebody came back
				made[id] = true
			}
		}
	}
	records := map[string]Record{}
	pairs := map[[2]string]bool{}
	in := map[string][]string{}
	for _, x := range all {
		if x.Before == nil {
			continue
		}
		p.report.Bounded = p.report.Bounded || x.Before.Bounded
		for _, rec := range x.Before.Records {
			if was, ok := records[rec.ID]; !made[rec.ID] && (!ok || was.Attrs == nil && rec.Attrs != nil) {
				records[rec.ID] = rec
			}
		}
		for _, m := range x.Before.Members {
			if made[m.Group] {
				continue
			}
			note := func(ids []string, is bool) {
				for _, id := range ids {
					pair := [2]string{m.Group, id}
					if !pairs[pair] && is {
						in[m.Group] = append(in[m.Group], id)
					}
					pairs[pair] = true
				}
			}
			note(m.In, true)
			note(m.Out, false)
		}
	}
	list := make([]Record, 0, len(records))
	for _, rec := range records {
		list = append(list, rec)
	}
	slices.SortFunc(list, func(a, b Record) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	for _, rec := range list {
		if rec.Created.IsZero() {
			rec.Created = p.file.Begun
		}
		if rec.Updated.IsZero() {
			rec.Updated = rec.Created
		}
		p.scratch.Clock(rec.Created)
		if err := p.restored(ctx, rec.ID, p.scratch.Restore(ctx, rec)); err != nil {
			return err
		}
	}
	for _, rec := range list {
		if ids := in[rec.ID]; rec.Kind == model.KindGroup && len(ids) > 0 {
			if err := p.restored(ctx, "members of "+rec.ID, p.scratch.Join(ctx, rec.ID, ids)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *player) restored(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		p.report.Restored++
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		p.report.NotRestored = append(p.report.NotRestored, fmt.Sprintf("%s: %v", what, err))
	}
	return nil
}

// reply is what the handler answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// Header is for http.ResponseWriter, as are the others.
func (r *reply) Header() http.Header { return r.header }

func (r *reply) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
}

func (r *reply) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.body = append(r.body, b...)
	return len(b), nil
}

func (p *player) play(ctx context.Context, n int, x *Exchange) {
	p.scratch.Clock(x.Begin)
	got, err := p.send(ctx, x)
	if err != nil {
		p.report.Skipped[err.Error()]++
		return
	}
	p.report.Played++
	p.learn(x, got)
	got.body = []byte(mapped(string(got.body), p.from))
	for name, list := range got.header {
		for i := range list {
			got.header[name][i] = mapped(list[i], p.from)
		}
	}
	found := compare(&x.Answer, x.Inexact, p.overlap, got)
	if len(found) == 0 {
		p.report.Same++
		return
	}
	for _, d := range found {
		d.Exchange, d.Method, d.Path = n, x.Request.Method, x.Request.target()
		p.report.Differences = append(p.report.Differences, d)
	}
}

func (r *Request) target() string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

func (p *player) send(ctx context.Context, x *Exchange) (got *reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, playTimeout)
	defer cancel()
	target := mapped(x.Request.target(), p.to)
	body := mapped(string(x.Request.bytes()), p.to)
	for was, is := range p.cursors {
		if strings.Contains(target, was) || strings.Contains(body, was) {
			target, body = strings.ReplaceAll(target, was, is), strings.ReplaceAll(body, was, is)
		}
	}
	if x.Request.Missing == missingUnread { // nobody looked at it, so anything of that length will do
		body = strings.Repeat(" ", int(min(x.Request.Length, 2*maxRequest)))
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("the URL cannot be read")
	}
	req := (&http.Request{
		Method: x.Request.Method, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "jmld.example.org",
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)), RemoteAddr: "127.0.0.1:1",
	}).WithContext(ctx)
	if x.Request.Missing == missingUnread {
		req.ContentLength = x.Request.Length
	}
	for name, v := range x.Request.Headers {
		req.Header.Set(name, v)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	got = &reply{header: http.Header{}}
	defer func() {
		if crash := recover(); crash != nil { // the handler cuts the connection by it
			err = fmt.Errorf("the answer was cut off when it was replayed")
		}
	}()
	p.handler.ServeHTTP(got, req)
	return got, nil
}

// learn finds out which id of the replay stands for which of the capture.
func (p *player) learn(x *Exchange, got *reply) {
	was, is := created(x.Answer.Status, x.Answer.bytes()), created(got.status, got.body)
	if len(was) == len(is) {
		for i := range was {
			if was[i] != "" && is[i] != "" {
				p.to[was[i]], p.from[is[i]] = is[i], was[i]
			}
		}
	}
	if a, b := next(x.Answer.bytes()), next(got.body); a != "" && b != "" {
		p.cursors[a] = b
	}
}

// created are the ids of what was made, by position in a bulk answer; "" where nothing was.
func created(status int, body []byte) []string {
	v, ok := parse(body)
	doc, isObject := v.(map[string]any)
	if !ok || !isObject {
		return nil
	}
	if status == http.StatusCreated {
		id, _ := doc["id"].(string)
		return []string{id}
	}
	list, _ := doc["Operations"].([]any)
	var ids []string
	for _, e := range list {
		op, _ := e.(map[string]any)
		id := ""
		if s, _ := op["status"].(string); s == "201" {
			location, _ := op["location"].(string)
			id = location[strings.LastIndexByte(location, '/')+1:]
		}
		ids = append(ids, id)
	}
	return ids
}

func next(body []byte) string {
	if !bytes.Contains(body, []byte(`"nextCursor"`)) {
		return ""
	}
	v, _ := parse(body)
	doc, _ := v.(map[string]any)
	s, _ := doc["nextCursor"].(string)
	return s
}

// mapped replaces ids in a text.
func mapped(s string, ids map[string]string) string {
	if len(ids) == 0 {
		return s
	}
	var b strings.Builder
	start := 0
	for i := 8; i+28 <= len(s); i++ {
		if s[i] != '-' || !isOurID(s[i-8:i+28]) {
			continue
		}
		if other, ok := ids[s[i-8:i+28]]; ok {
			b.WriteString(s[start : i-8])
			b.WriteString(other)
			start = i + 28
			i += 35
		}
	}
	if start == 0 {
		return s
	}
	b.WriteString(s[start:])
	return b.String()
}
