-- +goose Up
-- Values that one record alone of its source and kind may have, of attributes that were declared so.
CREATE TABLE record_keys (
  source    text COLLATE "C" NOT NULL,
  kind      text COLLATE "C" NOT NULL,
  attr      text COLLATE "C" NOT NULL,
  value     text COLLATE "C" NOT NULL,
  record_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (source, kind, attr, value)
);
CREATE INDEX record_keys_record ON record_keys (source, record_id);
