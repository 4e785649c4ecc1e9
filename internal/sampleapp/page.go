package sampleapp

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

type row struct {
	Name, UserName, Email, Changed string
	Active                         bool
}

// page lists the users for a person. It has no script and loads nothing from elsewhere.
func (a *App) page(w http.ResponseWriter, r *http.Request) {
	tmpl, err := template.New("page").Parse(pageText)
	if err != nil {
		http.Error(w, "the page is broken", http.StatusInternalServerError)
		return
	}
	var data struct {
		Rows             []row
		Active, Inactive int
	}
	a.mu.RLock()
	for _, u := range a.users {
		name := u.text("displayName")
		if name == "" {
			name = u.text("userName")
		}
		if u.Active {
			data.Active++
		} else {
			data.Inactive++
		}
		data.Rows = append(data.Rows, row{name, u.text("userName"), u.email(), u.Modified.Format("2006-01-02 15:04:05 UTC"), u.Active})
	}
	a.mu.RUnlock()
	slices.SortFunc(data.Rows, func(x, y row) int { return strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)) })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	tmpl.Execute(w, data) //nolint:errcheck // the client went away
}

func (u *user) email() string {
	list, _ := u.Attrs["emails"].([]any)
	first := ""
	for _, e := range list {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		if primary, _ := m["primary"].(bool); primary {
			return value
		}
		if first == "" {
			first = value
		}
	}
	return first
}
