//! What Docker says, asked through its own client.

use std::process::Command;

use serde_json::Value;

/// Ids of containers, running or not, that a server made.
pub(crate) fn containers_of(instance: &str) -> Vec<String> {
    lines(&["ps", "--all", "--quiet", "--filter", &label(instance)])
}

pub(crate) fn networks_of(instance: &str) -> Vec<String> {
    lines(&["network", "ls", "--quiet", "--filter", &label(instance)])
}

/// What `docker inspect` knows of a container.
pub(crate) fn inspect(container: &str) -> Option<Value> {
    let output = Command::new("docker").args(["inspect", container]).output().unwrap();
    let mut found: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
    found.pop()
}

fn label(instance: &str) -> String {
    format!("label=io.atelier.instance={instance}")
}

fn lines(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
