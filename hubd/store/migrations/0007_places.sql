BEGIN IMMEDIATE;

-- Interrupted work waits for the node that holds its session, for a stated time.
ALTER TABLE tasks ADD COLUMN wait_until REAL;
ALTER TABLE tasks ADD COLUMN wait_told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN avoid_node TEXT;
ALTER TABLE tasks ADD COLUMN rounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN leaving TEXT;

CREATE INDEX tasks_waiting_for_node ON tasks (wait_until)
    WHERE state = 'queued' AND wait_until IS NOT NULL;

-- A task that stops waiting for its node changes its lane while it stays queued.
CREATE TRIGGER tasks_lane_moved AFTER UPDATE OF lane ON tasks
WHEN old.lane <> new.lane AND old.state = 'queued' AND new.state = 'queued' BEGIN
    UPDATE lanes SET queued = queued - 1 WHERE lane = old.lane;
    DELETE FROM lanes WHERE lane = old.lane AND queued <= 0;
    INSERT INTO lanes
        SELECT new.lane, 1, nullif(substr(new.lane, 1, instr(new.lane, '/') - 1), '-')
        WHERE true
        ON CONFLICT (lane) DO UPDATE SET queued = queued + 1;
END;

PRAGMA user_version = 7;

COMMIT;
