-- +goose Up
-- What people ask for in the tree of groups, and what became of it. A person has one open request for the same.
CREATE TABLE access_requests (
  id          text COLLATE "C" NOT NULL PRIMARY KEY,
  identity_id text COLLATE "C" NOT NULL,
  who         text COLLATE "C" NOT NULL,
  place       text COLLATE "C" NOT NULL,
  role        text COLLATE "C" NOT NULL,
  admin       boolean NOT NULL,
  reason      text COLLATE "C" NOT NULL CHECK (reason <> ''),
  valid_from  timestamptz,
  valid_to    timestamptz NOT NULL,
  requester   text COLLATE "C" NOT NULL CHECK (requester <> ''),
  actor       text COLLATE "C" NOT NULL,
  privileged  boolean NOT NULL,
  approvals   text COLLATE "C" NOT NULL,
  expires_at  timestamptz NOT NULL,
  status      text COLLATE "C" NOT NULL,
  decided_by  text COLLATE "C" NOT NULL,
  answer      text COLLATE "C" NOT NULL,
  decided_at  timestamptz,
  created_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX access_requests_open ON access_requests (identity_id, place, role) WHERE status = 'open';
CREATE INDEX access_requests_expiry ON access_requests (status, expires_at, id);
