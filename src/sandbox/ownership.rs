//! Who owns the workspace: the agent while it works, the server before and after.

use std::path::PathBuf;

use atelier_agent::confine::User;
use bollard::models::{ContainerCreateBody, HostConfig};

use rustix::process::{getegid, geteuid};

use super::{CodeAccess, Container, Engine, Exit, SandboxError, spec};
use crate::{blocking, domain::task_id::TaskId};

/// Whom trees are given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    Agent,
    Server,
}

impl Engine {
    /// Gives `trees` away, links not followed. A server that is root does it by itself; another one lets a throw-away
    /// container without network do it, for only root may.
    pub(crate) async fn give(&self, task_id: &TaskId, trees: Vec<PathBuf>, to: Ownership) -> Result<(), SandboxError> {
        let own = User { uid: geteuid(), gid: getegid() };
        let is_root = own.uid.is_root();
        let user = match to {
            Ownership::Agent => spec::agent_user(&self.shared),
            // Root reads everything anyway, and deletes it.
            Ownership::Server if is_root => return Ok(()),
            Ownership::Server => own,
        };
        if is_root {
            blocking::run(move || atelier_agent::ownership::own(user, &trees))
                .await
                .map_err(|error| SandboxError::Ownership(error.to_string()))?
                .map_err(|error| SandboxError::Ownership(error.to_string()))?;
            return Ok(());
        }
        self.own_in_container(task_id, trees, user).await
    }

    async fn own_in_container(&self, task_id: &TaskId, trees: Vec<PathBuf>, user: User) -> Result<(), SandboxError> {
        let mut command = [spec::EXECUTABLE, "agent", "own", "--user", &user.to_string()].map(str::to_owned).to_vec();
        let mut mounts = vec![spec::bind(&self.shared.executable, spec::EXECUTABLE, CodeAccess::ReadOnly)];
        for (index, tree) in trees.into_iter().enumerate() {
            let target = format!("/tree/{index}");
            mounts.push(spec::bind(&tree, &target, CodeAccess::ReadWrite));
            command.push(target);
        }
        let host = HostConfig {
            mounts: Some(mounts),
            network_mode: Some("none".to_owned()),
            readonly_rootfs: Some(true),
            cap_add: Some(["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec()),
            ..spec::profile(&self.shared)
        };
        let image = self.shared.settings.image.clone();
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            user: Some("0:0".to_owned()),
            entrypoint: Some(Vec::new()),
            cmd: Some(command),
            labels: Some(self.shared.labels(task_id)),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let name = format!("{}-own", self.name_of(task_id));
        let container = Container::new(self.clone(), name.clone(), None);
        container.remove().await?;
        self.create_container(self.client().await?, &name, &image, body).await?;
        let run = async {
            container.start().await?;
            match container.wait().await? {
                Exit::Code(0) => Ok(()),
                Exit::DockerRestarted => Err(SandboxError::Restarted),
                _ => Err(SandboxError::Ownership(container.last_words().await)),
            }
        };
        let outcome = run.await;
        container.remove().await?;
        outcome
    }
}
