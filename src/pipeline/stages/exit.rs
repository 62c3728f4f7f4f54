//! The way out of a setup that has no network: the proxy while `setup.sh` runs, and the ledger of who asked for what.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{
    artifacts::CappedLog,
    domain::{
        address::{AddressPolicy, AllowedHost},
        event::EventBody,
        task::Task,
    },
    pipeline::Pipeline,
    sandbox::{ExitEntry, ExitProxy, ExitRules},
};

/// An open way out. Dropping it closes it, without the end of the ledger.
#[derive(Debug)]
pub(super) struct Exit {
    proxy: ExitProxy,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug)]
struct Ledger {
    log: CappedLog,
    /// Each is a warning once.
    refused: BTreeSet<String>,
}

const MAX_LEDGER: u64 = 1024 * 1024;
/// More are in the ledger only.
const MAX_WARNINGS: usize = 20;
/// Where `atelier agent` brings the proxy to.
const PROXY: &str = "http://127.0.0.1:3128";

impl Exit {
    pub(super) fn open(pipeline: &Pipeline, task: &Task) -> io::Result<Self> {
        let sandbox = &pipeline.config.sandbox;
        let networks = sandbox.setup_allow.iter().copied().map(AllowedHost::Network).collect();
        let rules = ExitRules { hosts: sandbox.proxy_allow.clone(), addresses: AddressPolicy::new(networks) };
        let log = CappedLog::create(&pipeline.data_dir.task_logs(&task.id).join("network.log"), MAX_LEDGER)?;
        let ledger = Arc::new(Mutex::new(Ledger { log, refused: BTreeSet::new() }));
        let (book, db, id) = (ledger.clone(), pipeline.db.clone(), task.id.clone());
        let write = move |entry: ExitEntry| {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            let at = Timestamp::now();
            let (line, warning) = match entry {
                ExitEntry::LetThrough { method, target } => (format!("{at:.3} {method} {target} let through\n"), None),
                ExitEntry::Refused { method, target, reason } => {
                    let is_news = book.refused.len() < MAX_WARNINGS && book.refused.insert(target.clone());
                    let warning = is_news.then(|| format!("setup.sh asked for {target}, which was refused: {reason}."));
                    (format!("{at:.3} {method} {target} refused: {reason}\n"), warning)
                }
            };
            book.log.write(line.as_bytes());
            if let Some(message) = warning {
                db.append_event_later(&id, EventBody::Warning { message });
            }
        };
        let proxy = ExitProxy::start(&pipeline.data_dir.task(&task.id).exit_socket(), rules, write)?;
        Ok(Self { proxy, ledger })
    }

    /// What programs look for.
    pub(super) fn environment() -> Vec<String> {
        let java =
            "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128";
        let mut variables: Vec<String> = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
            .iter()
            .map(|name| format!("{name}={PROXY}"))
            .collect();
        variables.extend(["no_proxy", "NO_PROXY"].map(|name| format!("{name}=localhost,127.0.0.1,::1")));
        // Maven and Gradle run in Java, which reads no other variable; Node asks to be asked.
        variables.push(format!("JAVA_TOOL_OPTIONS={java}"));
        variables.push("NODE_USE_ENV_PROXY=1".to_owned());
        variables
    }

    /// Cuts what is open, and brings the ledger to its end.
    pub(super) fn close(self) -> io::Result<()> {
        drop(self.proxy);
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).log.finish()
    }
}
