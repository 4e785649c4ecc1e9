package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"jmld/model"
)

// Options say which database, and how.
type Options struct {
	// URL is sqlite:PATH, postgres://…, or a libpq connection string ("host=… dbname=…").
	URL string
	// Password for PostgreSQL; it goes before one in the URL.
	Password string
	Log      *zap.Logger   // nil: silent
	Timeout  time.Duration // of one operation; 0: 30 s
	MaxConns int           // PostgreSQL: connections of this process; 0: 16
	// ReadyConns of them are opened at once and stay. The others come when they are needed, and whoever needs one waits for it, which is longest
	// when many come at the same time.
	ReadyConns int
	// Simulated: the clock is not the server's but stands still, for all processes, where SetClock put it last. For a database of its own.
	Simulated bool
	Empty     bool // ErrConflict for a database that has tables; nothing of it is changed
}

// Store is the database. Its methods may be called by several goroutines.
type Store struct {
	*dialect
	db      backend
	timeout time.Duration
	// Requests that look at many rows have few connections at a time, so that those that look one up find one free.
	searches, lists, streams *turns
	// What Load asks: about several, and about the person of one record.
	about, aboutOne about
	// unwritable: a write met a full disk or a database that is only read, and Ping has not found room since.
	unwritable atomic.Bool
	mostMarked int // see reviewOthers; tests mark fewer
}

// How many of them there are.
const (
	liteSearches = 2
	liteStreams  = 1
	// searchTimeout is how long one may keep a server busy.
	searchTimeout = 20 * time.Second
)

// backend runs statements on one of the databases.
type backend interface {
	// read runs ops on one snapshot, survey too, for statements that look at whole tables; write runs them in one
	// transaction, which is durable when it returns nil.
	read(ctx context.Context, ops []op) error
	// lookup is read for what finds a few rows by an index; each of ops hands them on.
	lookup(ctx context.Context, ops []op) error
	survey(ctx context.Context, ops []op) error
	// search is read for what may look at many rows, and is planned for what it is asked.
	search(ctx context.Context, ops []op) error
	write(ctx context.Context, ops []op) error
	// view and update do the same for GORM. fn may be called again.
	view(ctx context.Context, fn func(db *gorm.DB) error) error
	update(ctx context.Context, fn func(tx *gorm.DB) error) error
	ping(ctx context.Context) error
	close() error
}

// Open opens the database and brings its schema up to date. Several processes may do so at once.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxConns == 0 {
		o.MaxConns = 16
	}
	var db backend
	var err error
	path, lite := strings.CutPrefix(o.URL, "sqlite:")
	switch {
	case lite && path == "":
		err = fmt.Errorf("%w: sqlite: needs the path of a file", model.ErrInvalid)
	case lite:
		db, err = openLite(ctx, path, o)
	case strings.HasPrefix(o.URL, "postgres://"), strings.HasPrefix(o.URL, "postgresql://"), strings.Contains(o.URL, "="):
		db, err = openPostgres(ctx, o)
	default:
		err = fmt.Errorf("%w: a database is sqlite:PATH or postgres://…", model.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", classify(ctx, err))
	}
	searches, streams := liteSearches, liteStreams
	if !lite {
		searches = max(2, min(o.MaxConns/4, runtime.GOMAXPROCS(0)))
		streams = max(1, o.MaxConns/4) // they wait for those who read them
	}
	s := &Store{
		dialect: newDialect(lite, o.Simulated), db: db, timeout: o.Timeout,
		searches: newTurns(searches), streams: newTurns(streams), mostMarked: mostMarked,
	}
	s.lists = s.searches.shorter()
	s.about, s.aboutOne = s.asking(), s.askingOne()
	if o.Simulated {
		if err := s.addClock(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open database: %w", err), db.close())
		}
	}
	return s, nil
}

// Close waits for what is being written and closes the database.
func (s *Store) Close() error { return s.db.close() }

// Ping asks the database for a sign of life. Once a write was refused because the disk is full or the database read-only, it asks for a write
// until one succeeds, with some room to spare: the last free page is no sign that it can go on.
func (s *Store) Ping(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, min(s.timeout, 5*time.Second))
	defer cancel()
	if !s.unwritable.Load() {
		return classify(ctx, s.db.ping(limited))
	}
	const (
		name = "store.room"
		room = 256 << 10
		put  = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	)
	if err := s.write(limited, op{text: s.sql(put), args: []any{name, strings.Repeat("room", room/4)}}); err != nil {
		return err
	}
	if err := s.write(limited, op{text: s.sql("DELETE FROM settings WHERE name = $1"), args: []any{name}}); err != nil {
		return err // it is asked for again, and the next row takes the place of this one
	}
	s.unwritable.Store(false)
	return nil
}

// wrote notes that the database takes no writes.
func (s *Store) wrote(err error) error {
	if err != nil && takesNoWrites(err) {
		s.unwritable.Store(true)
	}
	return err
}

// within limits ctx, unless it ends sooner by itself.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= limit {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

func (s *Store) read(ctx context.Context, ops ...op) error {
	limited, cancel := within(ctx, s.timeout)
	defer cancel()
	printableArgs(ops)
	return classify(ctx, s.db.read(limited, ops))
}

func (s *Store) lookup(ctx context.Context, ops ...op) error {
	limited, cancel := within(ctx, s.timeout)
	defer cancel()
	printableArgs(ops)
	return classify(ctx, s.db.lookup(limited, ops))
}

// search is survey for what a client asks for: it is given up after a while.
func (s *Store) search(ctx context.Context, ops ...op) error {
	limit := s.timeout
	if !s.lite {
		limit = min(limit, searchTimeout)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	printableArgs(ops)
	return classify(ctx, s.db.search(limited, ops))
}

// stream is read without a limit of time, for answers as long as the database.
func (s *Store) stream(ctx context.Context, ops ...op) error {
	printableArgs(ops)
	return classify(ctx, s.db.survey(ctx, ops))
}

func (s *Store) survey(ctx context.Context, ops ...op) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	printableArgs(ops)
	return classify(ctx, s.db.survey(limited, ops))
}

func (s *Store) write(ctx context.Context, ops ...op) error {
	limited, cancel := within(ctx, s.timeout)
	defer cancel()
	printableArgs(ops)
	return s.wrote(classify(ctx, s.db.write(limited, ops)))
}

func (s *Store) view(ctx context.Context, fn func(db *gorm.DB) error) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return classify(ctx, s.db.view(limited, fn))
}

func (s *Store) update(ctx context.Context, fn func(tx *gorm.DB) error) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.wrote(classify(ctx, s.db.update(limited, fn)))
}

// gormConfig: transactions are ours, statements are cached by the driver, errors are classified from the driver's own.
func gormConfig() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
		NowFunc:                func() time.Time { return stamp(time.Now()) },
	}
}

// stamp is a time as both databases keep it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// first turns an answer without rows into ErrNotFound.
func first[T any](got []T, err error) (T, error) {
	var none T
	switch {
	case err != nil:
		return none, err
	case len(got) == 0:
		return none, model.ErrNotFound
	}
	return got[0], nil
}

var errClosed = fmt.Errorf("%w: %w", model.ErrUnavailable, errors.New("the store is closed"))
