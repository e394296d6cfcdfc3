BEGIN IMMEDIATE;

-- What an invitation is exchanged for; null for every other token.
ALTER TABLE tokens ADD COLUMN grants TEXT;

PRAGMA user_version = 2;

COMMIT;
