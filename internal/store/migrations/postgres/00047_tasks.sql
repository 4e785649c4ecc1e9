-- +goose Up
-- Steps that people take in targets without an API. An account has one open task at most.
CREATE TABLE tasks (
  id           text COLLATE "C" NOT NULL PRIMARY KEY,
  identity_id  text COLLATE "C" NOT NULL,
  target       text COLLATE "C" NOT NULL,
  who          text COLLATE "C" NOT NULL,
  user_name    text COLLATE "C" NOT NULL,
  op           text COLLATE "C" NOT NULL,
  revision     bigint NOT NULL,
  state        text COLLATE "C" NOT NULL,
  attributes   text COLLATE "C" NOT NULL,
  "before"     text COLLATE "C" NOT NULL,
  because      text COLLATE "C" NOT NULL CHECK (because <> ''),
  assignee     text COLLATE "C" NOT NULL CHECK (assignee <> ''),
  instructions text COLLATE "C" NOT NULL,
  due_at       timestamptz NOT NULL,
  status       text COLLATE "C" NOT NULL,
  evidence     text COLLATE "C" NOT NULL,
  decided_by   text COLLATE "C" NOT NULL,
  decided_at   timestamptz,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX tasks_open ON tasks (identity_id, target) WHERE status = 'open';
CREATE INDEX tasks_due ON tasks (status, due_at, id);
CREATE INDEX tasks_account ON tasks (identity_id, target, revision);
