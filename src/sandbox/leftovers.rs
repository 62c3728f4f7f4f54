//! What an earlier run of this server left behind, found by label.

use std::collections::HashMap;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder};

use super::{Engine, SandboxError, engine::INSTANCE_LABEL};

impl Engine {
    /// Removes every container and network of this server; for the start, when no task of it can be running.
    /// Returns how many things it removed.
    pub(crate) async fn remove_leftovers(&self) -> Result<usize, SandboxError> {
        let client = self.client().await?;
        let ours = HashMap::from([("label", vec![format!("{INSTANCE_LABEL}={}", self.shared.instance)])]);
        let ours: HashMap<String, Vec<String>> = ours.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
        let containers =
            client.list_containers(Some(options)).await.map_err(|error| self.error("list containers", &error))?;
        let mut removed = 0;
        for id in containers.into_iter().filter_map(|container| container.id) {
            self.remove_container(&id).await?;
            removed += 1;
        }
        let options = ListNetworksOptionsBuilder::default().filters(&ours).build();
        let networks =
            client.list_networks(Some(options)).await.map_err(|error| self.error("list networks", &error))?;
        for id in networks.into_iter().filter_map(|network| network.id) {
            self.remove_network(&id).await?;
            removed += 1;
        }
        Ok(removed)
    }
}
