-- +goose Up
-- The type with the value: who looks for a work address need not look into the table.
CREATE INDEX record_values_typed ON record_values (source, attr, value, record_id, type);
DROP INDEX record_values_value;
