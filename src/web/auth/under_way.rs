//! Logins that began here and go on at a provider. In memory: a restart, or ten minutes, and one begins again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Minted, hash};
use crate::{db::SecretHash, sign_in::Pending};

const LIFETIME: Duration = Duration::from_mins(10);
/// A flood makes the oldest be forgotten.
const MAX_UNDER_WAY: usize = 1000;

#[derive(Default)]
pub(in crate::web) struct UnderWay {
    by_state: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    began: Instant,
    /// Of the browser that began: nobody can have somebody else end a login they began themselves.
    browser: SecretHash,
    next: String,
    pending: Pending,
}

impl UnderWay {
    /// Keeps a login; the secret is for a cookie of the browser.
    pub(in crate::web) fn keep(&self, state: String, pending: Pending, next: String) -> String {
        let browser = Minted::new();
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.began.elapsed() < LIFETIME);
        if entries.len() >= MAX_UNDER_WAY
            && let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.began).map(|(state, _)| state.clone())
        {
            entries.remove(&oldest);
        }
        entries.insert(state, Entry { began: Instant::now(), browser: browser.hash, next, pending });
        browser.secret
    }

    /// The login that this browser began with this provider, and where it wants to go. It can be taken once.
    pub(in crate::web) fn take(&self, provider: &str, state: &str, browser: &str) -> Option<(Pending, String)> {
        let mut entries = self.entries();
        let entry = entries.get(state)?;
        let is_its = entry.browser == hash(browser) && entry.pending.provider == provider;
        if !is_its || entry.began.elapsed() >= LIFETIME {
            return None;
        }
        entries.remove(state).map(|entry| (entry.pending, entry.next))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.by_state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
