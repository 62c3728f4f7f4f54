//! The time of day, which somebody may set at any moment. It is only for what people read and for what they agreed on in
//! days: whatever waits, measures or limits takes `Instant`, and order is by number. Clippy keeps everybody else from it.

use std::time::SystemTime;

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    #[cfg(debug_assertions)]
    let now = now + shifted::by();
    now
}

/// For comparing with the times of files, which have the same clock.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn of_files() -> SystemTime {
    SystemTime::now()
}

/// A clock that was set. Only in builds for tests: it counts for the process, and nobody else's clock moves.
#[cfg(debug_assertions)]
pub(crate) mod shifted {
    use std::{fs, path::PathBuf, sync::OnceLock};

    use jiff::SignedDuration;

    static FILE: OnceLock<PathBuf> = OnceLock::new();

    /// From now on the clock is ahead by as many seconds as the file says at the moment.
    pub(crate) fn follow(file: PathBuf) {
        let _ = FILE.set(file);
    }

    pub(super) fn by() -> SignedDuration {
        let ahead = FILE.get().and_then(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        let ahead = SignedDuration::from_secs(ahead.unwrap_or(0));
        #[cfg(test)]
        let ahead = ahead + in_process::by();
        ahead
    }

    #[cfg(test)]
    pub(crate) use in_process::set;

    /// Each test is a process of its own.
    #[cfg(test)]
    mod in_process {
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
}
