//! Containers through the local Docker daemon. Only this room knows bollard.
//!
//! One container a task: created, set up as root with a network of its own, cut off, watched, removed. Every call to
//! the daemon is bounded. Removal is explicit and awaited; what a crash leaves is found again by its labels.

mod checks;
mod container;
mod disk_watch;
mod engine;
mod exit_proxy;
mod fence;
mod images;
mod leftovers;
mod ownership;
mod setup;
mod spec;
mod versions;

pub(crate) use checks::CheckEnd;
pub(crate) use container::{Container, Exit};
pub(crate) use disk_watch::DiskUse;
pub(crate) use engine::{Engine, EngineFacts};
pub(crate) use exit_proxy::{ExitProxy, ExitRules};
pub(crate) use images::ImageOnDisk;
pub(crate) use ownership::Ownership;
pub(crate) use setup::{SetupEnd, SetupTimes};
pub(crate) use spec::{CodeAccess, ContainerSpec, Network, Purpose};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    #[error(
        "the Docker daemon at {host} does not answer ({cause}); start it (as root: `systemctl start docker`) or run \
         `atelier doctor`"
    )]
    Unavailable { host: String, cause: String },
    #[error("Docker was restarted, which ended the container")]
    Restarted,
    #[error(
        "the image {image} is not on this machine; `./dev/demo` builds the default one, `docker pull {image}` fetches others"
    )]
    ImageMissing { image: String },
    #[error("Docker could not {action}: {message}")]
    Refused { action: &'static str, message: String },
    #[error("the network could not be proven cut: {0}")]
    NetworkNotCut(String),
    #[error("cannot change the owner of the workspace: {0}")]
    Ownership(String),
}

impl SandboxError {
    /// For an error of the daemon while it was to do `action`.
    fn from_bollard(host: &str, action: &'static str, error: &bollard::errors::Error) -> Self {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { message, .. } => Self::Refused { action, message: message.clone() },
            Error::RequestTimeoutError => {
                Self::Unavailable { host: host.to_owned(), cause: "no answer in time".into() }
            }
            other => Self::Unavailable { host: host.to_owned(), cause: other.to_string() },
        }
    }

    /// Whether the daemon said that the thing is not there.
    fn is_not_found(error: &bollard::errors::Error) -> bool {
        matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
    }
}
