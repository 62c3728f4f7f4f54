//! The built agent against a scripted brain: what whoever starts a run, the model and the server notice of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]

mod brain;
mod commands;
mod confinement;
mod patches;
mod paths;
mod protocol;
mod relay;
mod runs;
mod scenarios;
mod searching;
mod settling;
mod workbench;
