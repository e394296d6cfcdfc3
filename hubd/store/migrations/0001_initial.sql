BEGIN IMMEDIATE;

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    entity TEXT NOT NULL,
    key TEXT NOT NULL,
    record BLOB,
    detail BLOB NOT NULL
);

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    prompt TEXT NOT NULL,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    lane TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    priority TEXT NOT NULL,
    specialist TEXT,
    pinned_node TEXT,
    requires TEXT NOT NULL,
    project TEXT,
    branch TEXT,
    model TEXT,
    max_cost_usd REAL,
    timeout_s REAL,
    on_lost TEXT NOT NULL,
    files TEXT NOT NULL,
    source TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    conversation TEXT,
    retry_of INTEGER,
    continue_of INTEGER,
    started_at REAL,
    finished_at REAL,
    not_before REAL,
    deadline REAL,
    wait_reason TEXT,
    attempt INTEGER NOT NULL,
    faults INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    node TEXT,
    last_node TEXT,
    fence INTEGER,
    lease_until REAL,
    unknown_since REAL,
    approval_code TEXT,
    resume_approval INTEGER,
    cancel_requested INTEGER NOT NULL,
    cancel_raced INTEGER NOT NULL,
    outcome TEXT,
    error TEXT,
    summary TEXT,
    session_id TEXT,
    session_node TEXT,
    sticky INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    CHECK ((state IN ('leased', 'running', 'cancelling', 'unknown'))
           = (node IS NOT NULL AND lease_until IS NOT NULL AND fence IS NOT NULL))
);

-- What waits for a slot, lane by lane in the order in which it is served: the cost of a claim does
-- not depend on how much is finished.
CREATE INDEX tasks_queued ON tasks (lane, rank DESC, id) WHERE state = 'queued';
CREATE INDEX tasks_unfinished ON tasks (state, id)
    WHERE state IN ('queued', 'waiting_approval', 'needs_attention',
                    'leased', 'running', 'cancelling', 'unknown');
CREATE INDEX tasks_live ON tasks (node)
    WHERE state IN ('leased', 'running', 'cancelling', 'unknown');
CREATE INDEX tasks_deadline ON tasks (deadline) WHERE state = 'queued' AND deadline IS NOT NULL;
CREATE INDEX tasks_conversation ON tasks (conversation, id) WHERE conversation IS NOT NULL;
CREATE INDEX tasks_last_node ON tasks (last_node, id);

CREATE TABLE task_counts (
    state TEXT PRIMARY KEY,
    tasks INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE lanes (
    lane TEXT PRIMARY KEY,
    queued INTEGER NOT NULL,
    pinned_node TEXT
) WITHOUT ROWID;

CREATE TRIGGER tasks_count_new AFTER INSERT ON tasks BEGIN
    INSERT INTO task_counts VALUES (new.state, 1)
        ON CONFLICT (state) DO UPDATE SET tasks = tasks + 1;
    INSERT INTO lanes
        SELECT new.lane, 1, nullif(substr(new.lane, 1, instr(new.lane, '/') - 1), '-')
        WHERE new.state = 'queued'
        ON CONFLICT (lane) DO UPDATE SET queued = queued + 1;
END;

CREATE TRIGGER tasks_count_moved AFTER UPDATE OF state ON tasks
WHEN old.state <> new.state BEGIN
    UPDATE task_counts SET tasks = tasks - 1 WHERE state = old.state;
    INSERT INTO task_counts VALUES (new.state, 1)
        ON CONFLICT (state) DO UPDATE SET tasks = tasks + 1;
    UPDATE lanes SET queued = queued - 1 WHERE lane = old.lane AND old.state = 'queued';
    DELETE FROM lanes WHERE lane = old.lane AND queued <= 0;
    INSERT INTO lanes
        SELECT new.lane, 1, nullif(substr(new.lane, 1, instr(new.lane, '/') - 1), '-')
        WHERE new.state = 'queued'
        ON CONFLICT (lane) DO UPDATE SET queued = queued + 1;
END;

CREATE TABLE submissions (
    key TEXT PRIMARY KEY,
    body_hash TEXT NOT NULL,
    task_id INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE results (
    task_id INTEGER PRIMARY KEY,
    text TEXT NOT NULL
);

CREATE TABLE attempts (
    fence INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    node TEXT NOT NULL,
    leased_at REAL NOT NULL,
    lease_until REAL,
    account TEXT NOT NULL,
    instance_id TEXT,
    runner TEXT,
    started_at REAL,
    ended_at REAL,
    outcome TEXT,
    error TEXT,
    session_id TEXT,
    cost_usd REAL,
    partial INTEGER NOT NULL,
    result_hash TEXT
);
CREATE INDEX attempts_task ON attempts (task_id);
CREATE INDEX attempts_open ON attempts (node) WHERE ended_at IS NULL;

CREATE TABLE usage (
    fence INTEGER NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    cost_usd REAL,
    estimate_usd REAL,
    PRIMARY KEY (fence, model)
) WITHOUT ROWID;

CREATE TABLE costs (
    fence INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    node TEXT NOT NULL,
    specialist TEXT,
    conversation TEXT,
    at REAL NOT NULL,
    day TEXT NOT NULL,
    cost_usd REAL,
    estimate_usd REAL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    partial INTEGER NOT NULL,
    fenced INTEGER NOT NULL
);
CREATE INDEX costs_at ON costs (at);
CREATE INDEX costs_task ON costs (task_id);
CREATE INDEX costs_day ON costs (day);

CREATE TABLE days (
    day TEXT PRIMARY KEY,
    cost_usd REAL NOT NULL,
    lifted_usd REAL NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    slots INTEGER NOT NULL,
    registered_at REAL NOT NULL,
    labels TEXT NOT NULL,
    specialists TEXT NOT NULL,
    runners TEXT NOT NULL,
    account TEXT,
    version TEXT,
    instance_id TEXT,
    facts TEXT NOT NULL,
    accepting INTEGER NOT NULL,
    not_accepting_reason TEXT,
    draining INTEGER NOT NULL,
    drain_note TEXT,
    drain_until REAL,
    heartbeat_at REAL,
    success REAL NOT NULL,
    -- Drawn anew with every change but a heartbeat, so that a record read once can be kept.
    revision INTEGER NOT NULL DEFAULT (random())
) WITHOUT ROWID;

CREATE TABLE breakers (
    node TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    fails INTEGER NOT NULL,
    window_start REAL,
    opens INTEGER NOT NULL,
    until REAL,
    probe_fence INTEGER,
    probe_until REAL,
    reason TEXT,
    evidence TEXT NOT NULL,
    opened_at REAL,
    healthy_since REAL,
    changed_at REAL
) WITHOUT ROWID;

CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    paused_until REAL,
    reason TEXT,
    pauses INTEGER NOT NULL,
    restarting INTEGER NOT NULL,
    probe_fence INTEGER,
    next_start_at REAL,
    ramp_left INTEGER NOT NULL,
    changed_at REAL
) WITHOUT ROWID;

CREATE TABLE approvals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    asked_at REAL NOT NULL,
    state TEXT NOT NULL,
    task_id INTEGER,
    fence INTEGER,
    node TEXT,
    ask_id TEXT,
    tool TEXT,
    detail TEXT NOT NULL,
    choices TEXT NOT NULL,
    digest TEXT NOT NULL,
    risk TEXT NOT NULL,
    chat TEXT,
    day TEXT,
    answered_at REAL,
    answered_by TEXT,
    answered_via TEXT,
    note TEXT,
    answer TEXT,
    delivered INTEGER NOT NULL
);
CREATE UNIQUE INDEX approvals_pending ON approvals (code) WHERE state = 'pending';
CREATE INDEX approvals_code ON approvals (code, id);
CREATE INDEX approvals_task ON approvals (task_id);
CREATE INDEX approvals_undelivered ON approvals (fence)
    WHERE delivered = 0 AND fence IS NOT NULL AND state IN ('approved', 'denied');
