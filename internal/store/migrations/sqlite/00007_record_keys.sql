-- +goose Up
-- Values that one record alone of its source and kind may have, of attributes that were declared so.
CREATE TABLE record_keys (
  source    text NOT NULL,
  kind      text NOT NULL,
  attr      text NOT NULL,
  value     text NOT NULL,
  record_id text NOT NULL,
  PRIMARY KEY (source, kind, attr, value)
) WITHOUT ROWID;
CREATE INDEX record_keys_record ON record_keys (source, record_id);
