-- +goose Up
-- In which order a group had its names: only the last ones are kept.
ALTER TABLE group_names ADD COLUMN number bigint NOT NULL DEFAULT 0;
ALTER TABLE group_names ALTER COLUMN number DROP DEFAULT;
