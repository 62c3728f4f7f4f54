//! From what the file says to what the server uses: units, ranges, paths, keys from the environment.

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::IpAddr,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use jiff::SignedDuration;
use secrecy::SecretString;

use super::{
    Agent, AllowedImages, Checks, Config, ConfigError, Export, Forges, GitTokens, Llm, Price, Provider, Queue,
    Retention, Sandbox, Server, Source,
    raw::{
        RawAgent, RawAllowedImages, RawChecks, RawConfig, RawExport, RawHostRule, RawLlm, RawProvider, RawRetention,
        RawSandbox, RawServer, RawSource,
    },
};
use crate::{
    domain::{
        address::AddressPolicy,
        check::{CheckCommand, MAX_CHECKS},
        day_budget::DayLimits,
        host_rule::HostRule,
        limits::Limits,
        model_name::ModelName,
    },
    redact,
};

/// What `sun_path` holds, without the closing zero byte.
const MAX_SOCKET_PATH: usize = 107;
/// The longest path of a task's socket beneath the data directory.
const SOCKET_BELOW_DATA_DIR: &str = "/tasks/20261120_abcdefghijkl/run/step.sock";

/// What `model = "auto"` chooses from, as config.toml says it.
const MODELS: &[&str] = &["anthropic/claude-sonnet-4-5", "openai/gpt-5", "deepseek/deepseek-chat"];

const MIB: u64 = 1024 * 1024;

const DOCKER_HOST: &str = "DOCKER_HOST";
const FINETUNED_MODEL: &str = "OPENAI_FINETUNED_MODEL_ID";
const CRITIQUE_MODEL: &str = "OPENAI_CRITIQUE_MODEL_ID";

pub(super) fn resolve(raw: RawConfig) -> Result<Config, ConfigError> {
    let llm = llm(raw.llm)?;
    let data_dir = data_dir(raw.data_dir)?;
    let source = source(raw.source)?;
    Ok(Config {
        export: export(&raw.export, &data_dir)?,
        data_dir,
        listed: Vec::new(),
        server: server(raw.server)?,
        sandbox: sandbox(raw.sandbox)?,
        agent: agent(raw.agent, &llm)?,
        checks: checks(raw.checks)?,
        queue: Queue {
            max_running: at_least_one("[queue] max_running", raw.queue.max_running)?,
            max_queued: raw.queue.max_queued,
            max_queued_per_person: raw.queue.max_queued_per_person,
            min_free_disk_bytes: raw.queue.min_free_disk_mb.saturating_mul(MIB),
        },
        retention: retention(&raw.retention),
        forges: Forges::resolve(raw.forge, &source.address_policy)?,
        sign_in: super::sign_in::resolve(raw.auth, &source.address_policy)?,
        source,
        llm,
    })
}

fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    let path = given
        .or_else(default_data_dir)
        .ok_or_else(|| wrong("data_dir", "there is no home directory to put it in; set data_dir"))?;
    let path = std::path::absolute(&path).map_err(|error| wrong("data_dir", error))?;
    let room = MAX_SOCKET_PATH - SOCKET_BELOW_DATA_DIR.len();
    let length = path.as_os_str().len();
    if length > room {
        return Err(wrong(
            "data_dir",
            format!(
                "{} is {length} bytes long, but a socket path holds {MAX_SOCKET_PATH} and tasks need {} of them; \
                 choose a directory of at most {room} bytes",
                path.display(),
                SOCKET_BELOW_DATA_DIR.len()
            ),
        ));
    }
    Ok(path)
}

fn default_data_dir() -> Option<PathBuf> {
    let from_xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let from_home = || std::env::home_dir().map(|home| home.join(".local/share"));
    from_xdg.or_else(from_home).map(|base| base.join("atelier"))
}

