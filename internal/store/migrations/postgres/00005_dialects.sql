-- +goose Up
-- Which dialects of SCIM the clients of a source speak, and what was read differently from how it was written.
CREATE TABLE dialect_uses (
  source     text COLLATE "C" NOT NULL,
  dialect    text COLLATE "C" NOT NULL,
  note       text COLLATE "C" NOT NULL,
  requests   bigint NOT NULL,
  first_at   timestamptz NOT NULL,
  last_at    timestamptz NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  record_id  text COLLATE "C" NOT NULL,
  PRIMARY KEY (source, dialect, note)
);
