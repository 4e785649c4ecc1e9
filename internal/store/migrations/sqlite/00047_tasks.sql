-- +goose Up
-- Steps that people take in targets without an API. An account has one open task at most.
CREATE TABLE tasks (
  id           text NOT NULL PRIMARY KEY,
  identity_id  text NOT NULL,
  target       text NOT NULL,
  who          text NOT NULL,
  user_name    text NOT NULL,
  op           text NOT NULL,
  revision     integer NOT NULL,
  state        text NOT NULL,
  attributes   text NOT NULL,
  "before"     text NOT NULL,
  because      text NOT NULL CHECK (because <> ''),
  assignee     text NOT NULL CHECK (assignee <> ''),
  instructions text NOT NULL,
  due_at       datetime NOT NULL,
  status       text NOT NULL,
  evidence     text NOT NULL,
  decided_by   text NOT NULL,
  decided_at   datetime,
  created_at   datetime NOT NULL,
  updated_at   datetime NOT NULL
);
CREATE UNIQUE INDEX tasks_open ON tasks (identity_id, target) WHERE status = 'open';
CREATE INDEX tasks_due ON tasks (status, due_at, id);
CREATE INDEX tasks_account ON tasks (identity_id, target, revision);
