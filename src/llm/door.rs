//! The door to one provider: how many requests may be under way, how many may begin in a minute, and whether it takes our key.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{Answer, Listener, LlmError, Model, Request, refusals::Refusals};

/// How much of a provider may be used at once; `None` for as much as one likes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    pub(crate) max_concurrent: Option<usize>,
    pub(crate) requests_per_minute: Option<usize>,
}

/// A model behind the door of its provider.
#[derive(Debug)]
pub(super) struct Door<M> {
    provider: String,
    pace: Pace,
    places: Semaphore,
    /// When the requests of the last minute began, the oldest first.
    begun: Mutex<VecDeque<Instant>>,
    refusals: Arc<Refusals>,
    inner: Arc<M>,
}

const MINUTE: Duration = Duration::from_mins(1);

impl<M: Model> Door<M> {
    pub(super) fn new(provider: String, pace: Pace, refusals: Arc<Refusals>, inner: Arc<M>) -> Self {
        let places = Semaphore::new(pace.max_concurrent.unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS));
        Self { provider, pace, places, begun: Mutex::default(), refusals, inner }
    }

    async fn pass(&self, request: &Request<'_>) -> Result<Answer, LlmError> {
        self.refusals.keep_out(request.model_id)?;
        let _place = self.place(request.listener).await;
        self.turn(request.listener).await;
        // The key may have been refused to somebody else meanwhile.
        self.refusals.probe(request.model_id)?;
        let answer = self.inner.answer(request).await;
        self.refusals.learn(request.model_id, answer.as_ref().err());
        answer
    }

    async fn place(&self, listener: Listener<'_>) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let most = self.pace.max_concurrent.unwrap_or_default();
        listener.tell(format!("Waiting for a free place at {}: {most} of {most} in use.", self.provider));
        self.places.acquire().await.ok()
    }

    /// Waits until a minute holds one more request.
    async fn turn(&self, listener: Listener<'_>) {
        let Some(most) = self.pace.requests_per_minute else { return };
        let mut told = false;
        while let Some(free_at) = self.begin_or_wait(most) {
            if !std::mem::replace(&mut told, true) {
                let seconds = free_at.saturating_duration_since(Instant::now()).as_secs() + 1;
                listener.tell(format!(
                    "Waiting about {seconds} s: {} is asked {most} times a minute at most (requests_per_minute).",
                    self.provider
                ));
            }
            tokio::time::sleep_until(free_at).await;
        }
    }

    /// Begins now, or says when to look again.
    fn begin_or_wait(&self, most: usize) -> Option<Instant> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while begun.front().is_some_and(|begun| *begun + MINUTE <= now) {
            begun.pop_front();
        }
        if begun.len() < most {
            begun.push_back(now);
            return None;
        }
        begun.front().map(|oldest| *oldest + MINUTE)
    }
}

impl<M: Model> Model for Door<M> {
    fn answer<'a>(&'a self, request: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
        Box::pin(self.pass(request))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::domain::{conversation::AssistantMessage, model_name::Models, usage::Usage};
    use crate::llm::Hold;

    /// Counts who comes in, and answers when told to, as told.
    #[derive(Debug, Default)]
    struct Room {
        came: AtomicUsize,
        inside: AtomicUsize,
        most_inside: AtomicUsize,
        go_on: Notify,
        waits: bool,
        refuses: Mutex<Option<u16>>,
    }

