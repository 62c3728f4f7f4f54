-- The repository of a task, for the list of its tasks; NULL of an archive.
ALTER TABLE tasks ADD COLUMN repository TEXT GENERATED ALWAYS AS (json_extract(source, '$.git_url')) VIRTUAL;
CREATE INDEX tasks_by_repository ON tasks (repository, position) WHERE repository IS NOT NULL;

-- What a search goes through: the id, where the code came from, and the beginning of the instruction. Three letters and more
-- are found by the index, in any language.
CREATE VIRTUAL TABLE task_texts USING fts5 (text, tokenize = 'trigram');
INSERT INTO task_texts (rowid, text)
SELECT position, id || char(10) || coalesce(json_extract(source, '$.git_url'), json_extract(source, '$.name'), '') || char(10) || substr(instruction, 1, 4000)
FROM tasks;
CREATE TRIGGER task_texts_of_new AFTER INSERT ON tasks BEGIN
    INSERT INTO task_texts (rowid, text)
    VALUES (new.position, new.id || char(10) || coalesce(json_extract(new.source, '$.git_url'), json_extract(new.source, '$.name'), '') || char(10) || substr(new.instruction, 1, 4000));
END;
CREATE TRIGGER task_texts_of_gone AFTER DELETE ON tasks BEGIN
    DELETE FROM task_texts WHERE rowid = old.position;
END;
