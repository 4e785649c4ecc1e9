package console

import (
	"net/http"

	"go.uber.org/zap"

	"jmld/model"
)

type loginPage struct {
	Next  string
	Wrong bool
}

func (c *console) loginForm(w http.ResponseWriter, r *http.Request) {
	if c.doors.open() || c.doors.session(r) {
		http.Redirect(w, r, local(r.URL.Query().Get("next"), "/"), http.StatusSeeOther)
		return
	}
	c.write(w, r, view{name: "login", title: "Sign in", bare: true, data: loginPage{Next: local(r.URL.Query().Get("next"), "")}})
}

func (c *console) login(w http.ResponseWriter, r *http.Request) {
	if c.doors.open() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := r.ParseForm(); err != nil {
		c.problem(w, r, http.StatusBadRequest, "Unreadable form", "The form could not be read.")
		return
	}
	next := local(r.PostForm.Get("next"), "/")
	switch c.doors.present(r, r.PostForm.Get("token")) {
	case admitted:
		c.doors.admit(w, r)
		c.log.Info("operator signed in", zap.String(model.FieldRemote, r.RemoteAddr))
		http.Redirect(w, r, next, http.StatusSeeOther)
	case throttled:
		c.tooMany(w, r)
	case refused:
		c.log.Warn("operator sign-in refused", zap.String(model.FieldRemote, r.RemoteAddr))
		c.write(w, r, view{name: "login", title: "Sign in", status: http.StatusUnauthorized, bare: true,
			data: loginPage{Next: local(r.PostForm.Get("next"), ""), Wrong: true}})
	}
}

func (c *console) logout(w http.ResponseWriter, r *http.Request) {
	c.doors.dismiss(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
