//! The configuration: `config.toml` merged over the built-in defaults, with every value checked.
//!
//! What the file says (`raw`) and what the server uses (`Config`) are two types. This room alone reads the environment.

mod file;
mod forge;
mod git_token;
mod home;
mod listing;
mod raw;
mod remote;
mod resolve;
mod sign_in;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use jiff::SignedDuration;
use secrecy::SecretString;

use crate::{
    domain::{
        address::AddressPolicy, check::CheckCommand, day_budget::DayLimits, feedback::Ratings, host_rule::HostRule,
        image_pattern::ImagePattern, limits::Limits, model_name::ModelName,
    },
    host::DiskSpace,
};

pub(crate) use file::{ConfigError, load};
pub(crate) use forge::{AUTHOR, EMAIL, Forge, ForgeKind, Forges, Webhook};
pub(crate) use git_token::{GitToken, GitTokens};
pub(crate) use home::leave_home;
pub(crate) use listing::{ListedSetting, Origin};
pub(crate) use remote::{SERVER_VARIABLE, TOKEN_VARIABLE, remote_server, remote_token};
pub(crate) use sign_in::{SignInKind, SignInProvider, SignInProviders};

/// The settings of a running server.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) server: Server,
    pub(crate) sandbox: Sandbox,
    pub(crate) agent: Agent,
    pub(crate) checks: Checks,
    pub(crate) queue: Queue,
    pub(crate) retention: Retention,
    pub(crate) source: Source,
    pub(crate) forges: Forges,
    pub(crate) sign_in: SignInProviders,
    pub(crate) export: Export,
    pub(crate) llm: Llm,
    /// All of it once more, for people.
    pub(crate) listed: Vec<ListedSetting>,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) bind: SocketAddr,
    pub(crate) public_url: Option<String>,
    pub(crate) metrics: MetricsAccess,
    pub(crate) log_format: LogFormat,
    /// For a body that trickles in.
    pub(crate) upload_patience: Duration,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricsAccess {
    /// Who sends the admin token.
    Admin,
    /// Anybody who reaches the server.
    Open,
}

/// How the server writes its own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    pub(crate) docker_host: String,
    pub(crate) engine_check: EngineCheck,
    pub(crate) image: String,
    pub(crate) allowed_images: AllowedImages,
    pub(crate) memory_bytes: i64,
    pub(crate) nano_cpus: i64,
    pub(crate) pids: i64,
    pub(crate) disk_bytes: u64,
    pub(crate) disk_files: u64,
    pub(crate) on_oom: OnOom,
    pub(crate) agent_uid: u32,
    pub(crate) setup_network: SetupNetwork,
    pub(crate) agent_network: AgentNetwork,
    pub(crate) proxy_allow: Vec<HostRule>,
    pub(crate) setup_allow: Vec<IpNet>,
    pub(crate) command_policy: CommandPolicy,
    pub(crate) allowed_commands: Vec<String>,
}

/// Which images a submitter may name; the configured one always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowedImages {
    Any,
    Listed(Vec<ImagePattern>),
}

impl Sandbox {
    /// Whether anything of a task goes through a proxy.
    pub(crate) fn has_proxy(&self) -> bool {
        self.setup_network == SetupNetwork::Proxied || self.agent_network == AgentNetwork::Proxied
    }

    /// Whether a task may run in it.
    pub(crate) fn allows_image(&self, image: &str) -> bool {
        match &self.allowed_images {
            AllowedImages::Any => true,
            AllowedImages::Listed(patterns) => {
                image == self.image || patterns.iter().any(|pattern| pattern.covers(image))
            }
        }
    }
}

/// What setup reaches the internet by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SetupNetwork {
    Bridge,
    Proxied,
}

/// What the agent reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentNetwork {
    None,
    /// What the proxy lets through.
    Proxied,
}

/// What an engine with known holes means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EngineCheck {
    /// The log says so.
    Warn,
    /// No task starts.
    Strict,
}

/// What becomes of a task when the kernel ended one of its processes for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnOom {
    /// It fails.
    End,
    /// The model is told and goes on.
    Tell,
}

/// How freely the agent runs commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CommandPolicy {
    Shell,
    Strict,
    Allowlist,
}

impl CommandPolicy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Strict => "strict",
            Self::Allowlist => "allowlist",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) model: ModelName,
    pub(crate) limits: Limits,
    /// Of all tasks together.
    pub(crate) day_limits: DayLimits,
    /// `NAME=value`: models that the environment names, for the agent's.
    pub(crate) forwarded: Vec<String>,
    pub(crate) no_output_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) command_max_timeout: Duration,
    pub(crate) command_max_output: u64,
    /// Another program in place of our agent; empty for ours.
    pub(crate) command: Vec<String>,
    pub(crate) agents_md_max_bytes: usize,
    pub(crate) edit_format: EditFormat,
    pub(crate) fallback_model: Option<ModelName>,
    pub(crate) critique_model: Option<ModelName>,
    pub(crate) max_critique_rounds: u32,
}

