-- What a person left out of the result: a JSON list of ids.
ALTER TABLE tasks ADD COLUMN left_out TEXT;
