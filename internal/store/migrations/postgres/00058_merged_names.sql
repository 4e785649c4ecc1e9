-- +goose Up
-- The user names that each of two people had before they were merged: a split gives them back.
ALTER TABLE merges ADD COLUMN names text NOT NULL DEFAULT '';
ALTER TABLE merges ALTER COLUMN names DROP DEFAULT;
-- Locked by whoever names an account's id in its target: two never name the same one.
INSERT INTO settings (name, value) VALUES ('native.lock', '');
