package scim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

const (
	urnBulkRequest  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	urnBulkResponse = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// bulkJob is one bulk request on its way (RFC 7644 §3.7). Each operation is done as its single request is, durably and for
// itself; the job as a whole is not a transaction.
type bulkJob struct {
	q      *request
	ops    []bulkOperation // as in the request
	maker  map[string]int  // bulkId -> the operation that makes the resource
	failOn int             // errors after which no further operation is begun; 0: any number
	failed int
}

// bulkOperation is one operation and what became of it.
type bulkOperation struct {
	method  string
	bulkID  string
	rt      *resourceType
	target  string // the id in the path, or "bulkId:…"
	version string
	data    object
	notes   notes // of how its data was read
	wrong   error // it is refused for, without being tried
	needs   []int // the operations that make what it refers to, itself excluded

	id       string // of what a POST makes
	circle   bool   // it is made in a circle of references
	status   int    // 0: not processed
	etag     string
	location string
	response []byte // the SCIM Error of one that failed
}

func (op *bulkOperation) ok() bool { return op.status >= 200 && op.status < 300 }

// part is what a request that is an operation of a bulk request has in place of its body.
type part struct {
	id    string // of the resource to make
	fixed bool   // others refer to the id already
	data  object
}

// bulk answers POST /Bulk. The status is 200 whatever became of the operations; each result has its own.
func (q *request) bulk() error {
	o, err := q.body()
	var big *http.MaxBytesError
	if errors.As(err, &big) { // RFC 7644 §3.7.4: the answer names the limit
		return refuse(http.StatusRequestEntityTooLarge, "", "The body is larger than maxPayloadSize, %d bytes.", big.Limit)
	}
	if err != nil {
		return err
	}
	j, err := q.bulkJob(o)
	if err != nil {
		return err
	}
	if err := q.notes.refused; err != nil {
		return err
	}
	j.run()
	return j.answer()
}

// answer has the results in the order of the request. Operations that were not begun because of failOnErrors have none.
func (j *bulkJob) answer() error {
	a := j.q.answer(http.StatusOK)
	a.buf = appendJSON(append(a.buf, `{"schemas":`...), []string{urnBulkResponse})
	a.buf = append(a.buf, `,"Operations":[`...)
	first := true
	for i := range j.ops {
		op := &j.ops[i]
		if op.status == 0 {
			continue
		}
		if !first {
			a.buf = append(a.buf, ',')
		}
		first = false
		a.buf = op.result(a.buf)
	}
	a.buf = append(a.buf, "]}"...)
	return a.end()
}

func (op *bulkOperation) result(b []byte) []byte {
	b = append(b, '{')
	for _, m := range [...]struct{ key, value string }{
		{"method", op.method}, {"bulkId", op.bulkID}, {"version", op.etag}, {"location", op.location},
	} {
		if m.value != "" {
			b = append(appendString(append(appendString(b, m.key), ':'), m.value), ',')
		}
	}
	if len(op.response) > 0 {
		b = append(append(append(b, `"response":`...), op.response...), ',')
	}
	return append(appendString(append(b, `"status":`...), strconv.Itoa(op.status)), '}')
}

// count keeps what the log says of the whole job.
func (j *bulkJob) count(reason string) {
	if j.failed++; j.failed == 1 {
		j.q.reason = reason
	}
}

// summary makes one reason of those of the operations.
func (j *bulkJob) summary() {
	if j.failed > 0 {
		j.q.reason = fmt.Sprintf("%d of %d operations were refused, the first because: %s", j.failed, len(j.ops), j.q.reason)
	}
}
