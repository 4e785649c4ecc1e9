-- +goose Up
-- User names that were given to somebody in a target, by rules that make them. They stay theirs whatever becomes of the account.
CREATE TABLE account_names (
  target      text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  identity_id text COLLATE "C" NOT NULL,
  given_at    timestamptz NOT NULL,
  PRIMARY KEY (target, name)
);
CREATE INDEX account_names_identity ON account_names (identity_id, target);
