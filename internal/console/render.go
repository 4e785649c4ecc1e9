package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/console.css static/icon.svg
var staticFiles embed.FS

// view is one answer: which template, and what it shows.
type view struct {
	name    string // of the template
	title   string
	section string // of the navigation
	status  int    // 0: 200
	notice  string // what an action just did
	bare    bool   // without navigation
	data    any
	to      string // not "": go there instead
}

// layout is what the frame of every page knows.
type layout struct {
	Title, Section, Notice, Version, Style string
	Bare, Session, Tasks, Requests         bool
	Held, Dead                             int
	Unknown                                bool // how many are held and dead
	Data                                   any
}

type pageFunc func(ctx context.Context, r *http.Request) (view, error)

type pages struct {
	byName map[string]*template.Template
	style  string // address of the style sheet, changing with its content
}

// newPages parses the templates. It panics when one is broken: they are part of the program.
func newPages(now func() time.Time) *pages {
	base := template.Must(template.New("").Funcs(functions(now)).ParseFS(templateFiles, "templates/_*.html"))
	p := &pages{byName: map[string]*template.Template{}}
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".html"); ok && !strings.HasPrefix(name, "_") {
			p.byName[name] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, "templates/"+e.Name()))
		}
	}
	css, err := staticFiles.ReadFile("static/console.css")
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(css)
	p.style = "/static/console.css?v=" + base64.RawURLEncoding.EncodeToString(sum[:9])
	return p
}

// page turns a question into an answer: it bounds the time, and says in words what went wrong.
func (c *console) page(f pageFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		v, err := f(ctx, r)
		switch {
		case err != nil:
			c.fail(w, r, err)
		case v.to != "":
			http.Redirect(w, r, v.to, http.StatusSeeOther)
		default:
			c.write(w, r, v)
		}
	}
}

// wrong is an error of the person at the browser, in words for them.
type wrong struct {
	status      int
	title, text string
}

func (e wrong) Error() string { return e.title + ": " + e.text }

func badRequest(text string) error {
	return wrong{http.StatusBadRequest, "That does not make sense here", text}
}

func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e wrong
	switch {
	case errors.As(err, &e):
		c.problem(w, r, e.status, e.title, e.text)
		return
	case errors.Is(err, model.ErrNotFound):
		c.problem(w, r, http.StatusNotFound, "Not found", "There is nothing with this id. It may have been cleaned up, or the link is cut off.")
		return
	case model.CodeOf(err) == model.CodeRulesOther:
		c.problem(w, r, http.StatusConflict, "Nothing was decided", "Other rules are in force than those of this daemon. "+model.CodeRulesOther.Advice())
		return
	case r.Context().Err() != nil: // the browser went away: nobody reads an answer
		return
	}
	c.log.Error("console page", zap.String(model.FieldRoute, r.Pattern), zap.String(model.FieldRequest, w.Header().Get("X-Request-Id")),
		zap.String(model.FieldCode, string(model.CodeOf(err))), zap.Error(err))
	switch {
	case errors.Is(err, model.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		w.Header().Set("Retry-After", "10")
		c.problem(w, r, http.StatusServiceUnavailable, "The database does not answer",
			model.CodeStoreUnavailable.Advice()+" Then load this page again.")
	default:
		c.problem(w, r, http.StatusInternalServerError, "This page could not be made",
			"The reason is in the log, beside the request id below.")
	}
}

type problemPage struct {
	Status  int
	Title   string
	Text    string
	Request string
}

func (c *console) problem(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	c.write(w, r, view{name: "problem", title: title, status: status, bare: true,
		data: problemPage{Status: status, Title: title, Text: text, Request: w.Header().Get("X-Request-Id")}})
}

func (c *console) write(w http.ResponseWriter, r *http.Request, v view) {
	l := layout{Title: v.title, Section: v.section, Notice: v.notice, Bare: v.bare, Data: v.data,
		Version: c.o.Version, Style: c.pages.style, Session: !c.doors.open() && !v.bare, Tasks: c.o.Tasks != nil, Requests: c.o.Requests != nil}
	if !v.bare {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		t, err := c.figures(ctx)
		if err != nil { // the page itself is here: it is shown, and the counts are said to be missing
			c.log.Warn("console without figures", zap.String(model.FieldCode, string(model.CodeOf(err))), zap.Error(err))
			l.Unknown = true
		}
		l.Held = t.Held
		for _, a := range t.Accounts {
			l.Dead += a.Dead
		}
	}
	var b bytes.Buffer
	if err := c.pages.byName[v.name].ExecuteTemplate(&b, "page", l); err != nil {
		c.log.Error("console template", zap.String("template", v.name), zap.Error(err))
		http.Error(w, "this page could not be made; the reason is in the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	if v.status != 0 {
		w.WriteHeader(v.status)
	}
	_, _ = w.Write(b.Bytes()) // fails only when the reader is gone
}

func (c *console) static(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("v") != "" {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.HasSuffix(r.URL.Path, "/") { // no listings
		c.fail(w, r, model.ErrNotFound)
		return
	}
	http.ServeFileFS(w, r, staticFiles, strings.TrimPrefix(r.URL.Path, "/"))
}

func (c *console) nowhere(_ context.Context, r *http.Request) (view, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return view{}, wrong{http.StatusMethodNotAllowed, "Not possible here", "This address does not take " + r.Method + "."}
	}
	return view{}, wrong{http.StatusNotFound, "No such page", "There is no page at this address."}
}

// link is path with the parameters that are not empty.
func link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
