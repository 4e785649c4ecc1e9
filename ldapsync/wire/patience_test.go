package wire

import (
	"cmp"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// A nap lasts as long as a handful took so far, or what is left of the page, and there is none where nothing is gained by it.
func TestANapIsAsLongAsAHandfulTakes(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		page, entries, reads, size, last int // entries read of a page that came in so many reads; the last one may be another's size
		took                             time.Duration
		want                             time.Duration
	}{
		"a handful at its pace":               {page: 1000, entries: 100, reads: 101, size: 400, took: 1 * ms, want: 1 * ms * handful / 40_000},
		"no longer than the longest":          {page: 1000, entries: 100, reads: 101, size: 400, took: 10 * ms, want: longestNap},
		"most of what is left":                {page: 200, entries: 100, reads: 101, size: 400, took: 1 * ms, want: 1 * ms * (40_400 - 40_400/8) / 40_000},
		"nothing left but the end":            {page: 100, entries: 100, reads: 101, size: 400, took: 1 * ms},
		"hardly anything left":                {page: 103, entries: 100, reads: 101, size: 400, took: 1 * ms},
		"more than was expected":              {page: 100, entries: 120, reads: 121, size: 400, took: 1 * ms},
		"no page":                             {entries: 100, reads: 101, size: 400, took: 1 * ms},
		"a few small pieces":                  {page: 1000, entries: 10, reads: fewSmall, size: 400, took: 1 * ms},
		"much at once":                        {page: 1000, entries: 500, reads: 50, size: little, took: 10 * ms},
		"there is more than was room for":     {page: 1000, entries: 500, reads: 101, size: 400, last: bufferSize, took: 1 * ms},
		"nothing was decoded so far":          {page: 1000, reads: 101, size: 400, took: 1 * ms},
		"all at the very moment of the first": {page: 1000, entries: 100, reads: 101, size: 400},
	} {
		var p pace
		p.page, p.entries = tc.page, tc.entries
		for range tc.reads {
			p.came(start, tc.size, bufferSize)
		}
		if tc.last > 0 {
			p.came(start, tc.last, bufferSize)
		}
		if got := p.nap(start.Add(tc.took)); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// An answer is measured anew; only that the one before came little by little is kept.
func TestEachAnswerHasItsPace(t *testing.T) {
	t.Parallel()
	for reads, want := range map[int]int{0: 0, 1: 0, fewSmall: 0, fewSmall + 1: fewSmall - 1, 1000: fewSmall - 1} {
		p := pace{page: 10, entries: 7}
		for range reads {
			p.came(time.Unix(1_000_000, 0), 1, bufferSize)
		}
		if p.restart(); p != (pace{small: want}) {
			t.Errorf("after %d small reads: %+v, want %d", reads, p, want)
		}
	}
}

// While the kernel keeps quiet, whatever comes is read all the same, and an end or a silence is noticed.
func TestAServerThatTricklesIsReadToTheEnd(t *testing.T) {
	t.Parallel()
	const page, trickle = 1000, 60
	for name, tc := range map[string]struct {
		then func(conn net.Conn, entry, done []byte) error
		want int
		err  string
		idle time.Duration // 0: longer than any machine is busy
	}{
		"all of it": {want: trickle + 2, then: func(conn net.Conn, entry, done []byte) error {
			for _, part := range [][]byte{entry[:1], entry[1:9], entry[9:], append(entry, done...)} {
				time.Sleep(2 * longestNap)
				if _, err := conn.Write(part); err != nil {
					return err
				}
			}
			return nil
		}},
		"an end in an entry": {want: trickle, err: "the server ended the connection", then: func(conn net.Conn, entry, _ []byte) error {
			_, err := conn.Write(entry[:9])
			conn.Close()
			return err
		}},
		"an end between entries": {want: trickle, err: "the server ended the connection", then: func(conn net.Conn, _, _ []byte) error { return conn.Close() }},
		"a silence":              {want: trickle, err: "the server was silent for 3s", idle: 3 * time.Second, then: func(net.Conn, []byte, []byte) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			read, over, served := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					served <- err
					return
				}
				t.Cleanup(func() { conn.Close() })
				go func() { _, _ = io.Copy(io.Discard, conn) }() // a request that is not read resets the connection at its end
				for range trickle {                              // the next one when that one was read
					time.Sleep(time.Millisecond)
					if _, err := conn.Write(foundOne()); err != nil {
						served <- err
						return
					}
					select {
					case <-read:
					case <-over:
						served <- nil
						return
					}
				}
				served <- tc.then(conn, foundOne(), done())
			}()
			raw, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c := New(raw, raw, cmp.Or(tc.idle, time.Minute))
			t.Cleanup(c.Close)
			n, quiet := 0, false
			_, err = c.Search(Search{Base: "dc=example,dc=org", Scope: 2, Filter: "(cn=*)", PageSize: page}, func(*Entry) error {
				if n++; n <= trickle {
					read <- struct{}{}
				}
				quiet = quiet || c.quiet
				return nil
			})
			close(over)
			if e := <-served; e != nil {
				t.Fatal(e)
			}
			if n != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%d entries, %v; want %d and %q", n, err, tc.want, tc.err)
			}
			if runtime.GOOS == "linux" && !quiet {
				t.Error("the kernel was never asked to keep quiet")
			}
		})
	}
}

// foundOne is a message with an entry, in answer to the first request.
func foundOne() []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(octets("cn=Ada Abbott,ou=people,dc=example,dc=org"))
	op.AppendChild(ber.NewSequence(""))
	return envelope(1, op).Bytes()
}

// done is a message with success, in answer to the first request.
func done() []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultDone, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, 0, ""))
	op.AppendChild(octets(""))
	op.AppendChild(octets(""))
	return envelope(1, op).Bytes()
}
