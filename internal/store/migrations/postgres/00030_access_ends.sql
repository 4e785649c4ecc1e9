-- +goose Up
-- What a merge made of what both were given, so that a split gives it back; when a membership ended because its person left; and the row
-- that whoever changes the memberships locks first, so that nobody waits for the other in a circle.
ALTER TABLE merges ADD COLUMN access text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE merges ALTER COLUMN access DROP DEFAULT;
ALTER TABLE access_members ADD COLUMN ended_at timestamptz;
INSERT INTO settings (name, value) VALUES ('access.lock', '');
