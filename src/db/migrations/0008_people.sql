-- People. The owner is number 1 and has been here all along; who is removed stays as a row, for their tasks stay.
CREATE TABLE people (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    name_key      TEXT UNIQUE,                 -- the name in lower case, which a login goes by; NULL of who was removed
    email         TEXT,
    password_hash TEXT,                        -- argon2id; NULL of who has none
    created_at    TEXT NOT NULL,
    last_seen_at  TEXT,
    removed_at    TEXT,
    last_turn     INTEGER NOT NULL DEFAULT 0   -- the queue's count when a task of theirs started last
) STRICT;
INSERT INTO people (id, name, name_key, created_at) VALUES (1, 'owner', 'owner', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'));

-- Who asked for a task. (A column with a default cannot refer to a table; rows of people are never deleted.)
ALTER TABLE tasks ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
CREATE INDEX tasks_by_owner ON tasks (owner, position);
CREATE INDEX tasks_by_owner_and_status ON tasks (owner, status, position);

-- Sessions so far began with the token of the owner.
ALTER TABLE sessions ADD COLUMN person INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN seen_at TEXT;
ALTER TABLE sessions ADD COLUMN browser TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_person ON sessions (person);

-- Of these three, too, only a hash of the secret is kept.
CREATE TABLE api_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash BLOB NOT NULL UNIQUE,
    person     INTEGER NOT NULL REFERENCES people (id),
    name       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    seen_at    TEXT
) STRICT;
CREATE INDEX api_tokens_by_person ON api_tokens (person);

CREATE TABLE invites (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    email      TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

-- How people sign in elsewhere: who they are there, by the name of the section in the configuration.
CREATE TABLE identities (
    provider TEXT NOT NULL,
    subject  TEXT NOT NULL,
    person   INTEGER NOT NULL REFERENCES people (id),
    login    TEXT NOT NULL,
    PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_by_person ON identities (person);

-- What a day used, now by person.
CREATE TABLE person_day_usage (
    day             TEXT NOT NULL,
    person          INTEGER NOT NULL,
    input_tokens    INTEGER NOT NULL,
    cached_tokens   INTEGER NOT NULL,
    output_tokens   INTEGER NOT NULL,
    cost_usd        REAL NOT NULL, -- of the answers that have a price
    unpriced_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, person)
) STRICT, WITHOUT ROWID;
INSERT INTO person_day_usage
SELECT day, 1, input_tokens, cached_tokens, output_tokens, cost_usd, unpriced_tokens FROM day_usage;
DROP TABLE day_usage;
