-- +goose Up
-- Counting who has an active account reads this instead of the accounts, which are wide.
CREATE INDEX accounts_active ON accounts (identity_id, target) WHERE state = 'active';