/// What has to pass before a change is handed over, and what the server does to know that it did.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) commands: Vec<CheckCommand>,
    pub(crate) run_by: RunBy,
    /// Of one.
    pub(crate) timeout: Duration,
    /// Of all of them, with what makes the clean copy ready.
    pub(crate) total_timeout: Duration,
    pub(crate) pull_request: PullRequestWhen,
}

/// Who runs the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunBy {
    /// The agent, and after it the server on a clean copy.
    Server,
    /// The agent alone.
    Agent,
}

/// When a task of mode `pr` is published by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PullRequestWhen {
    /// Whatever the checks came to; the request says it.
    Always,
    /// When all of them passed, or there are none.
    Passed,
}

/// How a model is told to edit files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EditFormat {
    /// By the family of the model.
    Auto,
    Replace,
    Patch,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) max_running: usize,
    pub(crate) max_queued: u64,
    pub(crate) max_queued_per_person: u64,
    pub(crate) min_free_disk_bytes: u64,
}

impl Queue {
    /// Free space below which no task starts, in bytes: what is configured, but never more than a tenth of the disk.
    pub(crate) fn disk_reserve(&self, disk: DiskSpace) -> u64 {
        self.min_free_disk_bytes.min(disk.total / 10)
    }
}

/// How long what ended tasks left is kept; `None` is for ever, and no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    pub(crate) uploads: Option<SignedDuration>,
    pub(crate) logs: Option<SignedDuration>,
    pub(crate) max_disk_bytes: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) max_zip_bytes: u64,
    pub(crate) max_unpacked_bytes: u64,
    pub(crate) max_files: u64,
    pub(crate) max_objects: u64,
    pub(crate) clone_timeout: Duration,
    pub(crate) clone_idle_timeout: Duration,
    pub(crate) address_policy: AddressPolicy,
    pub(crate) tokens: GitTokens,
}

/// The file of training data that is merged by itself.
#[derive(Debug)]
pub(crate) struct Export {
    /// Never when not set.
    pub(crate) every: Option<Duration>,
    pub(crate) ratings: Ratings,
    pub(crate) path: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Llm {
    pub(crate) max_tries: u32,
    pub(crate) refused_pause: Duration,
    pub(crate) max_output_tokens: u32,
    /// Where the provider sets no other.
    pub(crate) context_tokens: u64,
    pub(crate) providers: BTreeMap<String, Provider>,
    pub(crate) prices: BTreeMap<ModelName, Price>,
    pub(crate) unknown_price: UnknownPrice,
}

impl Llm {
    /// That the cost of a model is unknown, and how to set its price; none when it has one or costs nothing.
    pub(crate) fn unknown_price_of(&self, model: &ModelName) -> Option<String> {
        let is_play =
            self.providers.get(model.provider()).is_some_and(|provider| provider.kind == ProviderKind::Scripted);
        if is_play || self.prices.contains_key(model) {
            return None;
        }
        Some(format!(
            "Cost unknown: no price for {model} in [llm.prices], so limits in dollars cannot hold. Set its `input` and \
             `output` there, in US dollars per million tokens."
        ))
    }

    /// What the model can read at once.
    pub(crate) fn context_tokens(&self, model: &ModelName) -> u64 {
        let of_provider = self.providers.get(model.provider()).and_then(|provider| provider.context_tokens);
        of_provider.unwrap_or(self.context_tokens)
    }
}

/// A provider with its key read from the environment; `SecretString` keeps it out of `Debug`.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) kind: ProviderKind,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key_env: Option<String>,
    pub(crate) api_key: Option<SecretString>,
    pub(crate) scripts: Option<PathBuf>,
    pub(crate) context_tokens: Option<u64>,
    pub(crate) connect_timeout: Duration,
    pub(crate) first_byte_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) stream: bool,
    pub(crate) tool_calls: ToolCalls,
    pub(crate) max_concurrent: Option<usize>,
    pub(crate) requests_per_minute: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProviderKind {
    Openai,
    OpenaiResponses,
    Anthropic,
    Deepseek,
    Gemini,
    Ollama,
    Scripted,
}

/// How the models of a provider call tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToolCalls {
    Native,
    Fenced,
    #[default]
    Auto,
}

/// Whether a model without a price may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownPrice {
    Allow,
    Refuse,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    pub(crate) input: f64,
    pub(crate) cached_input: Option<f64>,
    pub(crate) output: f64,
}

/// What the server logs: `$ATELIER_LOG` in the form of `tracing`'s `EnvFilter`, else `default`.
pub(crate) fn log_filter(default: &str) -> String {
    std::env::var("ATELIER_LOG").ok().filter(|filter| !filter.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// A file that says by how many seconds the clock of a server under test is ahead.
#[cfg(debug_assertions)]
pub(crate) fn clock_file() -> Option<PathBuf> {
    std::env::var_os("ATELIER_TEST_CLOCK").map(PathBuf::from)
}
