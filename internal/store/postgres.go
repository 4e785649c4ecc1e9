package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"jmld/model"
)

// pgDB is PostgreSQL: one pool, with GORM on the same connections.
type pgDB struct {
	pool    *pgxpool.Pool
	sql     *sql.DB
	gorm    *gorm.DB
	lookups *lookups
}

// A statement nobody waits for any more is cancelled after a while in which most are done, sooner than a cancellation is, as that takes a
// process of the server, too; and where the server does not answer, the connection is closed.
const (
	cancelAfter  = 100 * time.Millisecond
	cancelWithin = 5 * time.Second
)

// A connection that lay long in the pool is asked for a sign of life first, and has this long to give it.
const (
	layLong    = time.Second
	signWithin = 3 * time.Second
)

func openPostgres(ctx context.Context, o Options) (*pgDB, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// pgx hides a password in the text; what else the URL holds is the operator's own
		return nil, fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	if o.Password != "" {
		config.ConnConfig.Password = o.Password
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	config.MaxConns = int32(max(o.MaxConns, 4)) // bringing the schema up to date takes three at once
	if o.ReadyConns > 0 {
		config.MinConns = min(int32(o.ReadyConns), config.MaxConns)
	}
	config.MaxConnIdleTime = 5 * time.Minute
	set := config.ConnConfig.RuntimeParams
	set["timezone"] = "UTC"
	set["statement_timeout"] = "60s"
	set["idle_in_transaction_session_timeout"] = "60s"
	if set["application_name"] == "" {
		set["application_name"] = "jmld"
	}
	// By itself pgx closes a connection in the middle of a statement whose client has gone: the statement runs on, its turn is free for
	// the next one, and a new connection costs a process, a login and all plans. A client that only asks and goes would keep the
	// server busy with that.
	config.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, CancelRequestDelay: cancelAfter, DeadlineDelay: cancelWithin}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// Compiling a recursive statement takes a second, running it a millisecond. And a statement that is prepared while
		// a table is nearly empty would go on reading all of it while the first import fills it. Statements are planned once: of
		// one with a list, a plan made for its length always looks cheaper, by less than making it costs. Other databases may
		// refuse the settings.
		for _, setting := range [...]string{"SET jit = off", "SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan"} {
			var refused *pgconn.PgError
			if _, err := conn.Exec(ctx, setting); err != nil && !errors.As(err, &refused) {
				return err
			}
		}
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	var pool *pgxpool.Pool
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		if p.IdleDuration < layLong || saysSomething(p.Conn) {
			return false
		}
		pool.Reset() // those beside it would say nothing, either, one after the other
		return true  // then the pool sees that it is closed, and takes another
	}
	pool, err = pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	db := &pgDB{pool: pool, sql: stdlib.OpenDBFromPool(pool)}
	db.lookups = &lookups{db: db, timeout: o.Timeout, most: max(2, runtime.GOMAXPROCS(0)), patience: time.Second}
	db.sql.SetMaxIdleConns(0) // the pool keeps them
	if o.Empty {
		const tables = "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false)))"
		if err := isEmpty(ctx, db.sql, tables); err != nil {
			return nil, errors.Join(err, db.close())
		}
	}
	if err := migratePostgres(ctx, db.sql); err != nil {
		return nil, errors.Join(err, db.close())
	}
	if db.gorm, err = gorm.Open(postgres.New(postgres.Config{Conn: db.sql}), gormConfig()); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

// read repeats once what a connection that died in the pool could not answer.
func (db *pgDB) read(ctx context.Context, ops []op) error {
	started := watch(ops)
	err := db.batch(ctx, ops)
	if db.broken(ctx, err) && !*started {
		err = db.batch(ctx, ops)
	}
	return err
}

func (db *pgDB) lookup(ctx context.Context, ops []op) error { return db.lookups.read(ctx, ops) }

// wide lets the statements of a transaction read whole tables, and has them planned for what they are asked.
const wide = "SELECT set_config('enable_seqscan', 'on', true), set_config('plan_cache_mode', 'auto', true)"

func (db *pgDB) survey(ctx context.Context, ops []op) error {
	all := make([]op, 0, len(ops)+3)
	all = append(all, op{text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}, op{text: wide})
	return db.read(ctx, append(append(all, ops...), op{text: "COMMIT"}))
}

// search leaves the tables to their indexes: more than enough of what it asks for is said in the text.
func (db *pgDB) search(ctx context.Context, ops []op) error {
	all := make([]op, 0, len(ops)+3)
	all = append(all, op{text: "BEGIN READ ONLY"}, op{text: "SET LOCAL plan_cache_mode = auto"})
	return db.read(ctx, append(append(all, ops...), op{text: "COMMIT"}))
}

