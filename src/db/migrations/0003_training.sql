-- What a person thought of the result; a comment only comes with a rating.
ALTER TABLE tasks ADD COLUMN rating TEXT CHECK (rating IN ('up', 'down'));
ALTER TABLE tasks ADD COLUMN comment TEXT;

-- The tools that the model was offered: training data names them, and a later version may offer others.
CREATE TABLE offered_tools (
    task_id TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    tools   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
