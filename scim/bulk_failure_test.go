package scim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// trapped is a Pusher that calls trap before each write.
type trapped struct {
	scim.Pusher
	trap func(n int, p engine.Push) error
	n    atomic.Int32
}

func (p *trapped) Push(ctx context.Context, w engine.Push) (engine.Pushed, error) {
	if err := p.trap(int(p.n.Add(1)), w); err != nil {
		return engine.Pushed{}, err
	}
	return p.Pusher.Push(ctx, w)
}

// What goes wrong inside during one operation is answered by class in its result; the others are done.
func TestBulkGoesOnAfterFailuresInside(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Log = zap.New(core)
		o.Pusher = &trapped{Pusher: o.Pusher, trap: func(n int, _ engine.Push) error {
			switch n {
			case 2:
				panic("secret detail")
			case 3:
				return errors.New("secret detail")
			case 4:
				return fmt.Errorf("secret detail: %w", model.ErrUnavailable)
			}
			return nil
		}}
	})
	a := c.bulk(t, bulkOf(bulkUser("a", "a", ""), bulkUser("b", "b", ""), bulkUser("c", "c", ""), bulkUser("d", "d", ""), bulkUser("e", "e", "")),
		"POST a 201", "POST b 500", "POST c 500", "POST d 503", "POST e 201")
	if strings.Contains(a.String(), "secret") {
		t.Error(a)
	}
	if n := logs.FilterMessage("scim request could not be done").Len(); n != 3 {
		t.Errorf("%d failures are in the log", n)
	}
	line := logs.FilterMessage("scim request").All()[0].ContextMap()
	reason, _ := line["reason"].(string)
	if line["route"] != "/Bulk" || line["status"] != int64(200) || !strings.HasPrefix(reason, "3 of 5 operations were refused, the first because: An internal error") {
		t.Errorf("the log says %v", line)
	}
}

// A circle is undone when one of its resources cannot be made; one that cannot be undone is said to be there.
func TestBulkUndoesACircle(t *testing.T) {
	t.Parallel()
	ring := bulkOf(bulkUser("a", "a", `,"manager":"bulkId:b"`), bulkUser("b", "b", `,"manager":"bulkId:c"`), bulkUser("c", "c", `,"manager":"bulkId:a"`))
	for _, tt := range []struct {
		name   string
		trap   func(n int, p engine.Push) error
		want   []string
		people any
	}{
		{"the last one fails", func(n int, _ engine.Push) error {
			if n == 3 {
				return errors.New("no")
			}
			return nil
		}, []string{"POST a 409", "POST b 409", "POST c 500"}, 0.0},
		{"the last one breaks", func(n int, _ engine.Push) error {
			if n == 3 {
				panic("no")
			}
			return nil
		}, []string{"POST a 409", "POST b 409", "POST c 500"}, 0.0},
		{"the database goes away for good", func(n int, _ engine.Push) error {
			if n >= 3 {
				return model.ErrUnavailable
			}
			return nil
		}, []string{"POST a 503", "POST b 503", "POST c 503"}, 2.0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, sqlite(), func(o *scim.Options) { o.Pusher = &trapped{Pusher: o.Pusher, trap: tt.trap} })
			a := c.bulk(t, ring, tt.want...)
			if n := c.total(t, "/Users"); n != tt.people {
				t.Errorf("%v people", n)
			}
			for _, id := range []string{"a", "b"} {
				where, _ := a.at("Operations[bulkId=" + id + "].location").(string)
				if (where != "") != (tt.people != 0.0) {
					t.Errorf("%s is at %q", id, where)
				}
				if where != "" {
					c.must(t, "GET", strings.TrimPrefix(where, c.base), "", 200)
				}
			}
		})
	}
}

// What its data alone says cannot be made is seen before anything of the circle is: nobody joins and leaves for nothing.
func TestBulkChecksACircleBeforeItIsMade(t *testing.T) {
	t.Parallel()
	var writes atomic.Int32
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Pusher = &trapped{Pusher: o.Pusher, trap: func(int, engine.Push) error { writes.Add(1); return nil }}
	})
	c.bulk(t, bulkOf(bulkUser("a", "a", `,"manager":"bulkId:b"`), bulkUser("b", "b", `,"manager":"bulkId:a","active":"maybe"`)),
		"POST a 409", "POST b 400 invalidValue")
	if n := writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// When the time of the request is over, what is left is not begun and answered as that; a circle under way is undone.
func TestBulkEndsWithItsTime(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	const limit = 2 * time.Second
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Timeout, o.Log = limit, zap.New(core)
		o.Pusher = &trapped{Pusher: o.Pusher, trap: func(n int, _ engine.Push) error {
			if n == 3 {
				time.Sleep(limit + limit/2) // the timer of the request may fire late
			}
			return nil
		}}
	})
	c.bulk(t, bulkOf(bulkUser("x", "x", ""), bulkGroup("a", "A", "bulkId:b"), bulkGroup("b", "B", "bulkId:a"), bulkUser("y", "y", ""), bulkUser("z", "z", "")),
		"POST x 201", "POST a 409", "POST b 503", "POST y 503", "POST z 503")
	if n, m := c.total(t, "/Groups"), c.total(t, "/Users"); n != 0.0 || m != 1.0 {
		t.Errorf("%v groups, %v people", n, m)
	}
	if n := logs.FilterMessage("scim request could not be done").Len(); n != 1 {
		t.Errorf("%d failures are in the log", n)
	}
}

// Two bulk requests at once do not undo each other, on each database.
func TestBulksAtOnceAreAllDone(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			team := c.create(t, "/Groups", `{"displayName":"Team"}`)
			shared := c.create(t, "/Users", `{"userName":"shared"}`)
			const each = 15
			answers := make([]answer, 4)
			var wg sync.WaitGroup
			for n := range answers {
				var ops []string
				for i := range each {
					u := fmt.Sprintf("u%d", i)
					ops = append(ops,
						fmt.Sprintf(`{"method":"PATCH","path":"/Groups/%s","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:%s"}]}]}}`, team, u),
						bulkUser(u, fmt.Sprintf("bulk%d-%d", n, i), ""),
						fmt.Sprintf(`{"method":"PATCH","path":"/Users/%s","data":{"Operations":[{"op":"add","path":"emails","value":[{"value":"b%d-%d@example.org"}]}]}}`, shared, n, i))
				}
				ops = append(ops, bulkUser("one", "only-one", ""))
				wg.Go(func() {
					var err error
					if answers[n], err = c.send("POST", "/Bulk", http.Header{}, bulkOf(ops...)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			var members []string
			winners := 0
			for _, a := range answers {
				for i, o := range outcomes(t, a) {
					switch status := o[strings.LastIndexByte(o, ' ')+1:]; {
					case o == "POST one 409 uniqueness":
					case o == "POST one 201":
						winners++
					case status != "200" && status != "201":
						t.Errorf("operation %d: %s", i, o)
					}
				}
				for i := range each {
					members = append(members, made(a, fmt.Sprintf("u%d", i)))
				}
			}
			slices.Sort(members)
			if diff := cmp.Diff(members, c.memberIDs(t, team)); diff != "" || winners != 1 {
				t.Errorf("%d got the name: %s", winners, diff)
			}
			a := c.must(t, "GET", "/Users/"+shared, "", 200)
			if list, _ := a.at("emails").([]any); len(list) != len(answers)*each || a.header.Get("ETag") != fmt.Sprintf(`W/"%d"`, 1+len(list)) {
				t.Errorf("%d addresses: %v", len(list), a.header)
			}
		})
	}
}
