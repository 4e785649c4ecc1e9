package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"jmld/internal/sampleapp"
)

const appSecret = "app-secret"

// countedApp is the sample app with a count of the accounts it was asked to create.
type countedApp struct {
	*sampleapp.App
	url string

	mu      sync.Mutex
	created map[string]int // by userName: POST that succeeded
	delay   func(r *http.Request)
}

func newApp(t *testing.T) *countedApp {
	t.Helper()
	app, err := sampleapp.Open("", appSecret)
	if err != nil {
		t.Fatal(err)
	}
	c := &countedApp{App: app, created: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(server.Close)
	c.url = server.URL + "/scim/v2"
	return c
}

func (c *countedApp) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	delay := c.delay
	c.mu.Unlock()
	if delay != nil {
		delay(r)
	}
	if r.Method != http.MethodPost {
		c.App.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	c.App.ServeHTTP(rec, r)
	if rec.Code == http.StatusCreated {
		var u appUser
		if json.Unmarshal(rec.Body.Bytes(), &u) == nil {
			c.mu.Lock()
			c.created[u.UserName]++
			c.mu.Unlock()
		}
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()) // the client may be killed
}

type appUser struct {
	ID          string `json:"id"`
	UserName    string `json:"userName"`
	ExternalID  string `json:"externalId"`
	DisplayName string `json:"displayName"`
	Active      bool   `json:"active"`
}

// users lists everybody in the app, by userName; two with the same name fail the test.
func (c *countedApp) users(t *testing.T) map[string]appUser {
	t.Helper()
	out := map[string]appUser{}
	for start := 1; ; {
		req := httptest.NewRequest(http.MethodGet, "/scim/v2/Users?count=100&startIndex="+itoa(start), nil)
		req.Header.Set("Authorization", "Bearer "+appSecret)
		rec := httptest.NewRecorder()
		c.App.ServeHTTP(rec, req)
		var page struct {
			Total     int       `json:"totalResults"`
			Resources []appUser `json:"Resources"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("list the app's users: %d %s", rec.Code, rec.Body)
		}
		for _, u := range page.Resources {
			key := strings.ToLower(u.UserName)
			if other, twice := out[key]; twice && other.ID != u.ID {
				t.Errorf("the app has two accounts %s", u.UserName)
			}
			out[key] = u
		}
		start += len(page.Resources)
		if len(page.Resources) == 0 || start > page.Total {
			return out
		}
	}
}

// createdOnce fails the test when an account was created twice, and returns how many were created.
func (c *countedApp) createdOnce(t *testing.T) int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, n := range c.created {
		if n != 1 {
			t.Errorf("the app was made to create %s %d times", name, n)
		}
	}
	return len(c.created)
}
