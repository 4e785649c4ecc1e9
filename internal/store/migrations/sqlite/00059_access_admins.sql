-- +goose Up
-- Whether a group has another admin is asked for each leaver who is one.
CREATE INDEX access_members_admins ON access_members (place) WHERE admin;
