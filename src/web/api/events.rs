//! `GET /api/tasks/{id}/events`: the event log as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use crate::{
    db::Db,
    domain::{event::Event, task_id::TaskId},
    web::{
        AppState,
        error::{Problem, WebError},
        extract::{Query, TaskPath},
        feed::Feed,
        viewer::Viewer,
    },
};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct After {
    /// Only events after this number, as `Last-Event-ID` does.
    after: Option<u64>,
    /// `false` for what has happened so far, without waiting for more.
    follow: Option<bool>,
}

impl After {
    /// The last event the client has; what its browser remembers goes before the address.
    pub(in crate::web) fn resume(&self, headers: &HeaderMap) -> u64 {
        let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        header.or(self.after).unwrap_or(0)
    }
}

/// What happens in a task, as it happens: every event once, in order, until the task has ended. The id of an event is
/// its `seq`; its data is a JSON object with `seq`, `at`, `kind` and what belongs to the kind.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/events",
    tag = "tasks",
    params(
        ("id" = String, Path),
        After,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event seen; the stream goes on after it"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 204, description = "The task has ended and all its events were seen"),
        (status = 404, body = Problem),
    ),
)]
pub(in crate::web) async fn get(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    if query.follow == Some(false) {
        let so_far = stream::unfold((state.db.clone(), id, query.resume(&headers)), so_far);
        return Ok(streamed(so_far.flatten(), viewer.dismissed(state.db)));
    }
    let Some((feed, _)) = Feed::resume(&state, id, query.resume(&headers)).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let events = stream::unfold(feed, async |mut feed| match feed.next().await {
        Ok(events) => Some((stream::iter(events?).map(|event| Ok(frame(&event))), feed)),
        Err(error) => {
            tracing::error!(%error, "an event stream broke off");
            None
        }
    });
    Ok(streamed(events.flatten(), viewer.dismissed(state.db)))
}

type Frames = stream::Iter<std::vec::IntoIter<Result<sse::Event, Infallible>>>;

/// The next events that are stored already; `None` after the last.
async fn so_far((db, id, after): (Db, TaskId, u64)) -> Option<(Frames, (Db, TaskId, u64))> {
    const PAGE: u32 = 200;
    let events = db.events_after(&id, after, PAGE).await;
    let events = events.inspect_err(|error| tracing::error!(%error, "an event stream broke off")).ok()?;
    let last = events.last()?.seq;
    let frames: Vec<_> = events.iter().map(|event| Ok(frame(event))).collect();
    Some((stream::iter(frames), (db, id, last)))
}

/// An event stream with signs of life, so that proxies and clients can tell a quiet task from a dead connection. It ends
/// when its reader may not see it any more.
pub(in crate::web) fn streamed(
    events: impl stream::Stream<Item = Result<sse::Event, Infallible>> + Send + 'static,
    dismissed: impl Future<Output = ()> + Send + 'static,
) -> Response {
    let events = events.take_until(dismissed);
    // Some proxies hold an answer back until it is complete unless told not to.
    let headers = [("x-accel-buffering", "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response()
}

fn frame(event: &Event) -> sse::Event {
    let frame = sse::Event::default().id(event.seq.to_string());
    frame.json_data(event).unwrap_or_else(|error| {
        tracing::error!(%error, seq = event.seq, "an event has no JSON");
        sse::Event::default().comment("an event is left out")
    })
}
