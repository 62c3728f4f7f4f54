//! The way out of a container that has no network: the proxy, while `setup.sh` runs or the agent works, and the ledger of
//! who asked for what.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    artifacts::CappedLog,
    domain::{
        address::{AddressPolicy, AllowedHost},
        event::EventBody,
        host_rule::HostRule,
        network_ledger::LedgerEntry,
        task::Task,
    },
    pipeline::Pipeline,
    sandbox::{ExitProxy, ExitRules},
    wall_clock,
};

/// An open way out. Dropping it closes it, without the end of the ledger.
#[derive(Debug)]
pub(super) struct Exit {
    proxy: ExitProxy,
    ledger: Arc<Mutex<Ledger>>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// With the line of its log that is being written.
    Setup(LineCount),
    Agent,
}

/// Counts the lines of a log as they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct LineCount(Arc<AtomicU64>);

#[derive(Debug)]
struct Ledger {
    log: CappedLog,
    /// Each is a warning once.
    refused: BTreeSet<String>,
}

const MAX_LEDGER: u64 = 1024 * 1024;
/// More are in the ledger only.
const MAX_WARNINGS: usize = 20;

impl LineCount {
    pub(super) fn add(&self, written: &[u8]) {
        let ends = written.split(|byte| *byte == b'\n').count() - 1;
        self.0.fetch_add(ends as u64, Ordering::Relaxed);
    }

    /// The last line that is complete, or the first one.
    fn current(&self) -> u64 {
        self.0.load(Ordering::Relaxed).max(1)
    }
}

impl Exit {
    pub(super) fn open(pipeline: &Pipeline, task: &Task, asker: Asker) -> io::Result<Self> {
        let sandbox = &pipeline.config.sandbox;
        let networks = sandbox.setup_allow.iter().copied().map(AllowedHost::Network).collect();
        let rules = ExitRules { hosts: hosts(pipeline, task), addresses: AddressPolicy::new(networks) };
        let log = CappedLog::append(&pipeline.data_dir.task_logs(&task.id).join("network.log"), MAX_LEDGER)?;
        let ledger = Arc::new(Mutex::new(Ledger { log, refused: BTreeSet::new() }));
        let (book, db, id) = (ledger.clone(), pipeline.db.clone(), task.id.clone());
        let write = move |mut entry: LedgerEntry| {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            let warning = match &mut entry {
                LedgerEntry::LetThrough { .. } | LedgerEntry::Brought { .. } => None,
                LedgerEntry::Refused { target, reason, at_line, .. } => {
                    let is_news = book.refused.len() < MAX_WARNINGS && book.refused.insert(target.clone());
                    let who = match &asker {
                        Asker::Setup(lines) => {
                            *at_line = Some(lines.current());
                            "setup.sh"
                        }
                        Asker::Agent => "The agent",
                    };
                    is_news.then(|| format!("{who} asked for {target}, which was refused: {reason}."))
                }
            };
            book.log.write(format!("{:.3} {entry}\n", wall_clock::now()).as_bytes());
            if let Some(message) = warning {
                db.append_event_later(&id, EventBody::Warning { message });
            }
        };
        let proxy = ExitProxy::start(&pipeline.data_dir.task(&task.id).exit_socket(), rules, write)?;
        Ok(Self { proxy, ledger })
    }

    /// Cuts what is open, and brings the ledger to its end.
    pub(super) async fn close(self) -> io::Result<()> {
        self.proxy.close().await;
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).log.finish()
    }
}

/// What the proxy of a task lets through.
pub(super) fn hosts(pipeline: &Pipeline, task: &Task) -> Vec<HostRule> {
    let of_task = task.allow_hosts.iter().cloned().map(HostRule::any_method);
    pipeline.config.sandbox.proxy_allow.iter().cloned().chain(of_task).collect()
}
