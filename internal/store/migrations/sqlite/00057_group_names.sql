-- +goose Up
-- In which order a group had its names: only the last ones are kept.
ALTER TABLE group_names ADD COLUMN number integer NOT NULL DEFAULT 0;
