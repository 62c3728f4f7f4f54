//! The agent that works inside the container of a task.
//!
//! The server depends on it for the wire types, the tool definitions and the `atelier agent` subcommand; it imports
//! nothing of the server.

mod check;
pub mod cli;
mod client;
pub mod confine;
mod descent;
mod environment;
mod fence;
mod kernel_filter;
pub mod memory;
mod orphans;
mod outlet;
pub mod ownership;
mod processes;
mod proxy;
mod quick_spawn;
mod relay;
mod run_loop;
mod run_record;
mod secret;
mod settings;
pub mod settle;
mod setup;
mod socket_watch;
mod task;
pub mod tools;
pub mod wire;
mod workspace;