    impl Model for Room {
        fn answer<'a>(&'a self, _: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
            Box::pin(async move {
                self.came.fetch_add(1, Ordering::SeqCst);
                let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
                self.most_inside.fetch_max(inside, Ordering::SeqCst);
                if self.waits {
                    self.go_on.notified().await;
                }
                self.inside.fetch_sub(1, Ordering::SeqCst);
                if let Some(status) = *self.refuses.lock().unwrap() {
                    return Err(LlmError::Refused { status: Some(status), message: "check ACME_KEY".to_owned() });
                }
                let (message, usage) = (AssistantMessage::default(), Usage::default());
                Ok(Answer { message, usage, raw: String::new() })
            })
        }
    }

    fn door(pace: Pace, room: Room) -> Door<Room> {
        let refusals = Refusals::new("acme".to_owned(), MINUTE);
        Door::new("acme".to_owned(), pace, Arc::new(refusals), Arc::new(room))
    }

    async fn ask(door: &Door<Room>, model_id: &str, heard: &Mutex<Vec<String>>) -> Result<Answer, LlmError> {
        let hear = |sentence| heard.lock().unwrap().push(sentence);
        let listener = Listener::new(&hear);
        door.answer(&Request {
            model_id,
            messages: &[],
            tools: &[],
            max_output_tokens: 1,
            listener,
            hold: Hold::default(),
        })
        .await
    }

    #[tokio::test]
    async fn no_more_than_the_places_are_in_use_and_who_waits_is_told_why() {
        let pace = Pace { max_concurrent: Some(2), ..Pace::default() };
        let door = door(pace, Room { waits: true, ..Room::default() });
        let heard = Mutex::default();
        let three = async { tokio::join!(ask(&door, "m", &heard), ask(&door, "m", &heard), ask(&door, "m", &heard)) };
        let usher = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                door.inner.go_on.notify_one();
            }
        };
        let ((a, b, c), ()) = tokio::join!(three, usher);
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(door.inner.most_inside.load(Ordering::SeqCst), 2);
        assert_eq!(*heard.lock().unwrap(), ["Waiting for a free place at acme: 2 of 2 in use."]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_holds_so_many_requests() {
        let door = door(Pace { requests_per_minute: Some(2), ..Pace::default() }, Room::default());
        let (heard, started) = (Mutex::default(), Instant::now());
        for (number, begins_after) in [(1, 0), (2, 0), (3, 60), (4, 60), (5, 120)] {
            ask(&door, "m", &heard).await.unwrap();
            assert_eq!(started.elapsed().as_secs(), begins_after, "request {number}");
        }
        let heard = heard.lock().unwrap();
        assert!(heard.len() == 2 && heard[0].contains("acme is asked 2 times a minute at most"), "{heard:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn f16_a_refused_key_is_tried_once_a_minute_until_it_is_taken() {
        let door = door(Pace::default(), Room::default());
        let heard = Mutex::default();
        let came = || door.inner.came.load(Ordering::SeqCst);
        *door.inner.refuses.lock().unwrap() = Some(401);
        for model in ["m", "m", "other"] {
            let error = ask(&door, model, &heard).await.unwrap_err();
            assert!(error.to_string().starts_with("check ACME_KEY") && !error.is_retryable(), "{error}");
        }
        assert_eq!(came(), 1);
        assert_eq!(door.refusals.standing()[0].models, Models::Of { provider: "acme".to_owned() });
        tokio::time::advance(MINUTE).await;
        assert!(ask(&door, "m", &heard).await.is_err() && ask(&door, "m", &heard).await.is_err());
        assert_eq!(came(), 2);
        *door.inner.refuses.lock().unwrap() = None;
        tokio::time::advance(MINUTE).await;
        for _ in 0..3 {
            ask(&door, "other", &heard).await.unwrap();
        }
        assert_eq!(came(), 5);
        assert_eq!(door.refusals.standing(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn f16_a_model_that_is_forbidden_keeps_the_others_open() {
        let door = door(Pace::default(), Room::default());
        let heard = Mutex::default();
        *door.inner.refuses.lock().unwrap() = Some(403);
        assert!(ask(&door, "secret", &heard).await.is_err() && ask(&door, "secret", &heard).await.is_err());
        *door.inner.refuses.lock().unwrap() = None;
        assert!(ask(&door, "secret", &heard).await.is_err() && ask(&door, "open", &heard).await.is_ok());
        assert_eq!(door.inner.came.load(Ordering::SeqCst), 2);
        assert_eq!(door.refusals.standing()[0].models, Models::One("acme/secret".parse().unwrap()));
    }
}