fn server(raw: RawServer) -> Result<Server, ConfigError> {
    let bind = raw.bind.parse().map_err(|_| {
        wrong("[server] bind", format!("{:?} is not an address and port like 127.0.0.1:8080", raw.bind))
    })?;
    let public_url = raw.public_url.map(|url| url.trim_end_matches('/').to_owned());
    if let Some(url) = &public_url
        && !url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    {
        return Err(wrong("[server] public_url", format!("{url:?} is not an http or https URL")));
    }
    let upload_patience = Duration::from_secs(at_least_one("[server] upload_patience_s", raw.upload_patience_s)?);
    Ok(Server { bind, public_url, metrics: raw.metrics, log_format: raw.log_format, upload_patience })
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn sandbox(raw: RawSandbox) -> Result<Sandbox, ConfigError> {
    const MIN_MEMORY_MB: u32 = 64;
    if raw.memory_mb < MIN_MEMORY_MB {
        return Err(wrong("[sandbox] memory_mb", format!("must be at least {MIN_MEMORY_MB}")));
    }
    if !(0.01..=1024.0).contains(&raw.cpus) {
        return Err(wrong("[sandbox] cpus", "must lie between 0.01 and 1024"));
    }
    if raw.agent_uid == 0 {
        return Err(wrong("[sandbox] agent_uid", "the agent never runs as root; choose another user id"));
    }
    if raw.agent_uid == rustix::process::geteuid().as_raw() {
        return Err(wrong("[sandbox] agent_uid", "the agent never has the server's own user id; choose another one"));
    }
    Ok(Sandbox {
        docker_host: docker_host_of_environment().unwrap_or(raw.docker_host),
        engine_check: raw.engine_check,
        image: raw.image,
        allowed_images: allowed_images(raw.allowed_images)?,
        memory_bytes: i64::from(raw.memory_mb) * 1024 * 1024,
        nano_cpus: (raw.cpus * 1e9) as i64,
        pids: i64::from(at_least_one("[sandbox] pids", raw.pids)?),
        disk_bytes: u64::from(at_least_one("[sandbox] disk_mb", raw.disk_mb)?) * 1024 * 1024,
        disk_files: at_least_one("[sandbox] disk_files", raw.disk_files)?,
        on_oom: raw.on_oom,
        agent_uid: raw.agent_uid,
        setup_network: raw.setup_network,
        agent_network: raw.agent_network,
        proxy_allow: raw.proxy_allow.into_iter().map(host_rule).collect::<Result<_, _>>()?,
        setup_allow: raw.setup_allow.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
        command_policy: raw.command_policy,
        allowed_commands: raw.allowed_commands,
    })
}

fn docker_host_of_environment() -> Option<String> {
    std::env::var(DOCKER_HOST).ok().filter(|host| !host.is_empty())
}

/// The variable that goes before a setting of the file and is set, with what it says.
pub(super) fn replaced_by_environment(section: &str, name: &str) -> Option<(&'static str, String)> {
    let model = |variable| {
        let model = openai_model_of_environment(variable).ok()??;
        Some((variable, model.to_string()))
    };
    match (section, name) {
        ("sandbox", "docker_host") => Some((DOCKER_HOST, docker_host_of_environment()?)),
        ("agent", "model") => model(FINETUNED_MODEL),
        ("agent", "critique_model") => model(CRITIQUE_MODEL),
        _ => None,
    }
}

fn host_rule(raw: RawHostRule) -> Result<HostRule, ConfigError> {
    const SETTING: &str = "[sandbox] proxy_allow";
    let host = |text: &str| text.parse().map_err(|error| wrong(SETTING, error));
    match raw {
        RawHostRule::Host(text) => Ok(HostRule::any_method(host(&text)?)),
        RawHostRule::Methods { host: text, methods } => {
            HostRule::with_methods(host(&text)?, methods).map_err(|error| wrong(SETTING, error))
        }
    }
}

fn allowed_images(raw: RawAllowedImages) -> Result<AllowedImages, ConfigError> {
    const SETTING: &str = "[sandbox] allowed_images";
    match raw {
        RawAllowedImages::Word(word) if word == "any" => Ok(AllowedImages::Any),
        RawAllowedImages::Word(word) => {
            Err(wrong(SETTING, format!("{word:?} is neither \"any\" nor a list of images")))
        }
        RawAllowedImages::List(list) => {
            let patterns = list.iter().map(|text| text.parse().map_err(|error| wrong(SETTING, error)));
            Ok(AllowedImages::Listed(patterns.collect::<Result<_, _>>()?))
        }
    }
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let address = |text: &str| text.parse().ok().map(|address: IpAddr| IpNet::from(address));
    text.parse().ok().or_else(|| address(text)).ok_or_else(|| {
        wrong("[sandbox] setup_allow", format!("{text:?} is neither an address nor a network such as 10.1.0.0/16"))
    })
}

fn agent(raw: RawAgent, llm: &Llm) -> Result<Agent, ConfigError> {
    for (setting, dollars) in [("max_cost_usd", raw.max_cost_usd), ("max_cost_usd_per_day", raw.max_cost_usd_per_day)] {
        if !(dollars.is_finite() && dollars >= 0.0) {
            return Err(wrong(format!("[agent] {setting}"), "must be a number of dollars, 0 or more"));
        }
    }
    Ok(Agent {
        model: match openai_model_of_environment(FINETUNED_MODEL)? {
            Some(model) => model,
            None if raw.model == "auto" => model_with_a_key(&llm.providers)?,
            None => model_name("[agent] model", &raw.model)?,
        },
        day_limits: DayLimits {
            max_cost_usd: Some(raw.max_cost_usd_per_day).filter(|dollars| *dollars > 0.0),
            max_tokens: Some(raw.max_tokens_per_day).filter(|tokens| *tokens > 0),
        },
        forwarded: forwarded()?,
        limits: Limits {
            max_steps: at_least_one("[agent] max_steps", raw.max_steps)?,
            max_tokens: raw.max_tokens,
            max_cost_usd: raw.max_cost_usd,
            setup_timeout_s: at_least_one("[agent] setup_timeout_s", raw.setup_timeout_s)?,
            task_timeout_s: at_least_one("[agent] task_timeout_s", raw.task_timeout_s)?,
        },
        no_output_timeout: seconds("[agent] no_output_timeout_s", raw.no_output_timeout_s)?,
        command_timeout: seconds("[agent] command_timeout_s", raw.command_timeout_s)?,
        command_max_timeout: command_max_timeout(&raw)?,
        command_max_output: raw.command_max_output,
        command: raw.command,
        agents_md_max_bytes: raw.agents_md_max_bytes,
        edit_format: raw.edit_format,
        fallback_model: known_model("[agent] fallback_model", &raw.fallback_model, llm)?,
        critique_model: critique_model(&raw.critique_model, llm)?,
        max_critique_rounds: at_least_one("[agent] max_critique_rounds", raw.max_critique_rounds)?,
    })
}

fn checks(raw: RawChecks) -> Result<Checks, ConfigError> {
    const COMMANDS: &str = "[checks] commands";
    if raw.commands.len() > MAX_CHECKS {
        return Err(wrong(COMMANDS, format!("at most {MAX_CHECKS}; put more into a script")));
    }
    let commands = raw.commands.into_iter().map(CheckCommand::try_from).collect::<Result<_, _>>();
    Ok(Checks {
        commands: commands.map_err(|error| wrong(COMMANDS, error))?,
        run_by: raw.run_by,
        timeout: seconds("[checks] timeout_s", raw.timeout_s)?,
        total_timeout: seconds("[checks] total_timeout_s", raw.total_timeout_s)?,
        pull_request: raw.pull_request,
    })
}

/// A model of the first provider that can be asked, else the play of the demo.
fn model_with_a_key(providers: &BTreeMap<String, Provider>) -> Result<ModelName, ConfigError> {
    let has_key = |model: &&&str| {
        let provider = model.split('/').next().unwrap_or_default();
        providers.get(provider).is_some_and(|provider| provider.api_key.is_some())
    };
    model_name("[agent] model", MODELS.iter().find(has_key).unwrap_or(&"scripted/leap-year"))
}

fn command_max_timeout(raw: &RawAgent) -> Result<Duration, ConfigError> {
    if raw.command_max_timeout_s < raw.command_timeout_s {
        return Err(wrong("[agent] command_max_timeout_s", "must not be below command_timeout_s"));
    }
    seconds("[agent] command_max_timeout_s", raw.command_max_timeout_s)
}

fn critique_model(text: &str, llm: &Llm) -> Result<Option<ModelName>, ConfigError> {
    const SETTING: &str = "[agent] critique_model";
    match openai_model_of_environment(CRITIQUE_MODEL)? {
        Some(model) => known_model(SETTING, &model.to_string(), llm),
        None => known_model(SETTING, text, llm),
    }
}

/// A model whose provider there is; none for an empty text.
fn known_model(setting: &str, text: &str, llm: &Llm) -> Result<Option<ModelName>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let model = model_name(setting, text)?;
    if llm.providers.contains_key(model.provider()) {
        Ok(Some(model))
    } else {
        Err(wrong(setting, format!("there is no provider {0:?}; add [llm.providers.{0}]", model.provider())))
    }
}

