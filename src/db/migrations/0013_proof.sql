-- Checks that were given with the task: a JSON array of commands.
ALTER TABLE tasks ADD COLUMN checks TEXT NOT NULL DEFAULT '[]';
-- The checks as the server itself ran them, of the last turn: a JSON object.
ALTER TABLE tasks ADD COLUMN verification TEXT;
