//! A whole server in one process: built from the configuration, run until it is told to stop.

mod admin_token;
mod backup;
mod build;
mod executable;
mod instance;
mod records;

pub(crate) use backup::{backup, restore};
pub(crate) use build::App;
pub(crate) use instance::running_server;
pub(crate) use records::Records;
