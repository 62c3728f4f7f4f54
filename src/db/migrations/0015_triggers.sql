-- What on a forge began a task, and how far the issue was told of it.
CREATE TABLE triggers (
    task_id TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    forge   TEXT NOT NULL, -- the section of the configuration
    key     TEXT NOT NULL, -- one wish begins one task, however often it arrives
    content TEXT NOT NULL,
    told    TEXT,          -- the last answer: null, begun, ended
    UNIQUE (forge, key)
) STRICT, WITHOUT ROWID;
