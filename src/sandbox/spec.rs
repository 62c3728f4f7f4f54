//! What the container of a task is allowed and given: the security profile, the mounts, the environment.

use std::path::{Path, PathBuf};

use atelier_agent::confine::User;
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use rustix::process::{Gid, Uid};

use super::engine::Shared;
use crate::{config::AgentNetwork, domain::task_id::TaskId};

/// The container of one task.
#[derive(Debug, Clone)]
pub(crate) struct ContainerSpec {
    pub(crate) task_id: TaskId,
    pub(crate) purpose: Purpose,
    pub(crate) image: String,
    pub(crate) network: Network,
    pub(crate) code: PathBuf,
    pub(crate) code_access: CodeAccess,
    pub(crate) output: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) task_file: PathBuf,
    pub(crate) agent_network: AgentNetwork,
    /// A program that works in place of our agent, which then only passes its steps on; empty for ours.
    pub(crate) agent_command: Vec<String>,
    /// `NAME=value`; nothing secret ever.
    pub(crate) environment: Vec<String>,
}

/// What is to happen in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An agent works in it.
    Work,
    /// The server runs checks in it, and ends what each leaves running. Only root may do that: so it starts as root, as with
    /// setup, and the main process and each check step down.
    Checks,
}

/// Whether there is a `setup.sh` that needs a network before the agent starts without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    None,
    /// The internet, behind a fence.
    Bridge,
    /// No network, but the server's proxy.
    Proxied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeAccess {
    ReadOnly,
    ReadWrite,
}

pub(super) const CODE: &str = "/app/code";
pub(super) const OUTPUT: &str = "/app/output";
pub(super) const EXECUTABLE: &str = "/usr/local/bin/atelier";

/// What package managers need of root during setup. The agent gives all of it up, bounding set included, before it does
/// anything else; a container without setup gets none.
const SETUP_CAPABILITIES: &[&str] =
    &["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETPCAP", "SETUID", "SETFCAP", "SYS_CHROOT"];
/// For `atelier agent setup`, which gives it up for `setup.sh` as soon as the fence around its network stands.
const FENCE_CAPABILITY: &str = "NET_ADMIN";

const MIB: i64 = 1024 * 1024;
/// Enough for compilers and package managers, and below what a daemon without the right to raise limits has itself.
const MAX_OPEN_FILES: i64 = 16_384;
/// Seconds. Nothing in a container of ours listens to SIGTERM, so a Docker that stops would wait for nothing.
const STOP_TIMEOUT: i64 = 1;
const SHARED_MEMORY_BYTES: i64 = 64 * MIB;

pub(super) fn container_body(
    spec: &ContainerSpec,
    image: &str,
    shared: &Shared,
    network: Option<&str>,
) -> ContainerCreateBody {
    let user = agent_user(shared).to_string();
    let mut command =
        vec![EXECUTABLE.to_owned(), "agent".to_owned(), "--task_file".to_owned(), "/app/task.json".to_owned()];
    command.extend(["--user".to_owned(), user.clone()]);
    let outlet = match (spec.agent_network, spec.network) {
        (AgentNetwork::Proxied, _) => Some("agent"),
        (AgentNetwork::None, Network::Proxied) => Some("setup"),
        (AgentNetwork::None, Network::None | Network::Bridge) => None,
    };
    command.extend(outlet.into_iter().flat_map(|whose| ["--outlet".to_owned(), whose.to_owned()]));
    if !spec.agent_command.is_empty() {
        command.extend(["--command".to_owned(), serde_json::json!(spec.agent_command).to_string()]);
    }
    let mounts = vec![
        bind(&spec.code, CODE, spec.code_access),
        bind(&spec.output, OUTPUT, CodeAccess::ReadWrite),
        bind(&spec.run, "/run/atelier", CodeAccess::ReadOnly),
        bind(&spec.task_file, "/app/task.json", CodeAccess::ReadOnly),
        bind(&shared.executable, EXECUTABLE, CodeAccess::ReadOnly),
    ];
    let mut host = HostConfig {
        mounts: Some(mounts),
        network_mode: Some(network.unwrap_or("none").to_owned()),
        ..profile(shared)
    };
    if spec.network == Network::None {
        // Nothing is to be installed, so the image stays as it is. Scratch space counts as memory, and is smaller: a disk
        // that is full is easier to understand than a process that is gone.
        host.readonly_rootfs = Some(true);
        let options = format!("rw,exec,nosuid,nodev,mode=1777,size={}", shared.settings.memory_bytes / 2);
        host.tmpfs = Some(["/tmp", "/var/tmp"].map(|path| (path.to_owned(), options.clone())).into());
    }
    // With setup the container starts as root and the agent steps down by itself.
    let user = if spec.network == Network::None && spec.purpose == Purpose::Work {
        user
    } else {
        let fence = (spec.network == Network::Bridge).then_some(&FENCE_CAPABILITY);
        host.cap_add = Some(SETUP_CAPABILITIES.iter().chain(fence).map(ToString::to_string).collect());
        "0:0".to_owned()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("atelier".to_owned()),
        user: Some(user),
        working_dir: Some(CODE.to_owned()),
        entrypoint: Some(Vec::new()),
        cmd: Some(command),
        env: Some(spec.environment.clone()),
        stop_timeout: Some(STOP_TIMEOUT),
        labels: Some(shared.labels(&spec.task_id)),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// The part every container of ours shares, whatever it does.
pub(super) fn profile(shared: &Shared) -> HostConfig {
    let settings = &shared.settings;
    let limit =
        |name: &str, value: i64| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) };
    let disk = i64::try_from(settings.disk_bytes).unwrap_or(i64::MAX);
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        privileged: Some(false),
        pids_limit: Some(settings.pids),
        memory: Some(settings.memory_bytes),
        memory_swap: Some(settings.memory_bytes),
        nano_cpus: Some(settings.nano_cpus),
        ulimits: Some(vec![limit("nofile", MAX_OPEN_FILES), limit("core", 0), limit("fsize", disk)]),
        shm_size: Some(SHARED_MEMORY_BYTES),
        ipc_mode: Some("private".to_owned()),
        // The agent is process 1 itself; an init of Docker's would die with the sweep.
        init: Some(false),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("local".to_owned()),
            config: Some(
                [("max-size", "1m"), ("max-file", "1"), ("compress", "false")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
        }),
        ..HostConfig::default()
    }
}

/// A server that is not root reads what setup left through its own group; root reads everything.
pub(super) fn agent_user(shared: &Shared) -> User {
    let uid = shared.settings.agent_uid;
    let own = rustix::process::getegid();
    User { uid: Uid::from_raw(uid), gid: if own.is_root() { Gid::from_raw(uid) } else { own } }
}

pub(super) fn bind(source: &Path, target: &str, access: CodeAccess) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(access == CodeAccess::ReadOnly),
        ..Mount::default()
    }
}
