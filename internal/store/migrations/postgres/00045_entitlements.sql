-- +goose Up
-- What decisions make of people's roles: given by rules, withheld; and the rules of separation that they knew.
ALTER TABLE identities ADD COLUMN entitlements text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN separated text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX identities_entitled ON identities (id) WHERE entitlements <> '';
ALTER TABLE identities ALTER COLUMN entitlements DROP DEFAULT;
ALTER TABLE identities ALTER COLUMN separated DROP DEFAULT;
