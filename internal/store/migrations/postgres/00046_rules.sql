-- +goose Up
-- By which rules each person was decided about last: replicas may have different ones for a while.
ALTER TABLE identities ADD COLUMN rules text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX identities_rules ON identities (rules);
ALTER TABLE identities ALTER COLUMN rules DROP DEFAULT;
