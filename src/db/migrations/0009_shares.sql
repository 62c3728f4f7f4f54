-- Links that let anybody read a task, or a part of it. Only a hash of the link is kept.
CREATE TABLE shares (
    id             TEXT PRIMARY KEY,
    token_hash     BLOB NOT NULL UNIQUE,
    task_id        TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    scope          TEXT NOT NULL, -- JSON
    made_by        INTEGER NOT NULL REFERENCES people (id),
    created_at     TEXT NOT NULL,
    expires_at     TEXT,          -- null: never
    last_opened_at TEXT,
    opened         INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_task ON shares (task_id, created_at);
