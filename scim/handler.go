package scim

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/jml/engine"
	"jmld/model"
)

// Bounds of a request.
const (
	defaultMaxBody = 4 << 20
	defaultTimeout = 30 * time.Second
)

const (
	mediaSCIM = "application/scim+json"
	mediaJSON = "application/json"
)

// Pusher makes a write durable; *engine.Engine is one.
type Pusher interface {
	Push(ctx context.Context, p engine.Push) (engine.Pushed, error)
}

// Resources is where records are read; *store.Store is one.
type Resources interface {
	// Record returns one record, or model.ErrNotFound.
	Record(ctx context.Context, source string, kind model.Kind, id string) (model.Record, error)
	// WithGroups is Record of a user, with what GroupsOf returns.
	WithGroups(ctx context.Context, source, id string) (model.Record, []model.Membership, error)
	// Query selects records of one source and kind.
	Query(ctx context.Context, q model.Query) (model.Page, error)
	// Members streams the direct members of a group. When there are more than most, the error is model.ErrTooMany, and none is yielded. 0: any
	// number, when it is this stream's turn; else model.ErrUnavailable.
	Members(ctx context.Context, source, group string, most int, yield func(id string, kind model.Kind, name string) error) error
	// GroupsOf returns the groups each of the ids is in, directly or through other groups.
	GroupsOf(ctx context.Context, source string, ids []string) (map[string][]model.Membership, error)
}

// Tokens is where tokens are kept; *store.Store is one.
type Tokens interface {
	Tokens(ctx context.Context, source string) ([]model.Token, error)
	TouchTokens(ctx context.Context, used map[string]time.Time) error
}

// Source is a source that identity providers push into.
type Source struct {
	Name    string
	MaxBody int64 // bytes; 0: 4 MiB
	Bounds  Bounds
	// Strict refuses what is read differently from how it is written, in place of noting it.
	Strict bool
	// AnnounceCursors says in ServiceProviderConfig that lists have cursors (RFC 9865 §4). They have them anyway; some
	// clients cannot read the announcement.
	AnnounceCursors bool
	// NullIsSilence: null and a removal say no more than not being mentioned. Else they say that there is none (nones).
	NullIsSilence bool
	Access
}

// Options make a Handler.
type Options struct {
	Sources    []Source
	Extensions []model.Extension // of all sources; they have been checked
	URL        string            // where clients reach us, "https://jmld.example.org", for meta.location; "": from each request
	Pusher     Pusher
	Resources  Resources
	Tokens     Tokens
	Dialects   DialectUses      // nil: dialects are only logged
	Log        *zap.Logger      // nil: nothing is logged
	Now        func() time.Time // nil: time.Now
	Timeout    time.Duration    // of one request; 0: 30 s
	// BodyTimeout is for the body of one request to arrive; 0: 20 s
	BodyTimeout time.Duration
	// TrustedProxies may say in X-Forwarded-For where a request came from.
	TrustedProxies []netip.Prefix
	Observe        func(o Observation) // called once for each request, for metrics; may be nil
}

// Observation is what became of one request.
type Observation struct {
	Source string // "" when the client is not let in
	Method string
	Route  string // "/Users/{id}", a name from a fixed list
	Status int
	Took   time.Duration
}

// Handler serves /scim/{source}/v2 for all sources. It never redirects, so it has to stand before a http.ServeMux,
// which would answer //Users with a redirect that turns POST into GET.
type Handler struct {
	o         Options
	schemas   *schemas
	discovery *discovery
	sources   map[string]*source
	uses      useCounts // of dialects, when somebody stores them
}

type source struct {
	Source
	tokens        tokenTable
	passwords     secretCache // of Basic
	clientSecrets secretCache // of OAuth
	keys          *keySet     // of JWT
	limits        *limiter
	config        [][]byte // ServiceProviderConfig
}

