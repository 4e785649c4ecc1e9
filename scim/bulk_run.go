package scim

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"jmld/model"
)

// undoTimeout is for taking one resource back.
const undoTimeout = 10 * time.Second

// bulkNote is in the audit of each operation.
const bulkNote = "part of a bulk request"

// run does the operations: what others refer to before them, else in the order of the request.
func (j *bulkJob) run() {
	for _, unit := range bulkOrder(j.link()) {
		if j.failOn > 0 && j.failed >= j.failOn {
			break
		}
		if len(unit) > 1 {
			j.circle(unit)
			continue
		}
		op := &j.ops[unit[0]]
		err := op.wrong
		if err == nil {
			err = j.missing(op, nil)
		}
		if err != nil {
			j.refuse(unit[0], err)
			continue
		}
		j.prepare(op)
		j.do(unit[0])
	}
	j.summary()
}

// missing refuses an operation that refers to something that was not made. Those that are made with it do not count.
func (j *bulkJob) missing(op *bulkOperation, with []int) error {
	for _, n := range op.needs {
		if !j.ops[n].ok() && !slices.Contains(with, n) {
			return refuse(http.StatusConflict, "", "It refers to %s%s, which was not made.", bulkMark, safeName(j.ops[n].bulkID))
		}
	}
	return nil
}

// prepare gives what a POST makes its id, which may be in its own data. Everything else it refers to has one.
func (j *bulkJob) prepare(op *bulkOperation) {
	if op.method == http.MethodPost && op.id == "" {
		op.id = model.NewID(j.q.h.o.Now())
	}
	op.references(func(name string) string { return j.ops[j.maker[name]].id })
}

// do runs one operation as the request it would be alone, and keeps its result.
func (j *bulkJob) do(i int) {
	op := &j.ops[i]
	w := &resultWriter{header: http.Header{}}
	q := j.request(op, i, w)
	if err := q.r.Context().Err(); err != nil {
		writeRefusal(q.w, refusalOf(err), mediaSCIM) // without a line in the log for each that is left
		q.reason = "The time of the request was over, or the client gone."
	} else {
		q.guarded(func() error { return q.resourceRoute(op.rt, op.target) })
	}
	j.keep(op, q, w)
}

// refuse is the result of an operation that is not done.
func (j *bulkJob) refuse(i int, err error) {
	op := &j.ops[i]
	w := &resultWriter{header: http.Header{}}
	q := j.request(op, i, w)
	q.fail(err)
	j.keep(op, q, w)
}

func (j *bulkJob) keep(op *bulkOperation, q *request, w *resultWriter) {
	op.status, op.etag, op.location, op.response = w.status, w.header.Get("ETag"), "", nil
	switch {
	case op.rt == nil:
	case op.method != http.MethodPost: // RFC 7644 §3.7: also of what failed
		op.location = strings.TrimRight(q.location(op.rt, url.PathEscape(op.target)), "/")
	case op.ok():
		op.location, op.id = w.header.Get("Location"), q.record // that of a rehire is older than the request
	}
	if !op.ok() {
		op.response = w.body
		j.count(q.reason)
	}
	op.data = nil // what is done takes no memory any more
	if j.q.shape == "" {
		j.q.shape = q.shape
	}
	j.q.notes.include(&q.notes)
}

// request is the operation as a request: it has the client, the source and the time of the whole.
func (j *bulkJob) request(op *bulkOperation, i int, w http.ResponseWriter) *request {
	q := *j.q
	q.w = &statusWriter{ResponseWriter: w}
	q.leaving, q.params, q.record, q.reason, q.shape, q.notes = nil, nil, "", "", "", op.notes
	q.notes.strict = j.q.notes.strict
	q.id = j.q.id + "." + strconv.Itoa(i+1)
	q.part = &part{id: op.id, fixed: op.circle, data: op.data}
	r := &http.Request{Method: op.method, URL: &url.URL{}, Header: http.Header{}}
	if op.version != "" {
		r.Header.Set("If-Match", op.version)
	}
	q.r = r.WithContext(j.q.r.Context())
	return &q
}

// guarded answers for f. What one operation breaks does not keep the others from being done.
func (q *request) guarded(f func() error) {
	defer func() {
		if crash := recover(); crash != nil {
			q.fail(fmt.Errorf("panic: %v\n%s", crash, debug.Stack()))
		}
	}()
	if err := f(); err != nil {
		q.fail(err)
	}
}

// circle makes resources that refer to each other (RFC 7644 §3.7.1): their ids are known before they are made, so each is
// made at once as it is meant to be. As each needs all others, they are made together or, with 409, not at all.
func (j *bulkJob) circle(unit []int) {
	refused := refuse(http.StatusConflict, "", "It is in a circle of references with an operation that was not done.")
	for _, i := range unit {
		if err := j.missing(&j.ops[i], unit); err != nil {
			j.refuseAll(unit, i, err, refused)
			return
		}
	}
	for _, i := range unit {
		j.ops[i].id, j.ops[i].circle = model.NewID(j.q.h.o.Now()), true
	}
	for _, i := range unit {
		j.prepare(&j.ops[i])
	}
	for _, i := range unit { // before anything is made: a person made and taken back is a joiner and a leaver
		n := notes{strict: j.q.notes.strict}
		if err := j.ops[i].makeable(&n, j.q.source.Bounds); err != nil {
			j.q.notes.include(&n)
			j.refuseAll(unit, i, err, refused)
			return
		}
	}
	for at, i := range unit {
		if j.do(i); j.ops[i].ok() {
			continue
		}
		for _, made := range slices.Backward(unit[:at]) {
			j.undo(made, refused)
		}
		for _, left := range unit[at+1:] {
			j.refuse(left, refused)
		}
		return
	}
}

func (j *bulkJob) refuseAll(unit []int, because int, err, others error) {
	for _, i := range unit {
		if i == because {
			j.refuse(i, err)
		} else {
			j.refuse(i, others)
		}
	}
}

// makeable says whether a POST could be done as far as its data tells.
func (op *bulkOperation) makeable(n *notes, b Bounds) error {
	c := compiler{normaliser: normaliser{n, b}, rt: op.rt, id: op.id}
	if err := c.body(op.data); err != nil {
		return err
	}
	if err := n.refused; err != nil {
		return err
	}
	return apply(op.rt, map[string]any{}, c.ops)
}

// undo takes back what was made, as a client would. It has time of its own: often time is what ran out.
func (j *bulkJob) undo(i int, refused error) {
	op := &j.ops[i]
	made := op.location
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.q.r.Context()), undoTimeout)
	defer cancel()
	q := j.request(&bulkOperation{method: http.MethodDelete}, i, &resultWriter{header: http.Header{}})
	q.r = q.r.WithContext(ctx)
	q.notes.remark("taken back: in a circle of references that could not be closed")
	q.guarded(func() error { return q.resourceRoute(op.rt, op.id) })
	if q.w.status < 300 {
		j.refuse(i, refused)
		return
	}
	j.refuse(i, refuse(q.w.status, "", "It was made, others in its circle of references were not, and it could not be taken back."))
	op.location = made
}

// resultWriter keeps the answer to one operation. Only refusals have a body here.
type resultWriter struct {
	header http.Header
	status int
	body   []byte
}

func (w *resultWriter) Header() http.Header { return w.header }

func (w *resultWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *resultWriter) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}
