-- +goose Up
-- What stopped a plan, what waits of an account beside its state, and what an update changes.
ALTER TABLE plans ADD COLUMN brake text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE plans ALTER COLUMN brake DROP DEFAULT;
ALTER TABLE accounts ADD COLUMN held_attrs text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE accounts ALTER COLUMN held_attrs DROP DEFAULT;
ALTER TABLE changes ADD COLUMN attrs text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE changes ALTER COLUMN attrs DROP DEFAULT;
-- A group lost so much that nobody may lose something by it without approval, until they are decided about.
ALTER TABLE identities ADD COLUMN suspect text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE identities ALTER COLUMN suspect DROP DEFAULT;
UPDATE plans SET brake = 'leavers';

-- How often each kind of change went without a person, within the guard's window.
CREATE INDEX changes_moved ON changes (source, at) WHERE state = 'committed' AND op IN ('~', '^');
CREATE INDEX changes_held ON changes (source, target) WHERE state = 'held';

CREATE TABLE group_losses (
  source   text COLLATE "C" NOT NULL,
  group_id text COLLATE "C" NOT NULL,
  since    timestamptz NOT NULL,
  had      bigint NOT NULL,
  lost     bigint NOT NULL,
  PRIMARY KEY (source, group_id)
);
