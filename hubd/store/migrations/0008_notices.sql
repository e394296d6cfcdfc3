BEGIN IMMEDIATE;

-- What makes an answer less than a whole one, as JSON.
ALTER TABLE tasks ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';
ALTER TABLE attempts ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';

PRAGMA user_version = 8;

COMMIT;
