BEGIN IMMEDIATE;

-- A row is a login, or its part on one node or for one class of models; null in rows of before.
ALTER TABLE accounts ADD COLUMN account TEXT;
ALTER TABLE accounts ADD COLUMN node TEXT;
ALTER TABLE accounts ADD COLUMN model TEXT;
ALTER TABLE accounts ADD COLUMN probe_until REAL;
ALTER TABLE accounts ADD COLUMN local INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 3;

COMMIT;
