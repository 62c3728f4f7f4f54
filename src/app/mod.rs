//! A whole server in one process: built from the configuration, run until it is told to stop.

mod admin_token;
mod build;
mod executable;
mod instance;

pub(crate) use build::App;
pub(crate) use instance::running_server;