// write repeats what certainly did not happen: what did not reach the server, and what it gave up for the sake of another
// transaction.
func (db *pgDB) write(ctx context.Context, ops []op) error {
	started := watch(ops)
	return again(ctx, func() (bool, error) {
		err := db.batch(ctx, ops)
		return (db.broken(ctx, err) && pgconn.SafeToRetry(err) || givenUp(err)) && !*started, err
	})
}

// watch notes whether a row was handed on: then the caller must not see it again.
func watch(ops []op) *bool {
	started := new(bool)
	for i := range ops {
		if each := ops[i].each; each != nil {
			ops[i].each = func(row scanner) error {
				*started = true
				return each(row)
			}
		}
	}
	return started
}

// givenUp reports a transaction that the server undid because of others: a deadlock, or, where the database is
// serializable, a conflict.
func givenUp(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// again repeats try while it says so, a few times.
func again(ctx context.Context, try func() (repeat bool, err error)) error {
	const most = 5
	for n := 1; ; n++ {
		repeat, err := try()
		if !repeat || n == most {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(n) * (2*time.Millisecond + rand.N(4*time.Millisecond))):
		}
	}
}

// broken reports a connection that died while it lay in the pool. The others will have died with it: they are let go.
func (db *pgDB) broken(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	if errors.As(err, &pg) {
		if pg.Code != "57P01" { // terminated by an administrator
			return false
		}
	} else if errors.As(err, &connect) || !lost(err) {
		return false
	}
	db.pool.Reset()
	return true
}

// batch sends all statements in one round trip. Without BEGIN the server runs them as one transaction.
func (db *pgDB) batch(ctx context.Context, ops []op) (err error) {
	if len(ops) == 1 {
		return db.single(ctx, &ops[0])
	}
	b := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(ops))}
	for i := range ops {
		b.Queue(ops[i].text, ops[i].args...)
	}
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer giveBack(ctx, conn)
	results := conn.SendBatch(ctx, b)
	defer func() {
		if e := results.Close(); err == nil {
			err = e
		}
	}()
	for i := range ops {
		if ops[i].each == nil {
			if _, err := results.Exec(); err != nil {
				return err
			}
			continue
		}
		rows, err := results.Query()
		if err := drain(rows, err, ops[i].each); err != nil {
			return err
		}
	}
	return nil
}

// saysSomething closes a connection that does not. With the end of a context it would be given time to cancel what it is asked for.
func saysSomething(conn *pgx.Conn) bool {
	c := conn.PgConn().Conn()
	err := c.SetDeadline(time.Now().Add(signWithin))
	if err == nil {
		err = conn.Ping(context.Background())
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		c.Close()
	}
	return err == nil
}

// giveBack ends a transaction that failed or was cancelled: the pool would close the connection.
func giveBack(ctx context.Context, conn *pgxpool.Conn) {
	defer conn.Release()
	if conn.Conn().PgConn().TxStatus() != 'E' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
	defer cancel()
	_, _ = conn.Exec(ctx, "ROLLBACK") // where that fails, the pool does close it
}

func (db *pgDB) single(ctx context.Context, o *op) error {
	if o.each == nil {
		_, err := db.pool.Exec(ctx, o.text, o.args...)
		return err
	}
	rows, err := db.pool.Query(ctx, o.text, o.args...)
	return drain(rows, err, o.each)
}

func drain(rows pgx.Rows, err error, each func(scanner) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	row := scanner(pgRow{rows})
	for rows.Next() {
		if err := each(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (db *pgDB) view(ctx context.Context, fn func(*gorm.DB) error) error {
	look := func() error {
		return db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec(wide).Error; err != nil {
				return err
			}
			return fn(tx)
		}, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	}
	err := look()
	if db.broken(ctx, err) {
		err = look()
	}
	return err
}

func (db *pgDB) update(ctx context.Context, fn func(*gorm.DB) error) error {
	return again(ctx, func() (bool, error) {
		err := db.gorm.WithContext(ctx).Transaction(fn)
		return db.broken(ctx, err) && pgconn.SafeToRetry(err) || givenUp(err), err
	})
}

func (db *pgDB) ping(ctx context.Context) error { return db.pool.Ping(ctx) }

func (db *pgDB) close() error {
	err := db.sql.Close()
	db.pool.Close()
	return err
}
