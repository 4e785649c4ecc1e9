-- +goose Up
-- Which accounts administer their target, and which entry of the configuration protects an account.
ALTER TABLE accounts ADD COLUMN administrator boolean NOT NULL DEFAULT false;
ALTER TABLE accounts ADD COLUMN protected_by text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX accounts_administrators ON accounts (target, state, identity_id) WHERE administrator;
CREATE INDEX accounts_protected ON accounts (target, identity_id) WHERE protected_by <> '';
ALTER TABLE accounts ALTER COLUMN administrator DROP DEFAULT;
ALTER TABLE accounts ALTER COLUMN protected_by DROP DEFAULT;
