//! What this server made for its tasks, found by label: after a crash, or when Docker was away at a task's end.

use std::collections::HashMap;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder};

use super::{
    Engine, SandboxError,
    engine::{INSTANCE_LABEL, TASK_LABEL},
};
use crate::domain::task_id::TaskId;

/// A container or a network of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    id: String,
    kind: Kind,
    /// The task it was made for, as its label says.
    task: Option<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Network,
}

impl Made {
    pub(crate) fn is_for(&self, is_live: impl Fn(&TaskId) -> bool) -> bool {
        self.task.as_ref().is_some_and(is_live)
    }
}

impl Engine {
    /// Every container and network of this server, containers first: a network goes once nobody is in it.
    pub(crate) async fn made(&self) -> Result<Vec<Made>, SandboxError> {
        let client = self.client().await?;
        let ours = format!("{INSTANCE_LABEL}={}", self.shared.instance);
        let ours: HashMap<String, Vec<String>> = HashMap::from([("label".to_owned(), vec![ours])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
        let containers =
            client.list_containers(Some(options)).await.map_err(|error| self.error("list containers", &error))?;
        let options = ListNetworksOptionsBuilder::default().filters(&ours).build();
        let networks =
            client.list_networks(Some(options)).await.map_err(|error| self.error("list networks", &error))?;
        let containers = containers.into_iter().map(|one| (Kind::Container, one.id, one.labels));
        let networks = networks.into_iter().map(|one| (Kind::Network, one.id, one.labels));
        let made = containers.chain(networks).filter_map(|(kind, id, labels)| {
            let task = labels.and_then(|labels| labels.get(TASK_LABEL)?.parse().ok());
            Some(Made { id: id?, kind, task })
        });
        Ok(made.collect())
    }

    pub(crate) async fn remove_made(&self, made: &Made) -> Result<(), SandboxError> {
        match made.kind {
            Kind::Container => self.remove_container(&made.id).await,
            Kind::Network => self.remove_network(&made.id).await,
        }
    }
}
