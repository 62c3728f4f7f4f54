//! `GET /api/usage`: what tasks used today, and what all of them may.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    domain::{
        day_budget::{day, end_of_day},
        person::Scope,
    },
    wall_clock,
    web::{AppState, error::WebError, viewer::Viewer},
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = UsageToday)]
pub(in crate::web) struct UsageBody {
    /// A day of UTC, such as `2026-11-21`.
    day: String,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    /// Of the answers whose model has a price.
    cost_usd: f64,
    /// Tokens of the others: their cost is unknown.
    unpriced_tokens: u64,
    /// `[agent] max_cost_usd_per_day`; null: no limit.
    max_cost_usd: Option<f64>,
    /// `[agent] max_tokens_per_day`; null: no limit.
    max_tokens: Option<u64>,
    /// The limit that is reached, in words: running tasks stop, others wait for the next day.
    reached: Option<String>,
}

/// What your tasks used of models today; the owner is told of all of them. The limits are for everybody together.
#[utoipa::path(get, path = "/api/usage", tag = "tasks", responses((status = 200, body = UsageBody)))]
pub(in crate::web) async fn get(State(state): State<AppState>, viewer: Viewer) -> Result<Json<UsageBody>, WebError> {
    let (now, limits) = (wall_clock::now(), state.config.agent.day_limits);
    let all = state.db.usage_today(Scope::All).await?;
    let used = state.db.usage_today(viewer.scope()).await?;
    Ok(Json(UsageBody {
        day: day(now),
        ends_at: end_of_day(now),
        input_tokens: used.input_tokens,
        cached_tokens: used.cached_tokens,
        output_tokens: used.output_tokens,
        cost_usd: used.cost_usd,
        unpriced_tokens: used.unpriced_tokens,
        max_cost_usd: limits.max_cost_usd,
        max_tokens: limits.max_tokens,
        reached: limits.reached(&all).map(|reached| reached.to_string()),
    }))
}
