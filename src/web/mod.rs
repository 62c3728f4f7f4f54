//! Pages and API over HTTP. Only this room knows axum.

#[macro_use]
mod language;

mod api;
mod assets;
mod auth;
mod body;
mod compression;
mod cookies;
mod error;
mod escape;
mod extract;
mod feed;
mod git_remote;
mod hooks;
mod hosts;
mod logs;
mod notice;
mod owners;
mod pace;
mod pages;
mod preferences;
mod reading;
mod router;
mod security_headers;
mod serve;
mod share;
mod socket;
mod state;
mod submit;
#[cfg(test)]
mod tests;
mod viewer;
mod waiting;
mod words;

pub(crate) use serve::serve;
pub(crate) use socket::serve as serve_steps;
pub(crate) use state::{AppState, Vitals, WaysIn};
