-- How far the publishing of a task is: a branch and a pull request on a forge. It goes on after the task has ended.
ALTER TABLE tasks ADD COLUMN pull_request TEXT;