/// A variable that names a model of OpenAI without the provider, as its own tools do.
fn openai_model_of_environment(variable: &str) -> Result<Option<ModelName>, ConfigError> {
    let id = std::env::var(variable).unwrap_or_default();
    let id = id.trim();
    if id.is_empty() { Ok(None) } else { model_name(&format!("${variable}"), &format!("openai/{id}")).map(Some) }
}

fn retention(raw: &RawRetention) -> Retention {
    let days = |count: u32| (count > 0).then(|| SignedDuration::from_hours(24 * i64::from(count)));
    Retention {
        uploads: days(raw.uploads_days),
        logs: days(raw.logs_days),
        max_disk_bytes: Some(raw.max_disk_mb.saturating_mul(MIB)).filter(|bytes| *bytes > 0),
    }
}

/// For the agent in the container, which passes them on with its task. Ids of models are no secrets.
fn forwarded() -> Result<Vec<String>, ConfigError> {
    let mut variables = Vec::new();
    for variable in [FINETUNED_MODEL, CRITIQUE_MODEL] {
        if let Some(model) = openai_model_of_environment(variable)? {
            variables.push(format!("{variable}={}", model.id()));
        }
    }
    Ok(variables)
}

fn source(raw: RawSource) -> Result<Source, ConfigError> {
    Ok(Source {
        max_zip_bytes: raw.max_zip_bytes,
        max_unpacked_bytes: raw.max_unpacked_bytes,
        max_files: raw.max_files,
        max_objects: raw.max_objects,
        clone_timeout: seconds("[source] clone_timeout_s", raw.clone_timeout_s)?,
        clone_idle_timeout: seconds("[source] clone_idle_timeout_s", raw.clone_idle_timeout_s)?,
        address_policy: AddressPolicy::parse(&raw.allow_private_hosts)
            .map_err(|error| wrong("[source] allow_private_hosts", error))?,
        tokens: GitTokens::resolve(raw.tokens)?,
    })
}

