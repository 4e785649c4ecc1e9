-- +goose Up
-- Times are integers, microseconds since 1970 UTC; but text, UTC, in platform_users and app_users, which others read.

CREATE TABLE records (
  source           text NOT NULL,
  id               text NOT NULL,
  kind             text NOT NULL,
  user_name        text NOT NULL,
  user_name_key    text NOT NULL,
  display_name     text NOT NULL,
  display_name_key text NOT NULL,
  external_id      text NOT NULL,
  active           boolean NOT NULL,
  unique_key       text NOT NULL,
  identity_id      text NOT NULL,
  link             text NOT NULL,
  link_text        text NOT NULL,
  attrs            text NOT NULL,
  hash             blob NOT NULL,
  version          integer NOT NULL,
  absent_since     datetime,
  created_at       datetime NOT NULL,
  updated_at       datetime NOT NULL,
  PRIMARY KEY (source, id)
);
CREATE UNIQUE INDEX records_unique ON records (source, kind, unique_key) WHERE unique_key <> '';
-- kind first: a statement planned while the table is empty must not find this as good as the primary key
CREATE INDEX records_created ON records (kind, source, created_at, id);
CREATE INDEX records_user_name ON records (source, user_name_key) WHERE user_name_key <> '';
CREATE INDEX records_display_name ON records (source, display_name_key) WHERE display_name_key <> '';
CREATE INDEX records_external ON records (source, external_id) WHERE external_id <> '';
CREATE INDEX records_identity ON records (identity_id, source) WHERE identity_id <> '';
CREATE INDEX records_disputed ON records (source, id) WHERE link = 'disputed';

CREATE TABLE record_values (
  source    text NOT NULL,
  record_id text NOT NULL,
  attr      text NOT NULL,
  type      text NOT NULL,
  value     text NOT NULL,
  PRIMARY KEY (source, record_id, attr, type, value)
) WITHOUT ROWID;
CREATE INDEX record_values_value ON record_values (source, attr, value, record_id);

