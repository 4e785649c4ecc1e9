-- +goose Up
-- What a person decided about whom a record is; it outlives the record.
CREATE TABLE rulings (
  source      text COLLATE "C" NOT NULL,
  record_id   text COLLATE "C" NOT NULL,
  kind        text COLLATE "C" NOT NULL,
  identity_id text COLLATE "C" NOT NULL,
  keys        text NOT NULL,
  actor       text NOT NULL,
  reason      text NOT NULL,
  at          timestamptz NOT NULL,
  PRIMARY KEY (source, record_id)
);
CREATE INDEX rulings_identity ON rulings (identity_id) WHERE identity_id <> '';

-- Identities that were found to be another one, with what they brought along.
CREATE TABLE merges (
  identity_id text COLLATE "C" NOT NULL PRIMARY KEY,
  into_id     text COLLATE "C" NOT NULL,
  records     text NOT NULL,
  keys        text NOT NULL,
  accounts    text NOT NULL,
  actor       text NOT NULL,
  reason      text NOT NULL,
  at          timestamptz NOT NULL
);
CREATE INDEX merges_into ON merges (into_id);

-- The correlation keys of records that are nobody's, with whose they were when that was decided.
CREATE TABLE waits (
  source      text COLLATE "C" NOT NULL,
  record_id   text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  value       text COLLATE "C" NOT NULL,
  identity_id text COLLATE "C" NOT NULL,
  version     bigint NOT NULL,
  PRIMARY KEY (source, record_id, name, value)
);

-- Records that are nobody's: the queue.
CREATE INDEX records_unlinked ON records (link, source, id) WHERE link IN ('disputed', 'unmatched', 'ignored');