CREATE UNIQUE INDEX approvals_ask ON approvals (fence, ask_id) WHERE ask_id IS NOT NULL;

CREATE TABLE inbound (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guid TEXT NOT NULL UNIQUE,
    chat TEXT NOT NULL,
    sender TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_at REAL NOT NULL,
    received_at REAL NOT NULL,
    row_order INTEGER,
    reply_to TEXT,
    tapback TEXT,
    task_id INTEGER,
    approval_id INTEGER
);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    chat TEXT NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    task_id INTEGER,
    approval_id INTEGER,
    claim TEXT,
    claimed_until REAL,
    claims INTEGER NOT NULL,
    guid TEXT,
    row_order INTEGER,
    error TEXT,
    maybe_duplicate INTEGER NOT NULL,
    inbound_id INTEGER
);
CREATE INDEX outbox_open ON outbox (id) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_task ON outbox (task_id);
CREATE INDEX outbox_approval ON outbox (approval_id) WHERE approval_id IS NOT NULL;
CREATE INDEX outbox_inbound ON outbox (inbound_id) WHERE inbound_id IS NOT NULL;
CREATE UNIQUE INDEX outbox_final ON outbox (task_id) WHERE kind = 'final';

-- Which bubble speaks of which task or question, for inline replies and tapbacks.
CREATE TABLE bubbles (
    guid TEXT PRIMARY KEY,
    task_id INTEGER,
    approval_id INTEGER
) WITHOUT ROWID;

CREATE TABLE chats (
    chat TEXT PRIMARY KEY,
    sender TEXT NOT NULL,
    last_at REAL NOT NULL
) WITHOUT ROWID;

-- How much of a result a thread was shown, for `more`.
CREATE TABLE shown (
    chat TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    chars INTEGER NOT NULL,
    PRIMARY KEY (chat, task_id)
) WITHOUT ROWID;

CREATE TABLE output (
    fence INTEGER NOT NULL,
    n INTEGER NOT NULL,
    at REAL NOT NULL,
    item BLOB NOT NULL,
    PRIMARY KEY (fence, n)
) WITHOUT ROWID;
CREATE INDEX output_at ON output (at);

CREATE TABLE files (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content BLOB NOT NULL,
    created_at REAL NOT NULL
);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    last_used_at REAL,
    revoked_at REAL
) WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('epoch', '0'), ('fence_seq', '0');

PRAGMA user_version = 1;
COMMIT;
