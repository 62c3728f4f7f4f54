//! `/tasks/{id}/live`: the story as it goes on, as server-sent pieces of the page.
//!
//! The data of a message is HTML: elements with ids, which take the place of those on the page or are added to the
//! story. The id of a message is the last event in it, so a connection that broke off goes on where it was.

use std::{convert::Infallible, time::Duration};

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, sse},
};
use futures_util::stream;
use tokio::time::timeout;

use super::{
    story::{BlockPiece, Story},
    task_view::{StatePiece, TaskView},
};
use crate::{
    domain::{task::Status, task_id::TaskId},
    web::{
        AppState,
        api::events::{After, streamed},
        error::WebError,
        extract::{Query, TaskPath},
        feed::Feed,
    },
};

/// How often the place in the queue is looked up again.
const QUEUE_PAUSE: Duration = Duration::from_secs(5);

struct Telling {
    state: AppState,
    id: TaskId,
    feed: Feed,
    story: Story,
    status: Status,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let after = query.resume(&headers);
    let Some((feed, task)) = Feed::resume(&state, id.clone(), after).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let story = Story::resume(&state, &id, after).await?;
    let telling = Telling { state, id, feed, story, status: task.status };
    Ok(streamed(stream::unfold(telling, async |mut telling| match telling.next().await {
        Ok(Some(message)) => Some((Ok::<_, Infallible>(message), telling)),
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "a live page broke off");
            None
        }
    })))
}

impl Telling {
    /// The next message; `None` when the task has ended or the server stops.
    async fn next(&mut self) -> Result<Option<sse::Event>, WebError> {
        let pause = if self.status == Status::Queued { QUEUE_PAUSE } else { Duration::MAX };
        let events = match timeout(pause, self.feed.next()).await {
            Ok(events) => events?,
            // Nothing happened, but others in the queue may have moved on.
            Err(_) => Some(Vec::new()),
        };
        let Some(events) = events else { return Ok(None) };
        let mut html = String::new();
        for event in &events {
            html.push_str(&BlockPiece { block: &self.story.tell(event) }.render()?);
        }
        let view = TaskView::load(&self.state, &self.id).await?;
        self.status = view.task.status;
        html.push_str(&StatePiece { view: &view }.render()?);
        let message = sse::Event::default().data(html);
        Ok(Some(match events.last() {
            Some(last) => message.id(last.seq.to_string()),
            None => message,
        }))
    }
}
