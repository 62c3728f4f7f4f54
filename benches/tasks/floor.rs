//! The floor: what Docker itself takes for an empty container.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig, NetworkCreateRequest},
    query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use futures_util::StreamExt;

pub(crate) struct Floor {
    pub(crate) none: Duration,
    pub(crate) bridge: Duration,
}

pub(crate) async fn measure(runs: usize) -> Floor {
    let docker = Docker::connect_with_socket_defaults().unwrap().negotiate_version().await.unwrap();
    let name = "atelier-bench-floor";
    let request = NetworkCreateRequest { name: name.to_owned(), labels: Some(HashMap::new()), ..Default::default() };
    docker.create_network(request).await.unwrap();
    let none = median_of(runs, &docker, "none").await;
    let bridge = median_of(runs, &docker, name).await;
    docker.remove_network(name).await.unwrap();
    Floor { none, bridge }
}

async fn median_of(runs: usize, docker: &Docker, network: &str) -> Duration {
    let mut durations = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        empty_container(docker, network).await;
        durations.push(started.elapsed());
    }
    super::median(durations.into_iter())
}

async fn empty_container(docker: &Docker, network: &str) {
    let name = "atelier-bench-floor";
    let body = ContainerCreateBody {
        image: Some("atelier-agent:latest".to_owned()),
        cmd: Some(vec!["true".to_owned()]),
        host_config: Some(HostConfig { network_mode: Some(network.to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    docker.create_container(Some(options), body).await.unwrap();
    docker.start_container(name, None).await.unwrap();
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    docker.wait_container(name, Some(options)).next().await.unwrap().unwrap();
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    docker.remove_container(name, Some(options)).await.unwrap();
}
