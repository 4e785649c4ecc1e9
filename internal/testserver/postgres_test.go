package testserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jmld/internal/testserver"
)

func TestPostgresGivesEachTestADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		conn, err := pgx.Connect(ctx, testserver.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(ctx, "CREATE TABLE one (id integer)"); err != nil {
			t.Error(err)
		}
		conn.Close(ctx)
	}
}

func TestPostgresCanBeStoppedAndKilledAndComesBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
	for _, end := range []func(testing.TB){server.Stop, server.Kill} {
		end(t)
		if conn, err := pgx.Connect(ctx, server.URL()); err == nil {
			conn.Close(ctx)
			t.Fatal("still there")
		}
		server.Start(t)
		conn, err := pgx.Connect(ctx, server.URL())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close(ctx)
	}
}
