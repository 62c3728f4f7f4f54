//! The integration tests. Each file holds the tests of one thing; folders hold what they need for it.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test says so by panicking")]

mod brain;
mod browser;
mod budgets;
mod checks;
mod choosing;
mod commands;
mod delivery;
mod diff_page;
mod docker_away;
mod figures;
mod floors;
mod forges;
mod git_server;
mod harness;
mod hostile;
mod hostile_server;
mod intake;
mod journeys;
mod machine;
mod mailbox;
#[expect(dead_code, reason = "its faults are for the unit tests of `src/llm`")]
mod model_server;
mod models;
mod official_clients;
mod operations;
mod other_agents;
mod proof;
mod publishing;
#[expect(dead_code, reason = "some of its oddities are for the unit tests of `src/archive`")]
mod raw_zip;
mod references;
mod restarts;
mod sandbox;
mod secrets;
mod settings;
mod sharing;
mod sign_in;
mod step_protocol;
mod terminal;
mod tour;
mod training;
mod turns;
mod webhooks;
mod whole_tasks;
