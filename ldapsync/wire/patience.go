package wire

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"time"
)

const bufferSize = 64 << 10

// A server sends each entry by itself, and to be woken for each costs more than to read it. Where little of an answer came at once, patient
// naps until a handful will have come, or most of what is left of the page: the server goes on meanwhile.
const (
	little      = 8 << 10  // bytes
	handful     = 48 << 10 // bytes
	shortestNap = 100 * time.Microsecond
	longestNap  = 5 * time.Millisecond
	fewSmall    = 16
)

// pace is how an answer comes in.
type pace struct {
	page, entries int       // expected, and read so far
	small         int       // how often little came at once
	full          bool      // as much came last as there was room for
	since         time.Time // when the first came
	first, got    int64     // bytes that came then, and in all
}

// restart begins with another answer. A server that sent the last one little by little is expected to go on like that.
func (p *pace) restart() {
	small := 0
	if p.small > fewSmall {
		small = fewSmall - 1
	}
	*p = pace{small: small}
}

// came notes how much a read gave that had room for so much.
func (p *pace) came(now time.Time, n, room int) {
	if p.got == 0 {
		p.since, p.first = now, int64(n)
	}
	if n < little {
		p.small++
	}
	p.got, p.full = p.got+int64(n), n == room
}

// nap is how long to wait; 0: for whatever comes next.
func (p *pace) nap(now time.Time) time.Duration {
	left, later := int64(p.page-p.entries), p.got-p.first
	if p.small <= fewSmall || p.full || left <= 0 || p.entries == 0 || later == 0 {
		return 0
	}
	left = left * p.got / int64(p.entries) // in bytes
	left -= left / 8                       // the end of the page is not to be missed
	wait := now.Sub(p.since) * time.Duration(min(handful, left)) / time.Duration(later)
	if wait < shortestNap {
		return 0
	}
	return min(wait, longestNap)
}

// patient reads with a deadline that begins when there is nothing to read.
type patient struct{ c *Conn }

func (p patient) Read(b []byte) (n int, err error) {
	if p.c.tls {
		n, err = p.c.wait(b)
	} else {
		n, err = p.c.fill(b, p.c.wait)
	}
	p.c.size += int64(n)
	return n, err
}

func (c *Conn) wait(b []byte) (int, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	n, err := c.conn.Read(b)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		err = fmt.Errorf("the server was silent for %s: %w", c.idle, err)
	}
	return n, err
}

// fill reads from the kernel, by read where that means to wait.
func (c *Conn) fill(b []byte, read func([]byte) (int, error)) (n int, err error) {
	if d := c.pace.nap(time.Now()); d > 0 {
		if !c.quiet && c.tcp != nil {
			c.quiet = wakeAt(c.tcp, bufferSize)
		}
		sleep(d)
	}
	if c.quiet {
		n = readNow(c.tcp, b)
	}
	if n == 0 {
		if c.quiet { // whatever comes is waited for
			wakeAt(c.tcp, 1)
			c.quiet = false
		}
		n, err = read(b)
	}
	c.pace.came(time.Now(), n, len(b))
	return n, err
}

// Buffered is the TCP connection below TLS, which asks for a record or a part of it at a time, and has an entry in each: the kernel is asked
// for as much as there is.
type Buffered struct {
	net.Conn
	r *bufio.Reader
	c *Conn // that reads from it, after the handshake
}

// NewBuffered is to be given to TLS in place of the TCP connection.
func NewBuffered(raw net.Conn) *Buffered {
	b := &Buffered{Conn: raw}
	b.r = bufio.NewReaderSize(readerFunc(b.fill), bufferSize)
	return b
}

// Read returns what there is.
func (b *Buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func (b *Buffered) fill(p []byte) (int, error) {
	if b.c == nil {
		return b.Conn.Read(p)
	}
	return b.c.fill(p, b.Conn.Read)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
