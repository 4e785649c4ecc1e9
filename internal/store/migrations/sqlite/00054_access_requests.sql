-- +goose Up
-- What people ask for in the tree of groups, and what became of it. A person has one open request for the same.
CREATE TABLE access_requests (
  id          text NOT NULL PRIMARY KEY,
  identity_id text NOT NULL,
  who         text NOT NULL,
  place       text NOT NULL,
  role        text NOT NULL,
  admin       boolean NOT NULL,
  reason      text NOT NULL CHECK (reason <> ''),
  valid_from  datetime,
  valid_to    datetime NOT NULL,
  requester   text NOT NULL CHECK (requester <> ''),
  actor       text NOT NULL,
  privileged  boolean NOT NULL,
  approvals   text NOT NULL,
  expires_at  datetime NOT NULL,
  status      text NOT NULL,
  decided_by  text NOT NULL,
  answer      text NOT NULL,
  decided_at  datetime,
  created_at  datetime NOT NULL
);
CREATE UNIQUE INDEX access_requests_open ON access_requests (identity_id, place, role) WHERE status = 'open';
CREATE INDEX access_requests_expiry ON access_requests (status, expires_at, id);
