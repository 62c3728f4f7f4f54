//! The Docker daemon: connecting, what it is, making containers and networks.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    models::{ContainerCreateBody, NetworkCreateRequest},
    query_parameters::CreateContainerOptionsBuilder,
};
use tokio::sync::OnceCell;

use super::{Container, ContainerSpec, Network, SandboxError, spec, versions};
use crate::{config, domain::task_id::TaskId};

/// A handle to the daemon. The connection is made at the first use and made again when the daemon was away.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: config::Sandbox,
    /// Marks what this server made, so that it never touches what another one did.
    pub(super) instance: String,
    /// The copy of this executable that containers get.
    pub(super) executable: PathBuf,
    client: OnceCell<Docker>,
}

/// What the daemon says of itself.
#[derive(Debug, Clone)]
pub(crate) struct EngineFacts {
    pub(crate) version: String,
    pub(crate) api_version: String,
    pub(crate) kernel: String,
    /// `None` where the engine runs containers with something else.
    pub(crate) runc: Option<String>,
}

impl EngineFacts {
    /// What has known holes and should be updated.
    pub(crate) fn warnings(&self) -> Vec<String> {
        versions::warnings(self)
    }
}

pub(super) const INSTANCE_LABEL: &str = "io.atelier.instance";
pub(super) const TASK_LABEL: &str = "io.atelier.task";

/// Seconds for one request; waiting for an exit and reading output have limits of their own.
const REQUEST_TIMEOUT_S: u64 = 30;

impl Engine {
    /// `executable` must be a path that the daemon's host knows by the same name.
    pub(crate) fn new(settings: config::Sandbox, instance: String, executable: PathBuf) -> Self {
        Self { shared: Arc::new(Shared { settings, instance, executable, client: OnceCell::new() }) }
    }

    pub(crate) async fn facts(&self) -> Result<EngineFacts, SandboxError> {
        let version = self.client().await?.version().await.map_err(|error| self.error("say its version", &error))?;
        let components = version.components.unwrap_or_default();
        Ok(EngineFacts {
            runc: components.into_iter().find(|part| part.name == "runc").map(|part| part.version),
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            kernel: version.kernel_version.unwrap_or_default(),
        })
    }

    /// Whether the image is on the machine.
    pub(crate) async fn has_image(&self, image: &str) -> Result<bool, SandboxError> {
        match self.client().await?.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if SandboxError::is_not_found(&error) => Ok(false),
            Err(error) => Err(self.error("look for the image", &error)),
        }
    }

    /// Makes the container of a task (and its network if it gets one). It does not run yet.
    pub(crate) async fn create(&self, spec: &ContainerSpec) -> Result<Container, SandboxError> {
        let client = self.client().await?;
        let name = self.name_of(&spec.task_id);
        let image = self.image_id(client, &spec.image).await?;
        let network = match spec.network {
            Network::None | Network::Proxied => None,
            Network::Bridge => Some(self.create_network(client, &spec.task_id).await?),
        };
        let body = spec::container_body(spec, &image, &self.shared, network.as_deref());
        let created = self.create_container(client, &name, &spec.image, body).await;
        let container = Container::new(self.clone(), name, network);
        match created {
            Ok(()) => Ok(container),
            Err(error) => {
                container.remove().await?;
                Err(error)
            }
        }
    }

    /// The digest a name stands for at this moment: what runs is known, whoever moves the name later.
    async fn image_id(&self, client: &Docker, image: &str) -> Result<String, SandboxError> {
        match client.inspect_image(image).await {
            Ok(found) => Ok(found.id.unwrap_or_else(|| image.to_owned())),
            Err(error) if SandboxError::is_not_found(&error) => {
                Err(SandboxError::ImageMissing { image: image.to_owned() })
            }
            Err(error) => Err(self.error("look for the image", &error)),
        }
    }

    pub(super) async fn create_container(
        &self,
        client: &Docker,
        name: &str,
        image: &str,
        body: ContainerCreateBody,
    ) -> Result<(), SandboxError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        match client.create_container(Some(options), body).await {
            Ok(_) => Ok(()),
            Err(error) if SandboxError::is_not_found(&error) => {
                Err(SandboxError::ImageMissing { image: image.to_owned() })
            }
            Err(error) => Err(self.error("create the container", &error)),
        }
    }

    /// The client, with the API version both sides speak.
    pub(super) async fn client(&self) -> Result<&Docker, SandboxError> {
        self.shared.client.get_or_try_init(|| self.connect()).await
    }

    pub(super) fn error(&self, action: &'static str, error: &bollard::errors::Error) -> SandboxError {
        SandboxError::from_bollard(&self.shared.settings.docker_host, action, error)
    }

    async fn connect(&self) -> Result<Docker, SandboxError> {
        let host = self.shared.settings.docker_host.as_str();
        let connected = match host.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_socket(path, REQUEST_TIMEOUT_S, API_DEFAULT_VERSION),
            None if Path::new(host).is_absolute() => {
                Docker::connect_with_socket(host, REQUEST_TIMEOUT_S, API_DEFAULT_VERSION)
            }
            None => Docker::connect_with_http(host, REQUEST_TIMEOUT_S, API_DEFAULT_VERSION),
        };
        let client = connected.map_err(|error| self.error("be reached", &error))?;
        client.negotiate_version().await.map_err(|error| self.error("be reached", &error))
    }

    /// What container and network of a task are called. Another server may have a task of the same id: a copy that was
    /// restored from a backup.
    pub(super) fn name_of(&self, task_id: &TaskId) -> String {
        format!("atelier-{}-{task_id}", self.shared.instance)
    }

    async fn create_network(&self, client: &Docker, task_id: &TaskId) -> Result<String, SandboxError> {
        let name = self.name_of(task_id);
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            // Neighbours on the same bridge cannot talk to each other, should there ever be one.
            options: Some(HashMap::from([("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())])),
            labels: Some(self.shared.labels(task_id)),
            ..NetworkCreateRequest::default()
        };
        client.create_network(request).await.map_err(|error| self.error("create the network", &error))?;
        Ok(name)
    }
}

impl Shared {
    /// On everything that is made for a task.
    pub(super) fn labels(&self, task_id: &TaskId) -> HashMap<String, String> {
        HashMap::from([
            (INSTANCE_LABEL.to_owned(), self.instance.clone()),
            (TASK_LABEL.to_owned(), task_id.to_string()),
        ])
    }
}
