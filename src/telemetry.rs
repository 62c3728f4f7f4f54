//! The server's own log on stderr, without secrets. Whatever is logged while a task is worked on carries its id.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal, Write},
    panic::{self, PanicHookInfo},
};

use tracing_subscriber::EnvFilter;

use crate::{config::LogFormat, redact::MaskedWriter};

/// Starts logging; `filter` is in the form of `tracing`'s `EnvFilter`, such as `info` or `atelier=debug`.
pub(crate) fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| MaskedWriter(io::stderr())).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().with_span_list(false).init(),
    }
    // The standard hook writes past the log.
    panic::set_hook(Box::new(|panic| report(panic, io::stderr())));
}

fn report(panic: &PanicHookInfo<'_>, to: impl Write) {
    let thread = std::thread::current();
    let mut text = format!("thread {:?} {panic}\n", thread.name().unwrap_or("without a name"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text.push_str(&backtrace.to_string());
    }
    // Nobody is left to be told that stderr is gone.
    let _ = MaskedWriter(to).write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::redact;

    #[test]
    fn r61_a_panic_shows_no_secret() {
        redact::register(&"sk-panic-canary".into());
        let written = Arc::new(Mutex::new(Vec::new()));
        let to = written.clone();
        panic::set_hook(Box::new(move |panic| report(panic, &mut *to.lock().unwrap())));
        let panicked = std::thread::spawn(|| panic!("cannot use {}", ["sk-panic", "-canary"].concat())).join();
        let _ = panic::take_hook();
        assert!(panicked.is_err());
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("telemetry.rs") && text.contains("cannot use ***"), "{text}");
    }
}
