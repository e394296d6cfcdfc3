BEGIN IMMEDIATE;

-- What a row of `inbound` is to an earlier text: edited, unsent or files; null for one of its own.
ALTER TABLE inbound ADD COLUMN change TEXT;
CREATE INDEX inbound_chat ON inbound (chat, row_order);

PRAGMA user_version = 4;

COMMIT;
