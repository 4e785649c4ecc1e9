package sampleapp

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Faults are ways to misbehave, each seen at some real service provider. The zero value behaves.
type Faults struct {
	Status      int           // answer every request with this status and a SCIM error
	Detail      string        // of that error; the token in it is what a careless app would echo
	RetryAfter  string        // header sent with Status
	Only        string        // misbehave on this method only; "": on all
	Drop        bool          // close the connection without an answer
	HTML        bool          // answer 200 with a web page, as a login proxy does
	Redirect    string        // answer 302 to this address
	Broken      bool          // answer 200 with text that is not JSON
	Huge        int           // answer 200 with a JSON document of so many bytes
	Slow        time.Duration // wait before answering; a client that goes away ends it
	NoConfig    bool          // no ServiceProviderConfig
	NoPatch     bool          // PATCH is not implemented and not offered
	PatchLie    bool          // PATCH is offered and not implemented
	NoPut       bool          // PUT is not implemented
	LieActive   bool          // changes of active are accepted and not made
	LieDelete   bool          // DELETE answers 204 and deactivates
	IgnoreQuery bool          // filter and paging are ignored: all users in one answer
	NoFilter    string        // refuse filters on this attribute with invalidFilter; "*": on every one
	PutActive   bool          // a PUT without active deactivates, and a PUT on an inactive user answers 500 (seen in a low-code platform)
	Twins       bool          // two users may have one userName
	Drip        bool          // send the head of the answer and then nothing
	LoseAnswer  bool          // do what a write asks and close the connection
	PageSize    int           // no answer lists more; 0: 100
	WrongTotal  int           // added to totalResults
}

// applies says whether the request is one to misbehave on.
func (f *Faults) applies(r *http.Request) bool { return f.Only == "" || f.Only == r.Method }

// answer misbehaves on the wire; done is false when the request is to be served after all.
func (f *Faults) answer(w http.ResponseWriter, r *http.Request) (done bool) {
	if !f.applies(r) {
		return false
	}
	if f.Slow > 0 {
		select {
		case <-time.After(f.Slow):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Redirect != "":
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(http.StatusFound)
	case f.HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "<!doctype html><title>Sign in</title><p>Please sign in.")
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		writeError(w, scimError{f.Status, "", f.Detail})
	case f.Broken:
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, `{"schemas": [`)
	case f.Drip:
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, `{"id":`)
		http.NewResponseController(w).Flush() //nolint:errcheck // then the client waits for nothing at all
		<-r.Context().Done()
	case f.Huge > 0:
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, `{"detail":"`)
		chunk := strings.Repeat("x", 64<<10)
		for n := 0; n < f.Huge; n += len(chunk) {
			if _, err := fmt.Fprint(w, chunk); err != nil {
				return true
			}
		}
		fmt.Fprint(w, `"}`)
	default:
		return false
	}
	return true
}
