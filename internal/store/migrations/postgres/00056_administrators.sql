-- +goose Up
-- Whether the target was told that the account administers it: only such a one can be the one that is left. Until a worker settles an
-- account the next time, what is there counts as told.
ALTER TABLE accounts ADD COLUMN applied_administrator boolean NOT NULL DEFAULT false;
ALTER TABLE accounts ALTER COLUMN applied_administrator DROP DEFAULT;
UPDATE accounts SET applied_administrator = true WHERE administrator AND applied_state = 'active';
DROP INDEX accounts_administrators;
CREATE INDEX accounts_administrators ON accounts (target, identity_id) WHERE applied_administrator;

-- Locked by whoever takes an administrator from a target: of two at the same moment the second sees what the first did.
INSERT INTO settings (name, value) VALUES ('administrators.lock', '');
