-- +goose Up
-- The tree of groups, what belongs to them, and who was given which role directly. The root has no row, and nothing inherited has one.
CREATE TABLE access_roles (
  id          text NOT NULL PRIMARY KEY,
  name        text NOT NULL,
  description text NOT NULL,
  app         text NOT NULL,
  permissions text NOT NULL,
  managed_by  text NOT NULL
);
CREATE TABLE access_groups (
  id          text NOT NULL PRIMARY KEY,
  name        text NOT NULL,
  description text NOT NULL CHECK (description <> ''),
  parent      text NOT NULL CHECK (parent <> '' AND parent <> id),
  managed_by  text NOT NULL
);
CREATE TABLE access_resources (
  place       text NOT NULL PRIMARY KEY,
  name        text NOT NULL,
  description text NOT NULL,
  managed_by  text NOT NULL
);
CREATE TABLE access_links (
  place      text NOT NULL,
  owner      text NOT NULL,
  exclusive  boolean NOT NULL,
  managed_by text NOT NULL,
  PRIMARY KEY (place, owner)
);
CREATE UNIQUE INDEX access_links_exclusive ON access_links (place) WHERE exclusive;
CREATE TABLE access_members (
  person     text NOT NULL,
  place      text NOT NULL,
  role       text NOT NULL,
  admin      boolean NOT NULL,
  reason     text NOT NULL CHECK (reason <> ''),
  approver   text NOT NULL CHECK (approver <> ''),
  valid_from datetime,
  valid_to   datetime,
  managed_by text NOT NULL,
  PRIMARY KEY (person, place, role)
);
