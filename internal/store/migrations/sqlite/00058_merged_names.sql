-- +goose Up
-- The user names that each of two people had before they were merged: a split gives them back.
ALTER TABLE merges ADD COLUMN names text NOT NULL DEFAULT '';
-- Of no use here, where there is one writer; a copy of the database has it in PostgreSQL.
INSERT INTO settings (name, value) VALUES ('native.lock', '');
