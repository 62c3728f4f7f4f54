-- A task can go on after its end. Its row tells of the turn that came last; a task that nobody told more has no other.
ALTER TABLE tasks ADD COLUMN turn INTEGER NOT NULL DEFAULT 1;

CREATE TABLE turns (
    place        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they were asked for
    task_id      TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    instruction  TEXT NOT NULL,
    asked_at     TEXT NOT NULL,
    behind       INTEGER NOT NULL, -- the position of the newest task then: this turn waits behind that one
    steps_before INTEGER NOT NULL,
    usage_before TEXT NOT NULL,
    own_diff     TEXT,             -- of what this turn alone changed
    outcome      TEXT,             -- what came of it, once another turn follows
    UNIQUE (task_id, number)
) STRICT;

-- What people told a task after its first instruction, kept before the model reads it.
CREATE TABLE follow_ups (
    task_id      TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    turn         INTEGER NOT NULL,
    begins_turn  INTEGER NOT NULL,
    person       INTEGER NOT NULL,
    text         TEXT NOT NULL,
    request_key  TEXT,             -- whoever sends the same again is told what came of it
    told_at      TEXT NOT NULL,
    read_at_step INTEGER,          -- null as long as the model has not read it
    PRIMARY KEY (task_id, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX follow_ups_by_key ON follow_ups (task_id, request_key) WHERE request_key IS NOT NULL;
