-- +goose Up
-- The tree of groups, what belongs to them, and who was given which role directly. The root has no row, and nothing inherited has one.
CREATE TABLE access_roles (
  id          text COLLATE "C" NOT NULL PRIMARY KEY,
  name        text COLLATE "C" NOT NULL,
  description text COLLATE "C" NOT NULL,
  app         text COLLATE "C" NOT NULL,
  permissions text COLLATE "C" NOT NULL,
  managed_by  text COLLATE "C" NOT NULL
);
CREATE TABLE access_groups (
  id          text COLLATE "C" NOT NULL PRIMARY KEY,
  name        text COLLATE "C" NOT NULL,
  description text COLLATE "C" NOT NULL CHECK (description <> ''),
  parent      text COLLATE "C" NOT NULL CHECK (parent <> '' AND parent <> id),
  managed_by  text COLLATE "C" NOT NULL
);
CREATE TABLE access_resources (
  place       text COLLATE "C" NOT NULL PRIMARY KEY,
  name        text COLLATE "C" NOT NULL,
  description text COLLATE "C" NOT NULL,
  managed_by  text COLLATE "C" NOT NULL
);
CREATE TABLE access_links (
  place      text COLLATE "C" NOT NULL,
  owner      text COLLATE "C" NOT NULL,
  exclusive  boolean NOT NULL,
  managed_by text COLLATE "C" NOT NULL,
  PRIMARY KEY (place, owner)
);
CREATE UNIQUE INDEX access_links_exclusive ON access_links (place) WHERE exclusive;
CREATE TABLE access_members (
  person     text COLLATE "C" NOT NULL,
  place      text COLLATE "C" NOT NULL,
  role       text COLLATE "C" NOT NULL,
  admin      boolean NOT NULL,
  reason     text COLLATE "C" NOT NULL CHECK (reason <> ''),
  approver   text COLLATE "C" NOT NULL CHECK (approver <> ''),
  valid_from timestamptz,
  valid_to   timestamptz,
  managed_by text COLLATE "C" NOT NULL,
  PRIMARY KEY (person, place, role)
);
