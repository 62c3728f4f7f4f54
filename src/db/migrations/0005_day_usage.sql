-- What all tasks used of models, by day of UTC; tasks may go, these sums stay.
CREATE TABLE day_usage (
    day             TEXT PRIMARY KEY,
    input_tokens    INTEGER NOT NULL,
    cached_tokens   INTEGER NOT NULL,
    output_tokens   INTEGER NOT NULL,
    cost_usd        REAL NOT NULL, -- of the answers that have a price
    unpriced_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
