//! The server's side of the step protocol: keeps the conversation, asks the model, hands out tool calls.

mod agents_files;
mod checks;
mod compaction;
mod conversation;
mod critique;
mod fallback;
mod follow_ups;
mod last_word;
mod limits;
mod memory;
mod offer;
mod prompt;
mod references;
mod reply;
mod request;
mod session;
mod speaker;
mod stuck;
mod tool_text;
mod transcript;
mod turn;

pub(crate) use checks::ChecksToRun;
pub(crate) use conversation::as_last_seen;
pub(crate) use critique::{Critic, CurrentPatch};
pub(crate) use fallback::Fallback;
pub(crate) use limits::reached as limit_of_task;
pub(crate) use memory::after_loss;
pub(crate) use offer::EditWay;
pub(crate) use prompt::Reach;
pub(crate) use references::ReferenceCheck;
pub(crate) use request::StepError;
pub(crate) use session::{Outcome, Session, SessionSettings};
