package capture

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"jmld/model"
)

// Format is the version of the file. A reader refuses another one.
const Format = "jmld.capture/1"

// Bounds of a file that is read.
const (
	maxLine      = 64 << 20
	maxExchanges = 1_000_000
)

// ErrFormat is a file that is no capture, or one of another version.
var ErrFormat = errors.New("not a capture that this version reads")

// Header is the first line of a file.
type Header struct {
	Format  string    `json:"format"`
	Version string    `json:"jmld"`
	ID      string    `json:"capture"`
	Source  string    `json:"source"`
	Begun   time.Time `json:"begun"`
	Until   time.Time `json:"until"`
	Settings
}

// Settings are those of the source that decide about answers.
type Settings struct {
	MaxBody int64  `json:"maxBody"`
	Bounds  Bounds `json:"bounds,omitzero"`
	Strict  bool   `json:"strict"`
	Cursors bool   `json:"cursors,omitempty"`          // announced
	Silent  bool   `json:"unassignedSilent,omitempty"` // null is silence
	// Extensions are those that the operator declares, for all sources.
	Extensions []model.Extension `json:"extensions,omitempty"`
}

// Bounds is how much one request may ask for. 0: as much as the version that plays it back lets it.
type Bounds struct {
	URL             int `json:"url,omitempty"` // bytes
	Depth           int `json:"depth,omitempty"`
	Values          int `json:"values,omitempty"`
	Filter          int `json:"filter,omitempty"` // bytes
	FilterDepth     int `json:"filterDepth,omitempty"`
	FilterTerms     int `json:"filterTerms,omitempty"`
	BulkOperations  int `json:"bulkOperations,omitempty"`
	PatchOperations int `json:"patchOperations,omitempty"`
	Page            int `json:"page,omitempty"`
	MaxPage         int `json:"maxPage,omitempty"`
	Scan            int `json:"scan,omitempty"`
}

// Line is any other line: one of its members.
type Line struct {
	Exchange *Exchange `json:"exchange,omitempty"`
	Lost     *Lost     `json:"lost,omitempty"`
	End      *End      `json:"end,omitempty"`
}

// Exchange is a request with its answer.
type Exchange struct {
	Begin   time.Time `json:"begin"`
	Micros  int64     `json:"micros"` // until it was answered
	Replica string    `json:"replica,omitempty"`
	Request Request   `json:"request"`
	Answer  Answer    `json:"answer"`
	// Inexact says that the answer depends on parts or on the order of text that was replaced: of the resources in it, only those
	// that both answers have are compared.
	Inexact bool `json:"inexact,omitempty"`
	// Filled counts the values that were too long for a pseudonym. Only their shape is there, so that different ones may be equal.
	Filled int    `json:"filled,omitempty"`
	Before *State `json:"before,omitempty"`
}

