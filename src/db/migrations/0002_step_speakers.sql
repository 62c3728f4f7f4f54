-- Who may speak for the agent of a task: whoever spoke first. Only a hash of its secret is kept; NULL for a program that
-- sent none.
CREATE TABLE step_speakers (
    task_id     TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    secret_hash BLOB
) STRICT, WITHOUT ROWID;
