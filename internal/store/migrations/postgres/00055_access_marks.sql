-- +goose Up
-- A name that a group of a source had last, and no group has now: rules that follow the group by that name go on doing so.
CREATE TABLE group_names (
  source   text COLLATE "C" NOT NULL,
  name     text COLLATE "C" NOT NULL,
  group_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (source, name)
);
CREATE INDEX group_names_group ON group_names (source, group_id);

-- What people have by right, as their entitlements say: whoever changes a place or a role finds them all.
CREATE TABLE access_given (
  identity_id text COLLATE "C" NOT NULL,
  place       text COLLATE "C" NOT NULL,
  role        text COLLATE "C" NOT NULL,
  PRIMARY KEY (identity_id, place, role)
);
CREATE INDEX access_given_place ON access_given (place);
CREATE INDEX access_given_role ON access_given (role);
INSERT INTO access_given (identity_id, place, role) SELECT DISTINCT i.id, g ->> 'place', g ->> 'role'
  FROM (SELECT id, entitlements::jsonb -> 'given' AS given FROM identities WHERE entitlements <> '') i, jsonb_array_elements(i.given) g;

INSERT INTO settings (name, value) VALUES ('access.frame', '0') ON CONFLICT (name) DO NOTHING;

-- Requests that a merge gave to the one who stays: a split gives them back.
ALTER TABLE merges ADD COLUMN requests text NOT NULL DEFAULT '';
ALTER TABLE merges ALTER COLUMN requests DROP DEFAULT;

CREATE INDEX access_requests_person ON access_requests (identity_id, id);
CREATE INDEX access_requests_place ON access_requests (place, id);
CREATE INDEX access_requests_status ON access_requests (status, id);
CREATE INDEX access_requests_requester ON access_requests (requester) WHERE status = 'open';
