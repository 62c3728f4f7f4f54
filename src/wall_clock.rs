//! The time of day, which somebody may set at any moment. It is only for what people read and for what they agreed on in
//! days: whatever waits, measures or limits takes `Instant`, and order is by number. Clippy keeps everybody else from it.

use std::time::SystemTime;

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    #[cfg(test)]
    let now = now + shifted::by();
    now
}

/// For comparing with the times of files, which have the same clock.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn of_files() -> SystemTime {
    SystemTime::now()
}

/// A clock that was set, in tests. It counts for the process; each test has one of its own.
#[cfg(test)]
pub(crate) mod shifted {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::SignedDuration;

    static SECONDS: AtomicI64 = AtomicI64::new(0);

    pub(crate) fn set(by: SignedDuration) {
        SECONDS.store(by.as_secs(), Ordering::SeqCst);
    }

    pub(super) fn by() -> SignedDuration {
        SignedDuration::from_secs(SECONDS.load(Ordering::SeqCst))
    }
}
