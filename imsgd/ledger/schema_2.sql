-- Version 2: what Messages makes of one bubble or text besides one row that never changes.
BEGIN;

-- Rows that a bubble with a link may be stored as: its words and its link apart.
CREATE TABLE pieces (
    bubble_id INTEGER NOT NULL REFERENCES bubbles (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    uses_from_me INTEGER NOT NULL DEFAULT 0,
    uses_to_me INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bubble_id, fingerprint)
) STRICT;
CREATE INDEX pieces_alike ON pieces (fingerprint);

-- What became of an input after the hub had it: edited, unsent, or its files came late.
CREATE TABLE changes (
    guid TEXT NOT NULL,                  -- of the input
    change TEXT NOT NULL,
    key TEXT NOT NULL,                   -- which edit, which file
    settled INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL,
    PRIMARY KEY (guid, change, key)
) STRICT;

-- Files that an input went without and that may still come.
CREATE TABLE awaited (
    guid TEXT NOT NULL,
    attachment INTEGER NOT NULL,         -- its row in chat.db
    at REAL NOT NULL,
    PRIMARY KEY (guid, attachment)
) STRICT;

PRAGMA user_version = 2;
COMMIT;
