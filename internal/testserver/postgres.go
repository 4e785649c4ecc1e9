package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions say how the server is run.
type PostgresOptions struct {
	Durable bool // wait for the disk, as in production: for benchmarks
}

// PostgresServer is a private PostgreSQL: files in a temporary directory, a free port on loopback.
type PostgresServer struct {
	bin, dir string
	port     int
	durable  bool
	watch    io.Closer // the watchdog ends the server when this is closed, also when the test binary dies
	done     chan struct{}
	serial   atomic.Int64
}

// The one server all tests of a binary share; each test gets its own database in it.
var shared struct { //nolint:gochecknoglobals // one process, one server
	sync.Mutex
	server *PostgresServer
	err    error
	serial atomic.Int64
}

// Postgres returns the URL of an empty database of the test's own in a PostgreSQL that all tests of the binary share.
// With JMLD_TEST_POSTGRES set (a URL of a role that may create databases) that server is used instead.
func Postgres(tb testing.TB) string {
	tb.Helper()
	if dsn := os.Getenv("JMLD_TEST_POSTGRES"); dsn != "" {
		return database(tb, dsn, fmt.Sprintf("jmld_test_%d_%d", os.Getpid(), shared.serial.Add(1)))
	}
	shared.Lock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = startPostgres(PostgresOptions{})
	}
	server, err := shared.server, shared.err
	shared.Unlock()
	check(tb, err)
	return server.Database(tb)
}

// StartPostgres starts a server for this test alone, to be stopped and killed.
func StartPostgres(tb testing.TB, o PostgresOptions) *PostgresServer {
	tb.Helper()
	s, err := startPostgres(o)
	check(tb, err)
	tb.Cleanup(s.close)
	return s
}

var errNoPostgres = errors.New("no PostgreSQL binaries")

func check(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, errNoPostgres) {
		Missing(tb, "a PostgreSQL server (initdb, pg_ctl)", "postgresql")
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// URL of the server's own database.
func (s *PostgresServer) URL() string {
	return fmt.Sprintf("postgres://jmld@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Database makes an empty database and returns its URL.
func (s *PostgresServer) Database(tb testing.TB) string {
	tb.Helper()
	return database(tb, s.URL(), fmt.Sprintf("test_%d", s.serial.Add(1)))
}

// Stop ends the server as an administrator would: clients are cut off, what is committed is kept.
func (s *PostgresServer) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.ctl("-m", "fast", "stop"); err != nil {
		tb.Fatal(err)
	}
}

// Kill ends the server without a shutdown; the next Start recovers from its log.
func (s *PostgresServer) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.ctl("-m", "immediate", "stop"); err != nil {
		tb.Fatal(err)
	}
}

// Start starts it again on the same port.
func (s *PostgresServer) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

func database(tb testing.TB, server, name string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		tb.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func startPostgres(o PostgresOptions) (*PostgresServer, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		if path, err := exec.LookPath("initdb"); err == nil {
			found = []string{path}
		}
	}
	if len(found) == 0 {
		return nil, errNoPostgres
	}
	// Not tb.TempDir: the path of the socket is limited to 107 bytes, and user nobody must get there.
	dir, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{bin: filepath.Dir(found[len(found)-1]), dir: dir, durable: o.Durable, done: make(chan struct{})}
	if err := s.init(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	for try := 1; ; try++ { // somebody else may take the port that was free a moment ago
		if s.port, err = loopbackPort(); err == nil {
			err = s.start()
		}
		if err == nil {
			return s, nil
		}
		if try == 5 {
			s.close()
			return nil, err
		}
	}
}

func (s *PostgresServer) init() error {
	if os.Getuid() == 0 {
		uid, gid, err := nobody()
		if err != nil {
			return err
		}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.run("initdb", "-D", s.data(), "-U", "jmld", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"); err != nil {
		return err
	}
	// The watchdog reads a pipe that nobody writes to; it ends when this process does, however that happens.
	cmd := s.command("sh", "-c", `cat >/dev/null; "$0" -D "$1" -m immediate stop >/dev/null 2>&1; cd /; rm -rf "$2"`,
		filepath.Join(s.bin, "pg_ctl"), s.data(), s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.watch = pipe
	go func() {
		cmd.Wait() //nolint:errcheck // what it could not remove, close removes
		close(s.done)
	}()
	return nil
}

func (s *PostgresServer) close() {
	if s.watch != nil {
		s.watch.Close()
		<-s.done
	}
	os.RemoveAll(s.dir)
}

func (s *PostgresServer) start() error {
	options := fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1 -c max_connections=200 -c shared_buffers=64MB", s.port, s.dir)
	if !s.durable {
		options += " -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
	}
	return s.ctl("-t", "60", "-l", filepath.Join(s.dir, "log"), "-o", options, "start")
}

func (s *PostgresServer) ctl(args ...string) error {
	return s.run("pg_ctl", append([]string{"-D", s.data(), "-w"}, args...)...)
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

func (s *PostgresServer) run(name string, args ...string) error {
	// Output goes to a file: the server inherits it, and a pipe would stay open as long as it runs.
	out, err := os.CreateTemp("", "pgout")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := s.command(filepath.Join(s.bin, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name()) //nolint:errcheck // the error itself is reported
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return nil
}

// command runs as nobody when we are root: PostgreSQL refuses root.
func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	if os.Getuid() == 0 {
		if uid, gid, err := nobody(); err == nil {
			args = append([]string{"--reuid=" + strconv.Itoa(uid), "--regid=" + strconv.Itoa(gid), "--clear-groups", name}, args...)
			name = "setpriv"
		}
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "LC_ALL=C.UTF-8")
	return cmd
}

func nobody() (uid, gid int, err error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

func loopbackPort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
