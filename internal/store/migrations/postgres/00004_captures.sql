-- +goose Up
-- What an operator captures of a source's traffic, redacted, on its way into a file. Both are empty when nobody does.
CREATE TABLE captures (
  id         text COLLATE "C" NOT NULL PRIMARY KEY,
  source     text COLLATE "C" NOT NULL,
  key        bytea NOT NULL,
  actor      text NOT NULL,
  started_at timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL,
  until      timestamptz NOT NULL
);
CREATE UNIQUE INDEX captures_source ON captures (source);

CREATE TABLE capture_lines (
  id      text COLLATE "C" NOT NULL PRIMARY KEY,
  capture text COLLATE "C" NOT NULL,
  text    text NOT NULL
);
CREATE INDEX capture_lines_capture ON capture_lines (capture, id);