// New makes a handler. It starts nothing; tokens are read when requests need them.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.BodyTimeout <= 0 {
		o.BodyTimeout = defaultBodyTimeout
	}
	o.URL = strings.TrimRight(o.URL, "/")
	h := &Handler{o: o, schemas: newSchemas(o.Extensions...), sources: map[string]*source{}}
	h.discovery = newDiscovery(h.schemas)
	for _, s := range o.Sources {
		if s.MaxBody <= 0 {
			s.MaxBody = defaultMaxBody
		}
		s.Bounds = s.Bounds.filled()
		h.sources[s.Name] = h.newSource(s)
	}
	return h
}

// request is one request on its way through the chain.
type request struct {
	h       *Handler
	w       *statusWriter
	r       *http.Request
	source  *source
	token   model.Token
	via     string   // how the client showed who it is
	leaving []func() // gives back what limits count
	base    string   // "https://jmld.example.org/scim/entra/v2"
	id      string   // in the log
	route   string
	record  string // as in the URL
	reason  string // of a refusal
	few     bool   // the answer has no group with more than fewMembers: errLarge
	large   bool   // the resource is known to be a group with more than fewMembers
	bare    bool   // the answer has nothing but the record's own: no members, no groups
	known   bool   // within has the groups of the user
	within  []model.Membership
	part    *part // of a bulk request; nil: a request of its own
	notes   notes
	params  url.Values // of the URL; not to be changed
	agent   string     // what the client calls itself
	shape   string     // see shapeOf
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Timeout)
	defer cancel()
	start := h.o.Now()
	q := &request{h: h, w: &statusWriter{ResponseWriter: w}, r: r.WithContext(ctx), route: "other", id: r.Header.Get("X-Request-Id"),
		agent: r.UserAgent()}
	if q.id == "" {
		q.id = model.NewID(start)
	}
	answered := false
	defer func() {
		if crash := recover(); crash != nil {
			answered = q.fail(fmt.Errorf("panic: %v\n%s", crash, debug.Stack()))
		}
		q.finish(start)
		if !answered {
			panic(http.ErrAbortHandler) // net/http cuts the connection: half an answer must not look like a whole one
		}
	}()
	err := q.serve()
	answered = err == nil || q.fail(err)
}

// fail answers with the protocol's form of the error. It reports false when another answer has begun.
func (q *request) fail(err error) bool {
	r := refusalOf(err)
	if r.Status == http.StatusInternalServerError {
		r.Detail = "An internal error; the log has it under " + safeName(q.id) + "."
	}
	left := errors.Is(err, context.Canceled) // the client has gone; nobody needs to look at that
	if !left && r.Status >= http.StatusInternalServerError && r.Status != http.StatusNotImplemented || q.w.status != 0 {
		q.h.o.Log.Error("scim request could not be done", zap.String(model.FieldRequest, safeName(q.id)),
			zap.String(model.FieldRoute, q.route), zap.String(model.FieldCode, string(model.CodeOf(err))), zap.Error(err))
	}
	q.reason = strings.TrimSpace(string(r.ScimType) + " " + r.Detail)
	if q.w.status != 0 {
		return false
	}
	writeRefusal(q.w, r, q.answerType())
	return true
}

// finish writes the request's one line into the log. Notes and routes hold no values of attributes.
func (q *request) finish(start time.Time) {
	took := q.h.o.Now().Sub(start)
	o := Observation{Method: q.r.Method, Route: q.route, Status: q.w.status, Took: took}
	if q.source != nil && q.token.ID != "" {
		o.Source = q.source.Name
	}
	dialect := ""
	if q.base != "" {
		dialect = q.dialect()
		q.countDialect(dialect, start)
	}
	if line := q.h.o.Log.Check(zap.InfoLevel, "scim request"); line != nil {
		line.Write(q.fields(o, dialect)...)
	}
	if q.h.o.Observe != nil {
		q.h.o.Observe(o)
	}
	if q.source != nil && isID(q.token.ID) { // the others are not stored
		q.source.tokens.touch(q.r.Context(), q.token)
	}
}

