-- What people remark on lines of a diff, until it goes along with the next thing the task is told.
CREATE TABLE remarks (
    number    INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: a late request to remove one meets no other
    task_id   TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    path      TEXT NOT NULL,
    side      TEXT NOT NULL CHECK (side IN ('old', 'new')),
    line      INTEGER NOT NULL,
    line_text TEXT NOT NULL,
    text      TEXT NOT NULL
) STRICT;
CREATE INDEX remarks_by_task ON remarks (task_id);
