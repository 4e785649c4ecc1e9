-- +goose Up
-- What the processes agree on beside the data: today the fingerprint of the rules that decided last.
CREATE TABLE settings (
  name  text NOT NULL PRIMARY KEY,
  value text NOT NULL
);
