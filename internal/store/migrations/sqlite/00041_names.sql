-- +goose Up
-- User names that were given to somebody in a target, by rules that make them. They stay theirs whatever becomes of the account.
CREATE TABLE account_names (
  target      text NOT NULL,
  name        text NOT NULL,
  identity_id text NOT NULL,
  given_at    datetime NOT NULL,
  PRIMARY KEY (target, name)
) WITHOUT ROWID;
CREATE INDEX account_names_identity ON account_names (identity_id, target);
