package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// memoryPart measures the memory of a read of very many people who are all known. The directory is a scripted server: it makes the
// entries as it sends them, so that the machine needs no memory for a directory.
func memoryPart(ctx context.Context, b *bench, people int) error {
	return with(func(t *tb) error {
		server, err := serveMany(people)
		if err != nil {
			return err
		}
		defer server.Close()
		url := "ldap://" + server.Addr().String()
		pg := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
		for _, db := range []struct {
			key, name, url string
			writes         func(ctx context.Context, url string) (func() (int64, error), error)
		}{{"postgres", "PostgreSQL", pg.Database(t), pgWrites}, {"sqlite", "SQLite", "sqlite:" + filepath.Join(t.TempDir(), "jmld.db"), liteWrites}} {
			if !strings.Contains(b.scim.databases, db.key) {
				continue
			}
			start := time.Now()
			if err := remember(ctx, url, db.url); err != nil {
				return fmt.Errorf("%s: prepare: %w", db.name, err)
			}
			b.say("%s: %d records prepared in %.0f s", db.name, people, time.Since(start).Seconds())
			count, err := db.writes(ctx, db.url)
			if err != nil {
				return err
			}
			got, err := childRead(ctx, url, db.url)
			if err != nil {
				return fmt.Errorf("%s: %w", db.name, err)
			}
			rows, err := count()
			if err != nil {
				return err
			}
			b.say("%s, unchanged: %s", db.name, got)
			if rows != 0 || got.Funnel.Unchanged != people {
				return fmt.Errorf("%s: %d rows written and %d entries unchanged, want 0 and %d", db.name, rows, got.Funnel.Unchanged, people)
			}
			mib := float64(got.PeakKiB) / 1024
			f := figure{
				Name: fmt.Sprintf("ldap peak memory of a read of %d people unchanged, %s", people, db.name), Value: mib, Unit: "MiB", RowsWrites: &rows,
				Note: fmt.Sprintf("from a scripted server; %.1f s, %s; %.1f µs and %.1f allocations an entry", got.Seconds, got.where(),
					got.CPU*1e6/float64(people), float64(got.Allocs)/float64(people)),
			}
			b.figures = append(b.figures, f.atMost("128", mib, 128))
		}
		return nil
	})
}

// remember reads the directory once and stores nothing but records: what a read is compared with.
func remember(ctx context.Context, ldapURL, dbURL string) (err error) {
	db, err := store.Open(ctx, store.Options{URL: dbURL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	source, err := directory(ldapURL)
	if err != nil {
		return err
	}
	now := time.Now()
	c := &engine.Commit{}
	flush := func() error {
		err := db.Commit(ctx, c)
		c.Records = c.Records[:0]
		return err
	}
	_, err = source.Read(ctx, func(en model.Entry) error {
		r := en.Record
		r.Link, r.IdentityID, r.Version, r.CreatedAt, r.UpdatedAt = model.Linked, model.NewID(now), 1, now, now
		if c.Records = append(c.Records, engine.Write{New: &r}); len(c.Records) < 1000 {
			return nil
		}
		return flush()
	})
	return errors.Join(err, flush())
}

// serveMany answers binds, reads of base entries, and paged searches for people; of groups there are none.
func serveMany(people int) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer conn.Close()
				s := scripted{r: bufio.NewReader(conn), w: bufio.NewWriterSize(conn, 1<<16), people: people}
				for s.answer() == nil {
				}
			}()
		}
	}()
	return l, nil
}

type scripted struct {
	r      *bufio.Reader
	w      *bufio.Writer
	people int
}

// answer answers one request. Any error ends the connection.
func (s *scripted) answer() error {
	p, err := ber.ReadPacket(s.r)
	if err != nil {
		return err
	}
	if len(p.Children) < 2 {
		return errors.New("no request")
	}
	id, _ := p.Children[0].Value.(int64)
	op := p.Children[1]
	switch op.Tag {
	case ldap.ApplicationBindRequest:
		s.send(id, result(ldap.ApplicationBindResponse), nil)
	case ldap.ApplicationExtendedRequest:
		s.send(id, result(ldap.ApplicationExtendedResponse, ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, "dn:"+testserver.SyncDN, "")), nil)
	case ldap.ApplicationSearchRequest:
		if err := s.search(id, op, p.Children[2:]); err != nil {
			return err
		}
	default:
		return errors.New("not in the script")
	}
	return s.w.Flush()
}

func (s *scripted) search(id int64, op *ber.Packet, controls []*ber.Packet) error {
	if len(op.Children) < 8 {
		return errors.New("no search")
	}
	base := op.Children[0].Data.String()
	var attrs []string
	for _, a := range op.Children[7].Children {
		attrs = append(attrs, a.Data.String())
	}
	if scope, _ := op.Children[1].Value.(int64); scope == ldap.ScopeBaseObject {
		s.send(id, found(base, attrs, map[string]string{"entryUUID": "10000000-0000-4000-8000-" + fmt.Sprintf("%012x", len(base))}), nil)
		s.send(id, result(ldap.ApplicationSearchResultDone), nil)
		return nil
	}
	at, size := 0, 1000
	for _, list := range controls {
		for _, c := range list.Children {
			decoded, err := ldap.DecodeControl(c)
			if err != nil {
				return err
			}
			if paging, ok := decoded.(*ldap.ControlPaging); ok {
				size = int(paging.PagingSize)
				at, _ = strconv.Atoi(string(paging.Cookie)) // none: from the beginning
			}
		}
	}
	end := min(at+size, s.people)
	if !strings.EqualFold(base, testserver.PeopleBase) {
		at, end = 0, 0
	}
	for i := at; i < end; i++ {
		name := fmt.Sprintf("u%07d", i)
		s.send(id, found("uid="+name+","+testserver.PeopleBase, attrs, map[string]string{
			"entryUUID": testserver.UserID(i), "uid": name, "cn": "Ada Abbott", "displayName": "Ada Abbott", "givenName": "Ada", "sn": "Abbott",
			"mail": name + "@example.org", "employeeNumber": strconv.Itoa(100000 + i), "title": "Engineer", "telephoneNumber": "+49 30 5550 " + name,
			"manager": fmt.Sprintf("uid=u%07d,%s", i*7%s.people, testserver.PeopleBase),
		}), nil)
	}
	paging := ldap.NewControlPaging(0)
	if end < s.people && end > at {
		paging.SetCookie([]byte(strconv.Itoa(end)))
	}
	list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	list.AppendChild(paging.Encode())
	s.send(id, result(ldap.ApplicationSearchResultDone), list)
	return nil
}

func (s *scripted) send(id int64, op, controls *ber.Packet) {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(op)
	if controls != nil {
		m.AppendChild(controls)
	}
	s.w.Write(m.Bytes()) //nolint:errcheck // Flush says so
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// result is success.
func result(tag ber.Tag, more ...*ber.Packet) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, 0, ""))
	op.AppendChild(text(""))
	op.AppendChild(text(""))
	for _, m := range more {
		op.AppendChild(m)
	}
	return op
}

// found is an entry with those of the attributes that are asked for.
func found(dn string, asked []string, values map[string]string) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(text(dn))
	list := ber.NewSequence("")
	for _, name := range slices.Compact(slices.Sorted(slices.Values(asked))) {
		value, ok := values[name]
		if !ok {
			continue
		}
		a := ber.NewSequence("")
		a.AppendChild(text(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		set.AppendChild(text(value))
		a.AppendChild(set)
		list.AppendChild(a)
	}
	op.AppendChild(list)
	return op
}
