-- +goose Up
-- How often a complete read did not find the record, and since when: it counts as absent only after several, over a day.
ALTER TABLE records ADD COLUMN missing_runs bigint NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN missing_since timestamptz;
ALTER TABLE records ALTER COLUMN missing_runs DROP DEFAULT;
