//! The router as a whole, with a real database in a folder of its own.
//!
//! `Site` speaks in the words of the web: who is logged in, what is sent, what comes back.

mod access;
mod clocks;
mod compression;
mod feedback;
mod health;
mod logs;
mod people;
mod preferences;
mod reading;
mod serving;
mod shapes;
mod sharing;
mod site;
mod submitting;
mod training;

use site::Site;
