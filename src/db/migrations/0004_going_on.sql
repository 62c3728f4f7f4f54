-- What a server needs to go on with a running task after it was restarted.
ALTER TABLE tasks ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;   -- a container that is taken back is no new attempt
ALTER TABLE tasks ADD COLUMN worked_ms INTEGER NOT NULL DEFAULT 0; -- the clock of the task: it stands while no server runs
ALTER TABLE tasks ADD COLUMN checkpoint TEXT;                      -- what the stages leave for each other
ALTER TABLE tasks ADD COLUMN memory TEXT;                          -- of the brain, beside the conversation
ALTER TABLE tasks ADD COLUMN ending TEXT;                          -- decided before anything is collected; the first one counts
ALTER TABLE tasks ADD COLUMN collected INTEGER NOT NULL DEFAULT 0;

-- Nothing of this is known of a task that an earlier version left running.
UPDATE tasks
SET ending = '{"status":"failed","failure":{"kind":"server_restarted","message":"The server was updated while the task ran. Start the task again."}}'
WHERE status = 'running';
ALTER TABLE tasks DROP COLUMN halted;
