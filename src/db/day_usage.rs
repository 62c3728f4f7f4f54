//! What all tasks together used of models, by day.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Db, DbError};
use crate::domain::{
    day_budget::{self, DayUsage},
    usage::Usage,
};
use crate::wall_clock;

impl Db {
    pub(crate) async fn usage_today(&self) -> Result<DayUsage, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT input_tokens, cached_tokens, output_tokens, cost_usd, unpriced_tokens FROM day_usage
                 WHERE day = ?1",
            )?;
            let today = statement.query_row([day_budget::day(wall_clock::now())], |row| {
                Ok(DayUsage {
                    input_tokens: row.get(0)?,
                    cached_tokens: row.get(1)?,
                    output_tokens: row.get(2)?,
                    cost_usd: row.get(3)?,
                    unpriced_tokens: row.get(4)?,
                })
            });
            Ok(today.optional()?.unwrap_or_default())
        })
        .await
    }
}

/// Adds what one answer used to the sums of today.
pub(super) fn add(connection: &Connection, usage: &Usage) -> Result<(), DbError> {
    let added = DayUsage::default().plus(*usage);
    connection
        .prepare_cached(
            "INSERT INTO day_usage (day, input_tokens, cached_tokens, output_tokens, cost_usd, unpriced_tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (day) DO UPDATE SET
                input_tokens = input_tokens + excluded.input_tokens,
                cached_tokens = cached_tokens + excluded.cached_tokens,
                output_tokens = output_tokens + excluded.output_tokens,
                cost_usd = cost_usd + excluded.cost_usd,
                unpriced_tokens = unpriced_tokens + excluded.unpriced_tokens",
        )?
        .execute(params![
            day_budget::day(wall_clock::now()),
            added.input_tokens,
            added.cached_tokens,
            added.output_tokens,
            added.cost_usd,
            added.unpriced_tokens
        ])?;
    Ok(())
}
