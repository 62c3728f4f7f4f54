//! `/tasks/{id}/live`: the story as it goes on, as server-sent pieces of the page.
//!
//! The data of a message is HTML: elements with ids, which take the place of those on the page or are added to the
//! story. The id of a message is the last event in it, so a connection that broke off goes on where it was.

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, sse},
};
use futures_util::stream;

use super::{
    links::TaskLinks,
    story::{BlockPiece, Story},
    surroundings::Surroundings,
    task_view::{StatePiece, TaskView},
};
use crate::{
    domain::task::Task,
    web::{
        AppState,
        api::events::{After, streamed},
        error::WebError,
        extract::Query,
        feed::Feed,
        language::{self, Language},
        notice::{self, NoticesPiece},
        reading::Reading,
    },
};

struct Telling {
    state: AppState,
    task: Task,
    feed: Feed,
    surroundings: Surroundings,
    story: Story,
    links: TaskLinks,
    language: Language,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    Reading { id, links, who }: Reading,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let after = query.resume(&headers);
    let Some((feed, task)) = Feed::resume(&state, id.clone(), after).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let story = Story::resume(&state, &id, after, links.reader).await?;
    let surroundings = Surroundings::of(&state);
    let telling = Telling { state, task, feed, surroundings, story, links, language: language::current() };
    let dismissed = who.dismissed(telling.state.db.clone());
    let messages = stream::unfold(telling, async |mut telling| match telling.language.during(telling.next()).await {
        Ok(Some(message)) => Some((Ok::<_, Infallible>(message), telling)),
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "a live page broke off");
            None
        }
    });
    Ok(streamed(messages, dismissed))
}

impl Telling {
    /// The next message; `None` when the task has ended or the server stops.
    async fn next(&mut self) -> Result<Option<sse::Event>, WebError> {
        let events = tokio::select! {
            biased;
            events = self.feed.next() => events?,
            changed = self.surroundings.changed(&self.task) => changed.map(|()| Some(Vec::new()))?,
        };
        let Some(events) = events else { return Ok(None) };
        let events = self.links.reader.value(events)?;
        let mut html = String::new();
        for block in events.iter().flat_map(|event| self.story.tell(event)) {
            html.push_str(&BlockPiece { block: &block }.render()?);
        }
        let view = TaskView::load(&self.state, &self.task.id, self.links.clone()).await?;
        html.push_str(&StatePiece { view: &view }.render()?);
        if !self.links.reader.is_visitor() {
            html.push_str(&NoticesPiece { notices: &notice::now(&self.state) }.render()?);
        }
        self.task = view.task;
        let message = sse::Event::default().data(html);
        Ok(Some(match events.last() {
            Some(last) => message.id(last.seq.to_string()),
            None => message,
        }))
    }
}
