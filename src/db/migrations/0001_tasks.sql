-- Times are RFC 3339 in UTC; nested values are JSON.
CREATE TABLE tasks (
    position    INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of submission: queue and list go by it
    id          TEXT NOT NULL UNIQUE,
    status      TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    stage       TEXT,
    halted      INTEGER NOT NULL DEFAULT 0, -- the work broke off: stage stays where it was
    mode        TEXT NOT NULL,
    model       TEXT NOT NULL,
    image       TEXT NOT NULL,
    source      TEXT NOT NULL,
    instruction TEXT NOT NULL,
    limits      TEXT NOT NULL,
    summary     TEXT,
    failure     TEXT,
    usage       TEXT NOT NULL,
    steps       INTEGER NOT NULL DEFAULT 0,
    diff        TEXT,
    created_at  TEXT NOT NULL,
    started_at  TEXT,
    finished_at TEXT
) STRICT;
CREATE INDEX tasks_by_status ON tasks (status, position);

-- What happened, in order; seq counts from 1 within a task.
CREATE TABLE events (
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    at      TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;

-- The conversation with the model, append-only.
CREATE TABLE messages (
    task_id  TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    message  TEXT NOT NULL,
    PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;

-- What was answered to the agent: stored before it is sent, so that a repeated request costs nothing.
CREATE TABLE replies (
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    reply   TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;

-- Logged-in browsers; only a hash of the cookie is kept.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
