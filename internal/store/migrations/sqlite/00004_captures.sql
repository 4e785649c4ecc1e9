-- +goose Up
-- What an operator captures of a source's traffic, redacted, on its way into a file. Both are empty when nobody does.
CREATE TABLE captures (
  id         text NOT NULL PRIMARY KEY,
  source     text NOT NULL,
  key        blob NOT NULL,
  actor      text NOT NULL,
  started_at datetime NOT NULL,
  seen_at    datetime NOT NULL,
  until      datetime NOT NULL
);
CREATE UNIQUE INDEX captures_source ON captures (source);

CREATE TABLE capture_lines (
  id      text NOT NULL PRIMARY KEY,
  capture text NOT NULL,
  text    text NOT NULL
);
CREATE INDEX capture_lines_capture ON capture_lines (capture, id);