// fields are those of the request's line in the log.
func (q *request) fields(o Observation, dialect string) []zap.Field {
	fields := make([]zap.Field, 0, 12)
	fields = append(fields, zap.String(model.FieldRequest, safeName(q.id)), zap.String(model.FieldMethod, safeName(q.r.Method)), zap.String(model.FieldRoute, q.route),
		zap.Int(model.FieldStatus, q.w.status), zap.Duration(model.FieldDuration, o.Took))
	if o.Source != "" {
		fields = append(fields, zap.String(model.FieldSource, o.Source), zap.String(model.FieldActor, q.actor()))
	}
	if dialect != "" {
		fields = append(fields, zap.String(model.FieldDialect, dialect))
	}
	if isID(q.record) {
		fields = append(fields, zap.String(model.FieldRecord, q.record))
	}
	if q.reason != "" {
		fields = append(fields, zap.String(model.FieldReason, q.reason))
	}
	if n := len(q.notes.list); n > 0 {
		fields = append(fields, zap.Int(model.FieldCount, n), zap.Strings(model.FieldNotes, q.notes.list))
	}
	return fields
}

// isID says whether the text is an id of ours. In a URL anything may stand for one, even an address.
func isID(s string) bool {
	return len(s) == 36 && strings.Trim(s, "0123456789abcdef-") == ""
}

func (q *request) actor() string {
	return "source " + q.source.Name + ", " + q.via + " " + q.token.Name
}

// serve is the chain up to the route's own handler.
func (q *request) serve() error {
	segments, err := segmentsOf(q.r.URL)
	if err != nil {
		return err
	}
	most := Bounds{}.filled().URL
	if src := q.h.sources[segments[0]]; src != nil {
		most = src.Bounds.URL
	}
	if len(q.r.RequestURI) > most || len(q.r.URL.RawQuery) > most {
		return refuse(http.StatusRequestURITooLong, "", "The URL is longer than %d bytes.", most)
	}
	if err := q.reachable(segments[0]); err != nil {
		return err
	}
	if src := q.h.sources[segments[0]]; src != nil && src.OAuth != nil && slices.Equal(segments[1:], []string{"oauth", "token"}) {
		return q.grant(src)
	}
	if err := q.admit(segments[0]); err != nil {
		return err
	}
	leave, err := q.source.limits.enter(q.token.ID)
	if err != nil {
		return err
	}
	q.leaving = append(q.leaving, leave)
	defer q.leave()
	base := q.h.o.URL
	if base == "" {
		base = "http://" + q.r.Host
		if q.r.TLS != nil {
			base = "https://" + q.r.Host
		}
	}
	q.base = base + "/scim/" + url.PathEscape(q.source.Name) + "/v2"
	if q.params, err = queryOf(q.r.URL, &q.notes); err == nil { // else whoever reads it refuses it
		q.shape = shapeOf(q.r.Method, q.params, nil)
	}
	return q.dispatch(segments[1:])
}

// mediaType refuses a body that is not JSON. A missing type is JSON.
func (q *request) mediaType() error {
	given := q.r.Header.Get("Content-Type")
	if given == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || media != mediaSCIM && media != mediaJSON {
		return refuse(http.StatusUnsupportedMediaType, "", "The body has to be %s.", mediaSCIM)
	}
	if enc := q.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return refuse(http.StatusUnsupportedMediaType, "", "The body must not be compressed.")
	}
	return nil
}

// answerType is the media type the client asks for, of the two there are.
func (q *request) answerType() string {
	accept := q.r.Header.Get("Accept")
	if strings.Contains(accept, mediaJSON) && !strings.Contains(accept, mediaSCIM) && !strings.Contains(accept, "*/*") {
		return mediaJSON
	}
	return mediaSCIM
}

// statusWriter remembers whether an answer has begun.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
