//! The configuration as the file says it: names and units of `config.toml`, nothing checked yet.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{
    AgentNetwork, CommandPolicy, EditFormat, EngineCheck, ForgeKind, LogFormat, MetricsAccess, OnOom, Price,
    ProviderKind, PullRequestWhen, RunBy, SetupNetwork, SignInKind, ToolCalls, UnknownPrice,
};
use crate::domain::feedback::Ratings;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) server: RawServer,
    pub(super) sandbox: RawSandbox,
    pub(super) agent: RawAgent,
    pub(super) checks: RawChecks,
    pub(super) queue: RawQueue,
    pub(super) retention: RawRetention,
    pub(super) source: RawSource,
    #[serde(default)]
    pub(super) forge: BTreeMap<String, RawForge>,
    #[serde(default)]
    pub(super) auth: BTreeMap<String, RawSignIn>,
    pub(super) export: RawExport,
    pub(super) llm: RawLlm,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    pub(super) bind: String,
    pub(super) public_url: Option<String>,
    pub(super) metrics: MetricsAccess,
    pub(super) log_format: LogFormat,
    pub(super) upload_patience_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSandbox {
    pub(super) docker_host: String,
    pub(super) engine_check: EngineCheck,
    pub(super) image: String,
    pub(super) allowed_images: RawAllowedImages,
    pub(super) memory_mb: u32,
    pub(super) cpus: f64,
    pub(super) pids: u32,
    pub(super) disk_mb: u32,
    pub(super) disk_files: u64,
    pub(super) on_oom: OnOom,
    pub(super) agent_uid: u32,
    pub(super) setup_network: SetupNetwork,
    pub(super) agent_network: AgentNetwork,
    pub(super) proxy_allow: Vec<RawHostRule>,
    pub(super) setup_allow: Vec<String>,
    pub(super) command_policy: CommandPolicy,
    pub(super) allowed_commands: Vec<String>,
}

/// A host, or one with the methods that are let through.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawHostRule {
    Host(String),
    Methods { host: String, methods: Vec<String> },
}

/// A word or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawAllowedImages {
    Word(String),
    List(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAgent {
    pub(super) model: String,
    pub(super) max_steps: u32,
    pub(super) max_tokens: u64,
    pub(super) max_cost_usd: f64,
    pub(super) max_cost_usd_per_day: f64,
    pub(super) max_tokens_per_day: u64,
    pub(super) setup_timeout_s: u64,
    pub(super) task_timeout_s: u64,
    pub(super) no_output_timeout_s: u64,
    pub(super) command_timeout_s: u64,
    pub(super) command_max_timeout_s: u64,
    pub(super) command_max_output: u64,
    pub(super) command: Vec<String>,
    pub(super) agents_md_max_bytes: usize,
    pub(super) edit_format: EditFormat,
    pub(super) fallback_model: String,
    pub(super) critique_model: String,
    pub(super) max_critique_rounds: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChecks {
    pub(super) commands: Vec<String>,
    pub(super) run_by: RunBy,
    pub(super) timeout_s: u64,
    pub(super) total_timeout_s: u64,
    pub(super) pull_request: PullRequestWhen,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQueue {
    pub(super) max_running: usize,
    pub(super) max_queued: u64,
    pub(super) max_queued_per_person: u64,
    pub(super) min_free_disk_mb: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    pub(super) uploads_days: u32,
    pub(super) logs_days: u32,
    pub(super) max_disk_mb: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) max_zip_bytes: u64,
    pub(super) max_unpacked_bytes: u64,
    pub(super) max_files: u64,
    pub(super) max_objects: u64,
    pub(super) clone_timeout_s: u64,
    pub(super) clone_idle_timeout_s: u64,
    pub(super) allow_private_hosts: Vec<String>,
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, RawGitToken>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGitToken {
    pub(super) token_env: String,
    pub(super) username: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignIn {
    pub(super) kind: SignInKind,
    pub(super) issuer: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) client_id: String,
    pub(super) client_secret_env: String,
    #[serde(default)]
    pub(super) allowed: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForge {
    pub(super) kind: ForgeKind,
    pub(super) base_url: Option<String>,
    pub(super) token_env: String,
    pub(super) author_name: Option<String>,
    pub(super) author_email: Option<String>,
    pub(super) co_author: Option<String>,
    pub(super) draft: Option<bool>,
    pub(super) webhook_secret_env: Option<String>,
    pub(super) webhook_people: Option<Vec<String>>,
    pub(super) webhook_label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExport {
    pub(super) every_hours: f64,
    pub(super) ratings: Ratings,
    pub(super) path: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLlm {
    pub(super) connect_timeout_s: u64,
    pub(super) first_byte_timeout_s: u64,
    pub(super) idle_timeout_s: u64,
    pub(super) request_timeout_s: u64,
    pub(super) max_tries: u32,
    pub(super) refused_pause_s: u64,
    pub(super) max_output_tokens: u32,
    pub(super) context_tokens: u64,
    pub(super) providers: BTreeMap<String, RawProvider>,
    pub(super) unknown_price: UnknownPrice,
    #[serde(default)]
    pub(super) prices: BTreeMap<String, Price>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    pub(super) kind: ProviderKind,
    pub(super) base_url: Option<String>,
    pub(super) api_key_env: Option<String>,
    pub(super) scripts: Option<PathBuf>,
    pub(super) context_tokens: Option<u64>,
    pub(super) connect_timeout_s: Option<u64>,
    pub(super) first_byte_timeout_s: Option<u64>,
    pub(super) idle_timeout_s: Option<u64>,
    pub(super) request_timeout_s: Option<u64>,
    pub(super) stream: Option<bool>,
    #[serde(default)]
    pub(super) tool_calls: ToolCalls,
    pub(super) max_concurrent: Option<usize>,
    pub(super) requests_per_minute: Option<usize>,
}
