-- +goose Up
-- Up to where a directory was read, and what the configuration listed then.
CREATE TABLE checkpoints (
  source     text NOT NULL PRIMARY KEY,
  profile    text NOT NULL,
  mark       text NOT NULL,
  run_id     text NOT NULL,
  updated_at datetime NOT NULL
);
