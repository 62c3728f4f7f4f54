-- Hosts that the proxy lets through for this task, besides those of the configuration: a JSON array of patterns.
ALTER TABLE tasks ADD COLUMN allow_hosts TEXT NOT NULL DEFAULT '[]';
