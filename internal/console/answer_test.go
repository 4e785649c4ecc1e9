package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// answer is a response with its page parsed.
type answer struct {
	*http.Response
	Body string
	root *html.Node
}

func request(method, path string, form url.Values) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	r.Host, r.RemoteAddr = "localhost:8484", "127.0.0.1:50000"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

func do(t *testing.T, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{Response: w.Result(), Body: w.Body.String()}
	root, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		t.Fatal(err)
	}
	a.root = root
	return a
}

func get(t *testing.T, h http.Handler, path string) answer {
	t.Helper()
	return do(t, h, request(http.MethodGet, path, nil))
}

func post(t *testing.T, h http.Handler, path string, pairs ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return do(t, h, request(http.MethodPost, path, form))
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// all returns the elements with the tag, in order.
func (a answer) all(tag string) []*html.Node {
	var out []*html.Node
	for n := range a.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			out = append(out, n)
		}
	}
	return out
}

// text is what a reader sees: words with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
			b.WriteString(" ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (a answer) text() string { return text(a.root) }

func (a answer) texts(tag string) []string {
	var out []string
	for _, n := range a.all(tag) {
		out = append(out, text(n))
	}
	return out
}

// rows are the body rows of the table with the caption.
func (a answer) rows(caption string) []string {
	var out []string
	for _, table := range a.all("table") {
		var c string
		var rows []string
		for d := range table.Descendants() {
			switch {
			case d.Type == html.ElementNode && d.Data == "caption":
				c = text(d)
			case d.Type == html.ElementNode && d.Data == "tr" && d.Parent.Data == "tbody":
				rows = append(rows, text(d))
			}
		}
		if c == caption {
			out = append(out, rows...)
		}
	}
	return out
}

func (a answer) has(t *testing.T, wants ...string) {
	t.Helper()
	s := a.text()
	for _, w := range wants {
		if !strings.Contains(s, w) {
			t.Errorf("the page does not say %q:\n%s", w, s)
		}
	}
}

func (a answer) lacks(t *testing.T, wants ...string) {
	t.Helper()
	s := a.text()
	for _, w := range wants {
		if strings.Contains(s, w) {
			t.Errorf("the page says %q", w)
		}
	}
}

func (a answer) link(t *testing.T, word string) string {
	t.Helper()
	for _, n := range a.all("a") {
		if strings.Contains(text(n), word) {
			return attribute(n, "href")
		}
	}
	t.Fatalf("no link %q", word)
	return ""
}

func (a answer) status(t *testing.T, want int) answer {
	t.Helper()
	if a.StatusCode != want {
		t.Fatalf("status %d, want %d:\n%s", a.StatusCode, want, a.text())
	}
	return a
}