// Request is what was sent.
type Request struct {
	ID      string            `json:"id,omitempty"` // in the log
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   string            `json:"query,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Auth    string            `json:"auth,omitempty"` // the scheme, and nothing else of it
	Body
}

// Answer is what was answered.
type Answer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Broken  bool              `json:"broken,omitempty"` // the connection was cut in the middle
	Body
}

// Body is as much of a body as is kept.
type Body struct {
	Text   string `json:"body,omitempty"`
	Binary []byte `json:"bodyBase64,omitempty"` // instead of Text, when it is not UTF-8
	Length int64  `json:"length,omitempty"`     // in bytes, as declared or seen; -1: not known
	// Missing says why the body is not there whole: "unread" (nobody looked at it), "long", "withheld".
	Missing string `json:"missing,omitempty"`
}

// Reasons for a body that is missing.
const (
	missingUnread   = "unread"
	missingLong     = "long"
	missingWithheld = "withheld"
)

func (b *Body) bytes() []byte {
	if len(b.Binary) > 0 {
		return b.Binary
	}
	return []byte(b.Text)
}

// State is what was stored before the capture changed it, as far as the exchange is the first that concerns it.
type State struct {
	Records []Record  `json:"records,omitempty"`
	Members []Members `json:"members,omitempty"`
	Bounded bool      `json:"bounded,omitempty"` // there was more than is kept
}

// Record is a stored resource.
type Record struct {
	ID      string          `json:"id"`
	Kind    model.Kind      `json:"kind"`
	Name    string          `json:"name,omitempty"` // all that is known of it, when Attrs is missing
	Version int64           `json:"version,omitempty"`
	Active  bool            `json:"active,omitempty"`
	Created time.Time       `json:"created,omitzero"`
	Updated time.Time       `json:"updated,omitzero"`
	Attrs   json.RawMessage `json:"attributes,omitempty"`
}

// Members says who is in a group, and who is known not to be.
type Members struct {
	Group string   `json:"group"`
	In    []string `json:"in,omitempty"`
	Out   []string `json:"out,omitempty"`
}

// Lost counts exchanges that are not in the file: there were more than could be kept.
type Lost struct {
	Replica   string `json:"replica,omitempty"`
	Exchanges int64  `json:"exchanges"`
}

// End is the last line.
type End struct {
	At        time.Time `json:"at"`
	Reason    string    `json:"reason"` // "time", "stopped", "full"
	Exchanges int       `json:"exchanges"`
	Lost      int64     `json:"lost"`
}

// File is a capture that was read.
type File struct {
	Header
	Exchanges []Exchange // in the order of their lines
	Lost      int64
	End       *End // nil: the file ends early
}

// Read reads a file. What it does not know within a line is ignored; a last line that was cut off is, too.
func Read(r io.Reader) (*File, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	if !in.Scan() {
		return nil, fmt.Errorf("%w: it has no first line%s", ErrFormat, because(in.Err()))
	}
	var f File
	if err := json.Unmarshal(in.Bytes(), &f.Header); err != nil || f.Format == "" {
		return nil, fmt.Errorf("%w: the first line is not its header", ErrFormat)
	}
	if f.Format != Format {
		return nil, fmt.Errorf("%w: its format is %.40q, %q is expected", ErrFormat, f.Format, Format)
	}
	if f.Source == "" {
		return nil, fmt.Errorf("%w: the header names no source", ErrFormat)
	}
	for _, e := range f.Extensions {
		urn := strings.ToLower(e.URN)
		if !strings.HasPrefix(urn, "urn:") || strings.HasPrefix(urn, ietf+"schemas:core:") || strings.HasPrefix(urn, ietf+"api:") || e.Kind != model.KindUser && e.Kind != model.KindGroup {
			return nil, fmt.Errorf("%w: the header has an extension that is none: %.40q", ErrFormat, e.URN)
		}
	}
	var broken error
	for n := 2; in.Scan(); n++ {
		if broken != nil {
			return nil, broken
		}
		if len(in.Bytes()) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			broken = fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
			continue
		}
		switch {
		case l.Exchange != nil:
			if err := l.Exchange.check(); err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
			}
			if f.Exchanges = append(f.Exchanges, *l.Exchange); len(f.Exchanges) > maxExchanges {
				return nil, fmt.Errorf("%w: more than %d exchanges", ErrFormat, maxExchanges)
			}
		case l.Lost != nil:
			f.Lost += l.Lost.Exchanges
		case l.End != nil:
			f.End = l.End
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &f, nil
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// check refuses what cannot be played back.
func (x *Exchange) check() error {
	switch {
	case x.Request.Method == "" || !isToken(x.Request.Method):
		return errors.New("the request has no method")
	case len(x.Request.Path) == 0 || x.Request.Path[0] != '/':
		return errors.New("the request has no path")
	case x.Answer.Status != 0 && (x.Answer.Status < 100 || x.Answer.Status > 999):
		return fmt.Errorf("status %d", x.Answer.Status)
	}
	return nil
}

// isToken says whether the text can be a method (RFC 9110 §5.6.2), of which letters are enough for us.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) < 20
}
