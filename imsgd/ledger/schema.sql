-- Version 1 of bridge.db. A new version is a new file that alters this one.
BEGIN;

CREATE TABLE place (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    identity TEXT NOT NULL,              -- which database the row number belongs to
    rowid INTEGER NOT NULL,              -- every row up to here is decided
    born_at REAL NOT NULL,               -- first start ever; epoch seconds, as all times here
    listened_at REAL NOT NULL            -- last successful look at chat.db
) STRICT;

-- Rows written by people who may command, with what became of them. Never their words.
CREATE TABLE heard (
    guid TEXT PRIMARY KEY,
    message_rowid INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    date INTEGER NOT NULL,               -- Apple's number
    from_me INTEGER NOT NULL,
    verdict TEXT NOT NULL,               -- 'input' or why it has no effect
    paired INTEGER NOT NULL DEFAULT 0,   -- its second copy was seen
    settled INTEGER NOT NULL,            -- 0: the hub has not acknowledged it yet
    at REAL NOT NULL
) STRICT;
CREATE INDEX heard_alike ON heard (conversation, fingerprint, date);
CREATE INDEX heard_open ON heard (message_rowid) WHERE settled = 0;
CREATE INDEX heard_at ON heard (at);

-- "stop all" while the hub was away, and whether its author was told.
CREATE TABLE panics (
    guid TEXT PRIMARY KEY,
    at REAL NOT NULL
) STRICT;

-- Replies to send. The text goes when the item is settled.
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    hub_id INTEGER,                      -- NULL: the bridge's own words
    digest TEXT,                         -- of chat and text as the hub gave them
    claim TEXT,
    claims INTEGER NOT NULL DEFAULT 1,
    chat TEXT NOT NULL,
    text TEXT,
    state TEXT NOT NULL DEFAULT 'open',  -- open, proving, sent, failed, unknown
    error TEXT,
    maybe_duplicate INTEGER NOT NULL DEFAULT 0,
    reported INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL,
    UNIQUE (hub_id, digest)
) STRICT;
CREATE INDEX items_open ON items (state) WHERE state = 'open';
CREATE INDEX items_unreported ON items (reported) WHERE reported = 0;

-- One row per bubble, committed before osascript is started.
CREATE TABLE bubbles (
    id INTEGER PRIMARY KEY,
    item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,                    -- when osascript was about to start
    rowid_before INTEGER NOT NULL,
    identity TEXT NOT NULL,
    verify_from REAL,                    -- when its row could be expected
    seen_at REAL,
    guid TEXT,
    message_rowid INTEGER,
    error TEXT,
    again INTEGER NOT NULL DEFAULT 0,    -- a marked second try after a crash
    uses_from_me INTEGER NOT NULL DEFAULT 0,
    uses_to_me INTEGER NOT NULL DEFAULT 0,
    UNIQUE (item_id, part, again)
) STRICT;
CREATE INDEX bubbles_alike ON bubbles (conversation, fingerprint, at);
CREATE INDEX bubbles_state ON bubbles (state, at);

-- Every guid under which Messages shows one of our bubbles; a text to oneself has two.
CREATE TABLE own_guids (
    guid TEXT PRIMARY KEY,
    bubble_id INTEGER NOT NULL REFERENCES bubbles (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX own_guids_bubble ON own_guids (bubble_id);

PRAGMA user_version = 1;
COMMIT;
