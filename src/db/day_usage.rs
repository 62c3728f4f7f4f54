//! What tasks used of models, by day and person.

use rusqlite::{Connection, params};

use super::{Db, DbError};
use crate::domain::{
    day_budget::{self, DayUsage},
    person::{PersonId, Scope},
    usage::Usage,
};
use crate::wall_clock;

impl Db {
    /// Counts what somebody used of a model beside any task.
    pub(crate) async fn note_usage(&self, person: PersonId, usage: Usage) -> Result<(), DbError> {
        self.write(move |transaction| add(transaction, person, &usage)).await
    }

    pub(crate) async fn usage_today(&self, scope: Scope) -> Result<DayUsage, DbError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0), coalesce(sum(output_tokens), 0),
                        coalesce(sum(cost_usd), 0.0), coalesce(sum(unpriced_tokens), 0)
                 FROM person_day_usage WHERE day = ?1 AND (?2 IS NULL OR person = ?2)",
            )?;
            let today = params![day_budget::day(wall_clock::now()), scope.person().map(|person| person.0)];
            let used = statement.query_row(today, |row| {
                Ok(DayUsage {
                    input_tokens: row.get(0)?,
                    cached_tokens: row.get(1)?,
                    output_tokens: row.get(2)?,
                    cost_usd: row.get(3)?,
                    unpriced_tokens: row.get(4)?,
                })
            });
            Ok(used?)
        })
        .await
    }
}

/// Adds what one answer used to the sums of today.
pub(super) fn add(connection: &Connection, owner: PersonId, usage: &Usage) -> Result<(), DbError> {
    let added = DayUsage::default().plus(*usage);
    connection
        .prepare_cached(
            "INSERT INTO person_day_usage
                (day, person, input_tokens, cached_tokens, output_tokens, cost_usd, unpriced_tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (day, person) DO UPDATE SET
                input_tokens = input_tokens + excluded.input_tokens,
                cached_tokens = cached_tokens + excluded.cached_tokens,
                output_tokens = output_tokens + excluded.output_tokens,
                cost_usd = cost_usd + excluded.cost_usd,
                unpriced_tokens = unpriced_tokens + excluded.unpriced_tokens",
        )?
        .execute(params![
            day_budget::day(wall_clock::now()),
            owner.0,
            added.input_tokens,
            added.cached_tokens,
            added.output_tokens,
            added.cost_usd,
            added.unpriced_tokens
        ])?;
    Ok(())
}
