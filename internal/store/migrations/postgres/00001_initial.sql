-- +goose Up
-- Identifiers, keys and names are compared byte by byte (COLLATE "C"), so that SQLite and PostgreSQL order alike.

CREATE TABLE records (
  source           text COLLATE "C" NOT NULL,
  id               text COLLATE "C" NOT NULL,
  kind             text COLLATE "C" NOT NULL,
  user_name        text NOT NULL,
  user_name_key    text COLLATE "C" NOT NULL,
  display_name     text NOT NULL,
  display_name_key text COLLATE "C" NOT NULL,
  external_id      text COLLATE "C" NOT NULL,
  active           boolean NOT NULL,
  unique_key       text COLLATE "C" NOT NULL,
  identity_id      text COLLATE "C" NOT NULL,
  link             text COLLATE "C" NOT NULL,
  link_text        text NOT NULL,
  attrs            text NOT NULL,
  hash             bytea NOT NULL,
  version          bigint NOT NULL,
  absent_since     timestamptz,
  created_at       timestamptz NOT NULL,
  updated_at       timestamptz NOT NULL,
  PRIMARY KEY (source, id)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX records_unique ON records (source, kind, unique_key) WHERE unique_key <> '';
-- kind first: a statement planned while the table is empty must not find this as good as the primary key
CREATE INDEX records_created ON records (kind, source, created_at, id);
CREATE INDEX records_user_name ON records (source, user_name_key) WHERE user_name_key <> '';
CREATE INDEX records_display_name ON records (source, display_name_key) WHERE display_name_key <> '';
CREATE INDEX records_external ON records (source, external_id) WHERE external_id <> '';
CREATE INDEX records_identity ON records (identity_id, source) WHERE identity_id <> '';
CREATE INDEX records_disputed ON records (source, id) WHERE link = 'disputed';

CREATE TABLE record_values (
  source    text COLLATE "C" NOT NULL,
  record_id text COLLATE "C" NOT NULL,
  attr      text COLLATE "C" NOT NULL,
  type      text COLLATE "C" NOT NULL,
  value     text COLLATE "C" NOT NULL,
  PRIMARY KEY (source, record_id, attr, type, value)
);
CREATE INDEX record_values_value ON record_values (source, attr, value, record_id);

CREATE TABLE members (
  source    text COLLATE "C" NOT NULL,
  group_id  text COLLATE "C" NOT NULL,
  member_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (source, group_id, member_id)
);
CREATE INDEX members_member ON members (source, member_id, group_id);

CREATE TABLE identities (
  id           text COLLATE "C" NOT NULL PRIMARY KEY,
  lifecycle    text COLLATE "C" NOT NULL,
  user_name    text NOT NULL,
  display_name text NOT NULL,
  email        text NOT NULL,
  search_key   text COLLATE "C" NOT NULL,
  organisation text NOT NULL,
  external     boolean NOT NULL,
  categories   text NOT NULL,
  attrs        text NOT NULL,
  provenance   text NOT NULL,
  findings     text NOT NULL,
  version      bigint NOT NULL,
  review_at    timestamptz,
  review_run   text COLLATE "C" NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX identities_search ON identities (search_key, id);
CREATE INDEX identities_review ON identities (review_at) WHERE review_at IS NOT NULL;
CREATE INDEX identities_review_run ON identities (review_run) WHERE review_run <> '';

CREATE TABLE identity_keys (
  name        text COLLATE "C" NOT NULL,
  value       text COLLATE "C" NOT NULL,
  identity_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (name, value)
);
CREATE INDEX identity_keys_identity ON identity_keys (identity_id);

CREATE TABLE accounts (
  identity_id   text COLLATE "C" NOT NULL,
  target        text COLLATE "C" NOT NULL,
  class         text COLLATE "C" NOT NULL,
  origin        text COLLATE "C" NOT NULL,
  state         text COLLATE "C" NOT NULL,
  user_name     text COLLATE "C" NOT NULL,
  desired       text NOT NULL,
  desired_rev   bigint NOT NULL,
  because       text NOT NULL,
  native_id     text COLLATE "C" NOT NULL,
  applied_state text COLLATE "C" NOT NULL,
  applied       text NOT NULL,
  applied_rev   bigint NOT NULL,
  applied_at    timestamptz,
  held_plan     text COLLATE "C" NOT NULL,
  due_at        timestamptz,
  priority      bigint NOT NULL CHECK (priority IN (0, 1)),
  lease_owner   text COLLATE "C" NOT NULL,
  epoch         bigint NOT NULL,
  attempts      bigint NOT NULL,
  error_code    text COLLATE "C" NOT NULL,
  error_text    text NOT NULL,
  dead          boolean NOT NULL,
  created_at    timestamptz NOT NULL,
  updated_at    timestamptz NOT NULL,
  PRIMARY KEY (identity_id, target)
) WITH (fillfactor = 70);
CREATE INDEX accounts_due ON accounts (target, priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX accounts_error ON accounts (target, error_code) WHERE error_code <> '';

CREATE TABLE plans (
  id          text COLLATE "C" NOT NULL PRIMARY KEY,
  run_id      text COLLATE "C" NOT NULL,
  source      text COLLATE "C" NOT NULL,
  "trigger"   text COLLATE "C" NOT NULL,
  state       text COLLATE "C" NOT NULL,
  reason      text NOT NULL,
  digest      text COLLATE "C" NOT NULL,
  items       bigint NOT NULL,
  expires_at  timestamptz NOT NULL,
  approved_by text NOT NULL,
  approved_at timestamptz,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL
);
CREATE INDEX plans_state ON plans (state, id);

CREATE TABLE changes (
  id          text COLLATE "C" NOT NULL PRIMARY KEY,
  plan_id     text COLLATE "C" NOT NULL,
  run_id      text COLLATE "C" NOT NULL,
  source      text COLLATE "C" NOT NULL,
  identity_id text COLLATE "C" NOT NULL,
  who         text NOT NULL,
  target      text COLLATE "C" NOT NULL,
  op          text COLLATE "C" NOT NULL,
  event       text COLLATE "C" NOT NULL,
  "before"    text NOT NULL,
  "after"     text NOT NULL,
  because     text NOT NULL,
  code        text COLLATE "C" NOT NULL,
  state       text COLLATE "C" NOT NULL,
  at          timestamptz NOT NULL,
  decided_by  text COLLATE "C" NOT NULL,
  decided_at  timestamptz
);
CREATE INDEX changes_identity ON changes (identity_id, id);
CREATE INDEX changes_run ON changes (run_id, id) WHERE run_id <> '';
CREATE INDEX changes_plan ON changes (plan_id, id) WHERE plan_id <> '';
CREATE INDEX changes_lost ON changes (source, at) WHERE state = 'committed' AND op IN ('!', '-');
CREATE INDEX changes_waiting ON changes (state, id) WHERE state IN ('pending', 'held');

CREATE TABLE runs (
  id           text COLLATE "C" NOT NULL PRIMARY KEY,
  job          text COLLATE "C" NOT NULL,
  source       text COLLATE "C" NOT NULL,
  "trigger"    text COLLATE "C" NOT NULL,
  scheduled_at timestamptz,
  dry_run      boolean NOT NULL,
  actor        text NOT NULL,
  replica      text NOT NULL,
  state        text COLLATE "C" NOT NULL,
  verdict      text COLLATE "C" NOT NULL,
  proof        text NOT NULL,
  funnel       text NOT NULL,
  error_code   text COLLATE "C" NOT NULL,
  error_text   text NOT NULL,
  started_at   timestamptz NOT NULL,
  heartbeat_at timestamptz NOT NULL,
  finished_at  timestamptz
);
CREATE UNIQUE INDEX runs_scheduled ON runs (job, scheduled_at);
CREATE INDEX runs_source ON runs (source, id);

CREATE TABLE leases (
  name  text COLLATE "C" NOT NULL PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  fence bigint NOT NULL,
  until timestamptz NOT NULL
);

CREATE TABLE tokens (
  id         text COLLATE "C" NOT NULL PRIMARY KEY,
  source     text COLLATE "C" NOT NULL,
  name       text NOT NULL,
  hash       bytea NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  last_used  timestamptz,
  revoked_at timestamptz
);
CREATE INDEX tokens_source ON tokens (source, id);

CREATE TABLE audit (
  id      text COLLATE "C" NOT NULL PRIMARY KEY,
  at      timestamptz NOT NULL,
  actor   text NOT NULL,
  action  text COLLATE "C" NOT NULL,
  source  text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  detail  text NOT NULL
);
CREATE INDEX audit_subject ON audit (subject, id);

CREATE TABLE platform_users (
  target       text COLLATE "C" NOT NULL,
  id           text COLLATE "C" NOT NULL,
  user_name    text NOT NULL,
  user_name_key text COLLATE "C" NOT NULL,
  email        text NOT NULL,
  display_name text NOT NULL,
  given_name   text NOT NULL,
  family_name  text NOT NULL,
  active       boolean NOT NULL,
  attributes   text NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  PRIMARY KEY (target, id)
);
CREATE UNIQUE INDEX platform_users_name ON platform_users (target, user_name_key) WHERE user_name_key <> '';
COMMENT ON TABLE platform_users IS 'Accounts of platform users, kept by jmld; for other software to read';
COMMENT ON COLUMN platform_users.target IS 'name of the target in the configuration';
COMMENT ON COLUMN platform_users.id IS 'jmld''s identifier of the person; never changes';
COMMENT ON COLUMN platform_users.active IS 'false: the account exists and must not be usable';
COMMENT ON COLUMN platform_users.attributes IS 'all other attributes, a JSON object with SCIM names';

CREATE TABLE app_users (
  target       text COLLATE "C" NOT NULL,
  id           text COLLATE "C" NOT NULL,
  user_name    text NOT NULL,
  user_name_key text COLLATE "C" NOT NULL,
  email        text NOT NULL,
  display_name text NOT NULL,
  given_name   text NOT NULL,
  family_name  text NOT NULL,
  active       boolean NOT NULL,
  attributes   text NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  PRIMARY KEY (target, id)
);
CREATE UNIQUE INDEX app_users_name ON app_users (target, user_name_key) WHERE user_name_key <> '';
COMMENT ON TABLE app_users IS 'Accounts of app users, kept by jmld; the columns are those of platform_users';