fn export(raw: &RawExport, data_dir: &Path) -> Result<Export, ConfigError> {
    const SETTING: &str = "[export] path";
    if !raw.path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(wrong(SETTING, "must lie beneath data_dir: write it without a leading slash and without `..`"));
    }
    // Nothing of the server's own ends like that, so nothing of it can be overwritten.
    if raw.path.extension().is_none_or(|extension| extension != "jsonl") || raw.path.starts_with("logs") {
        return Err(wrong(SETTING, "must end in .jsonl and lie outside of logs"));
    }
    let every = match raw.every_hours {
        0.0 => None,
        hours => {
            let seconds = hours * 3600.0;
            let every = Duration::try_from_secs_f64(seconds).ok().filter(|every| *every >= Duration::from_secs(1));
            Some(every.ok_or_else(|| wrong("[export] every_hours", "must be a number of hours, or 0 for never"))?)
        }
    };
    Ok(Export { every, ratings: raw.ratings, path: data_dir.join(&raw.path) })
}

fn llm(raw: RawLlm) -> Result<Llm, ConfigError> {
    let timeouts = SharedTimeouts {
        connect: seconds("[llm] connect_timeout_s", raw.connect_timeout_s)?,
        first_byte: seconds("[llm] first_byte_timeout_s", raw.first_byte_timeout_s)?,
        idle: seconds("[llm] idle_timeout_s", raw.idle_timeout_s)?,
        request: seconds("[llm] request_timeout_s", raw.request_timeout_s)?,
    };
    let providers = raw.providers.into_iter().map(|(name, raw)| Ok((name.clone(), provider(&name, raw, &timeouts)?)));
    let prices = raw.prices.into_iter().map(|(name, price)| {
        let setting = format!("[llm.prices.{name:?}]");
        Ok((model_name(&setting, &name)?, price))
    });
    Ok(Llm {
        max_tries: at_least_one("[llm] max_tries", raw.max_tries)?,
        refused_pause: seconds("[llm] refused_pause_s", raw.refused_pause_s)?,
        max_output_tokens: at_least_one("[llm] max_output_tokens", raw.max_output_tokens)?,
        context_tokens: at_least_one("[llm] context_tokens", raw.context_tokens)?,
        providers: providers.collect::<Result<BTreeMap<_, _>, ConfigError>>()?,
        unknown_price: raw.unknown_price,
        prices: prices.collect::<Result<BTreeMap<ModelName, Price>, ConfigError>>()?,
    })
}

