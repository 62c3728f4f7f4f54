//! How often links are opened, and who tries links that do not exist.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    db::Db,
    domain::share::ShareId,
    wall_clock,
    web::{
        auth::{Attempts, Source},
        error::WebError,
        extract::PeerAddress,
    },
};

/// Unknown links from one address in a minute. Known ones always open: behind a proxy everybody has one address.
const MAX_UNKNOWN: usize = 30;
/// Counts are written together: a link that is opened a thousand times a second costs one write.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(in crate::web) struct Visits {
    unknown: Attempts,
    counted: Arc<Mutex<HashMap<ShareId, (u64, Timestamp)>>>,
}

impl Visits {
    pub(in crate::web) fn new() -> Self {
        Self { unknown: Attempts::at_most(MAX_UNKNOWN), counted: Arc::default() }
    }

    /// What somebody hears whose link is not known.
    pub(super) fn unknown(&self, peer: PeerAddress) -> WebError {
        let source = Source::from(peer);
        match self.unknown.permit(&source) {
            Ok(()) => {
                self.unknown.count_failure(&source);
                WebError::NoSuchShare
            }
            Err(error) => error,
        }
    }

    /// Counts a link as opened. It is on disk a moment later; a server that is killed meanwhile forgets it.
    pub(super) fn count(&self, db: &Db, share: &ShareId) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = counted.is_empty();
        let (times, last) = counted.entry(share.clone()).or_insert((0, Timestamp::UNIX_EPOCH));
        (*times, *last) = (*times + 1, wall_clock::now());
        if is_first {
            let (db, counted) = (db.clone(), self.counted.clone());
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE).await;
                let opened = mem::take(&mut *counted.lock().unwrap_or_else(PoisonError::into_inner));
                let opened = opened.into_iter().map(|(id, (times, last))| (id, times, last)).collect();
                if let Err(error) = db.count_opened(opened).await {
                    tracing::warn!(%error, "cannot count opened share links");
                }
            });
        }
    }
}
