-- +goose Up
-- Which dialects of SCIM the clients of a source speak, and what was read differently from how it was written.
CREATE TABLE dialect_uses (
  source     text NOT NULL,
  dialect    text NOT NULL,
  note       text NOT NULL,
  requests   integer NOT NULL,
  first_at   datetime NOT NULL,
  last_at    datetime NOT NULL,
  request_id text NOT NULL,
  record_id  text NOT NULL,
  PRIMARY KEY (source, dialect, note)
);
