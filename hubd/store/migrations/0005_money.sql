BEGIN IMMEDIATE;

-- `counted_usd` is the one figure that counts: the runner's own, or else our estimate, as far as
-- either is known. `unknown` says that something is missing in it. `basis` is what a row rests on:
-- a running attempt's reports, the last of them, or its result.
ALTER TABLE costs ADD COLUMN counted_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE costs ADD COLUMN unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE costs ADD COLUMN basis TEXT NOT NULL DEFAULT 'result';
CREATE INDEX costs_running ON costs (day) WHERE basis = 'running';

ALTER TABLE usage ADD COLUMN counted_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN calls INTEGER;
ALTER TABLE usage ADD COLUMN long_calls TEXT NOT NULL DEFAULT '[]';

ALTER TABLE days ADD COLUMN unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN unknown_costs INTEGER NOT NULL DEFAULT 0;
-- Why the hub has an attempt ended, though nobody cancelled its task.
ALTER TABLE attempts ADD COLUMN stop TEXT;

-- The last word of each running attempt on what it used. `told_at`: when clients were told.
CREATE TABLE running_usage (
    fence INTEGER PRIMARY KEY,
    usage TEXT NOT NULL,
    told_at REAL NOT NULL
);

-- What was written to the cache for an hour was counted once as such and once with all writes.
-- From now on it is a part of all writes; a row in which it is more was meant as two parts.
UPDATE usage SET cache_write_tokens = cache_write_tokens + cache_write_1h_tokens
WHERE cache_write_1h_tokens > cache_write_tokens;

UPDATE costs SET cache_write_tokens =
    (SELECT coalesce(sum(u.cache_write_tokens), 0) FROM usage u WHERE u.fence = costs.fence)
WHERE fence IN (SELECT fence FROM usage WHERE cache_write_1h_tokens > 0);

UPDATE costs SET
    counted_usd = coalesce(cost_usd, estimate_usd, 0),
    unknown = cost_usd IS NULL AND (
        estimate_usd IS NULL OR EXISTS (
            SELECT 1 FROM usage u
            WHERE u.fence = costs.fence AND u.cost_usd IS NULL AND u.estimate_usd IS NULL));

UPDATE usage SET
    counted_usd = coalesce(cost_usd, estimate_usd, 0),
    unknown = cost_usd IS NULL AND estimate_usd IS NULL
        AND (SELECT c.cost_usd IS NULL FROM costs c WHERE c.fence = usage.fence);

-- The parts of an attempt add up to what it counts with.
CREATE TEMP TABLE spread AS
    SELECT u.fence, c.counted_usd AS whole, sum(u.counted_usd) AS parts, count(*) AS models
    FROM usage u JOIN costs c ON c.fence = u.fence GROUP BY u.fence
    HAVING abs(sum(u.counted_usd) - c.counted_usd) > 1e-9;
UPDATE usage SET counted_usd = (
    SELECT CASE WHEN s.parts > 0 THEN usage.counted_usd * s.whole / s.parts
                ELSE s.whole / s.models END
    FROM spread s WHERE s.fence = usage.fence)
WHERE fence IN (SELECT fence FROM spread);
DROP TABLE spread;

UPDATE tasks SET
    cost_usd = (SELECT sum(c.counted_usd) FROM costs c WHERE c.task_id = tasks.id),
    unknown_costs = (SELECT sum(c.unknown) FROM costs c WHERE c.task_id = tasks.id),
    cache_write_tokens = (SELECT sum(c.cache_write_tokens) FROM costs c WHERE c.task_id = tasks.id)
WHERE id IN (SELECT task_id FROM costs);

UPDATE days SET
    cost_usd = (SELECT coalesce(sum(c.counted_usd), 0) FROM costs c WHERE c.day = days.day),
    unknown = (SELECT coalesce(sum(c.unknown), 0) FROM costs c WHERE c.day = days.day),
    cache_write_tokens =
        (SELECT coalesce(sum(c.cache_write_tokens), 0) FROM costs c WHERE c.day = days.day);

PRAGMA user_version = 5;
COMMIT;