/// Those of `[llm]`; a provider may set its own.
struct SharedTimeouts {
    connect: Duration,
    first_byte: Duration,
    idle: Duration,
    request: Duration,
}

fn provider(name: &str, raw: RawProvider, shared: &SharedTimeouts) -> Result<Provider, ConfigError> {
    let setting = |key: &str| format!("[llm.providers.{name}] {key}");
    let own_or = |key: &str, own: Option<u64>, shared: Duration| match own {
        Some(own) => seconds(&setting(key), own),
        None => Ok(shared),
    };
    if name.is_empty() || name.contains('/') {
        return Err(wrong(format!("[llm.providers.{name:?}]"), "a provider's name is not empty and holds no slash"));
    }
    if let Some(base_url) = &raw.base_url {
        match url::Url::parse(base_url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                // Error messages name the address.
                url.password().map(SecretString::from).iter().for_each(redact::register);
            }
            _ => return Err(wrong(setting("base_url"), format!("{base_url:?} is not an http or https URL"))),
        }
    }
    let api_key = raw.api_key_env.as_ref().and_then(|variable| std::env::var(variable).ok());
    let api_key = api_key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).map(SecretString::from);
    api_key.iter().for_each(redact::register);
    Ok(Provider {
        kind: raw.kind,
        base_url: raw.base_url,
        api_key,
        api_key_env: raw.api_key_env,
        scripts: raw.scripts.map(|path| absolute(&path)),
        context_tokens: raw.context_tokens.map(|count| at_least_one(&setting("context_tokens"), count)).transpose()?,
        connect_timeout: own_or("connect_timeout_s", raw.connect_timeout_s, shared.connect)?,
        first_byte_timeout: own_or("first_byte_timeout_s", raw.first_byte_timeout_s, shared.first_byte)?,
        idle_timeout: own_or("idle_timeout_s", raw.idle_timeout_s, shared.idle)?,
        request_timeout: own_or("request_timeout_s", raw.request_timeout_s, shared.request)?,
        stream: raw.stream.unwrap_or(true),
        tool_calls: raw.tool_calls,
        max_concurrent: raw.max_concurrent.map(|count| at_least_one(&setting("max_concurrent"), count)).transpose()?,
        requests_per_minute: raw
            .requests_per_minute
            .map(|count| at_least_one(&setting("requests_per_minute"), count))
            .transpose()?,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn model_name(setting: &str, text: &str) -> Result<ModelName, ConfigError> {
    text.parse().map_err(|error| wrong(setting, format!("{text:?} is {error}")))
}

fn seconds(setting: &str, count: u64) -> Result<Duration, ConfigError> {
    at_least_one(setting, count).map(Duration::from_secs)
}

fn at_least_one<N: PartialOrd + From<u8>>(setting: &str, number: N) -> Result<N, ConfigError> {
    if number < N::from(1) { Err(wrong(setting, "must be at least 1")) } else { Ok(number) }
}

pub(super) fn wrong(setting: impl Into<String>, message: impl Display) -> ConfigError {
    ConfigError::Value { setting: setting.into(), message: message.to_string() }
}