CREATE TABLE members (
  source    text NOT NULL,
  group_id  text NOT NULL,
  member_id text NOT NULL,
  PRIMARY KEY (source, group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX members_member ON members (source, member_id, group_id);

CREATE TABLE identities (
  id           text NOT NULL PRIMARY KEY,
  lifecycle    text NOT NULL,
  user_name    text NOT NULL,
  display_name text NOT NULL,
  email        text NOT NULL,
  search_key   text NOT NULL,
  organisation text NOT NULL,
  external     boolean NOT NULL,
  categories   text NOT NULL,
  attrs        text NOT NULL,
  provenance   text NOT NULL,
  findings     text NOT NULL,
  version      integer NOT NULL,
  review_at    datetime,
  review_run   text NOT NULL,
  created_at   datetime NOT NULL,
  updated_at   datetime NOT NULL
);
CREATE INDEX identities_search ON identities (search_key, id);
CREATE INDEX identities_review ON identities (review_at) WHERE review_at IS NOT NULL;
CREATE INDEX identities_review_run ON identities (review_run) WHERE review_run <> '';

CREATE TABLE identity_keys (
  name        text NOT NULL,
  value       text NOT NULL,
  identity_id text NOT NULL,
  PRIMARY KEY (name, value)
) WITHOUT ROWID;
CREATE INDEX identity_keys_identity ON identity_keys (identity_id);

CREATE TABLE accounts (
  identity_id   text NOT NULL,
  target        text NOT NULL,
  class         text NOT NULL,
  origin        text NOT NULL,
  state         text NOT NULL,
  user_name     text NOT NULL,
  desired       text NOT NULL,
  desired_rev   integer NOT NULL,
  because       text NOT NULL,
  native_id     text NOT NULL,
  applied_state text NOT NULL,
  applied       text NOT NULL,
  applied_rev   integer NOT NULL,
  applied_at    datetime,
  held_plan     text NOT NULL,
  due_at        datetime,
  priority      integer NOT NULL CHECK (priority IN (0, 1)),
  lease_owner   text NOT NULL,
  epoch         integer NOT NULL,
  attempts      integer NOT NULL,
  error_code    text NOT NULL,
  error_text    text NOT NULL,
  dead          boolean NOT NULL,
  created_at    datetime NOT NULL,
  updated_at    datetime NOT NULL,
  PRIMARY KEY (identity_id, target)
);
CREATE INDEX accounts_due ON accounts (target, priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX accounts_error ON accounts (target, error_code) WHERE error_code <> '';

CREATE TABLE plans (
  id          text NOT NULL PRIMARY KEY,
  run_id      text NOT NULL,
  source      text NOT NULL,
  "trigger"   text NOT NULL,
  state       text NOT NULL,
  reason      text NOT NULL,
  digest      text NOT NULL,
  items       integer NOT NULL,
  expires_at  datetime NOT NULL,
  approved_by text NOT NULL,
  approved_at datetime,
  created_at  datetime NOT NULL,
  updated_at  datetime NOT NULL
);
CREATE INDEX plans_state ON plans (state, id);

CREATE TABLE changes (
  id          text NOT NULL PRIMARY KEY,
  plan_id     text NOT NULL,
  run_id      text NOT NULL,
  source      text NOT NULL,
  identity_id text NOT NULL,
  who         text NOT NULL,
  target      text NOT NULL,
  op          text NOT NULL,
  event       text NOT NULL,
  "before"    text NOT NULL,
  "after"     text NOT NULL,
  because     text NOT NULL,
  code        text NOT NULL,
  state       text NOT NULL,
  at          datetime NOT NULL,
  decided_by  text NOT NULL,
  decided_at  datetime
);
CREATE INDEX changes_identity ON changes (identity_id, id);
CREATE INDEX changes_run ON changes (run_id, id) WHERE run_id <> '';
CREATE INDEX changes_plan ON changes (plan_id, id) WHERE plan_id <> '';
CREATE INDEX changes_lost ON changes (source, at) WHERE state = 'committed' AND op IN ('!', '-');
CREATE INDEX changes_waiting ON changes (state, id) WHERE state IN ('pending', 'held');

CREATE TABLE runs (
  id           text NOT NULL PRIMARY KEY,
  job          text NOT NULL,
  source       text NOT NULL,
  "trigger"    text NOT NULL,
  scheduled_at datetime,
  dry_run      boolean NOT NULL,
  actor        text NOT NULL,
  replica      text NOT NULL,
  state        text NOT NULL,
  verdict      text NOT NULL,
  proof        text NOT NULL,
  funnel       text NOT NULL,
  error_code   text NOT NULL,
  error_text   text NOT NULL,
  started_at   datetime NOT NULL,
  heartbeat_at datetime NOT NULL,
  finished_at  datetime
);
CREATE UNIQUE INDEX runs_scheduled ON runs (job, scheduled_at);
CREATE INDEX runs_source ON runs (source, id);

CREATE TABLE leases (
  name  text NOT NULL PRIMARY KEY,
  owner text NOT NULL,
  fence integer NOT NULL,
  until datetime NOT NULL
);

CREATE TABLE tokens (
  id         text NOT NULL PRIMARY KEY,
  source     text NOT NULL,
  name       text NOT NULL,
  hash       blob NOT NULL,
  created_at datetime NOT NULL,
  expires_at datetime,
  last_used  datetime,
  revoked_at datetime
);
CREATE INDEX tokens_source ON tokens (source, id);

CREATE TABLE audit (
  id      text NOT NULL PRIMARY KEY,
  at      datetime NOT NULL,
  actor   text NOT NULL,
  action  text NOT NULL,
  source  text NOT NULL,
  subject text NOT NULL,
  detail  text NOT NULL
);
CREATE INDEX audit_subject ON audit (subject, id);

CREATE TABLE platform_users (
  target       text NOT NULL,
  id           text NOT NULL,
  user_name    text NOT NULL,
  user_name_key text NOT NULL,
  email        text NOT NULL,
  display_name text NOT NULL,
  given_name   text NOT NULL,
  family_name  text NOT NULL,
  active       boolean NOT NULL,
  attributes   text NOT NULL,
  created_at   text     NOT NULL,
  updated_at   text     NOT NULL,
  PRIMARY KEY (target, id)
);
CREATE UNIQUE INDEX platform_users_name ON platform_users (target, user_name_key) WHERE user_name_key <> '';

CREATE TABLE app_users (
  target       text NOT NULL,
  id           text NOT NULL,
  user_name    text NOT NULL,
  user_name_key text NOT NULL,
  email        text NOT NULL,
  display_name text NOT NULL,
  given_name   text NOT NULL,
  family_name  text NOT NULL,
  active       boolean NOT NULL,
  attributes   text NOT NULL,
  created_at   text     NOT NULL,
  updated_at   text     NOT NULL,
  PRIMARY KEY (target, id)
);
CREATE UNIQUE INDEX app_users_name ON app_users (target, user_name_key) WHERE user_name_key <> '';
