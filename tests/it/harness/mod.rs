//! The harness: a real server on a fresh data directory, real Docker beneath it, in the words of its users.

mod browser;
mod docker;
mod docker_door;
mod processes;
mod second_docker;
mod server;
mod sources;
mod task;

pub(crate) use browser::Browser;
pub(crate) use docker::{containers_of, inspect, networks_of};
pub(crate) use docker_door::DockerDoor;
pub(crate) use second_docker::{AfterStop, SMALL_IMAGE, SecondDocker};
pub(crate) use server::{Atelier, Settings};
pub(crate) use sources::{Zip, apply_patch, commit_all, leap_year, sh};
pub(crate) use task::Task;
