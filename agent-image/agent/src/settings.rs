//! What the environment asks for, read once: raw variables in, resolved `Settings` out.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::wire::Object;

/// The agent's own variables: nothing that a command it runs has to know.
pub(crate) const AGENT_VARIABLES: [&str; 9] = [
    "MCP_SERVER_URL",
    "MAX_MCP_ITERATIONS",
    "CMD_TIMEOUT",
    "CMD_MAX_TIMEOUT",
    "CMD_MAX_OUTPUT",
    "CMD_POLICY",
    "CMD_ALLOWLIST",
    "OPENAI_FINETUNED_MODEL_ID",
    "OPENAI_CRITIQUE_MODEL_ID",
];

const DEFAULT_SERVER: &str = "unix:/run/atelier/step.sock";
/// Seconds.
const MAX_TIMEOUT: u64 = 600;
/// `sun_path` has 108 bytes, the last of them NUL.
const LONGEST_SOCKET_PATH: usize = 107;

/// The resolved settings of one run.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) server: StepServer,
    /// How often the agent asks before it gives up.
    pub(crate) max_iterations: u64,
    pub(crate) commands: CommandSettings,
    /// Model names that travel on inside the task of the `start` request.
    pub(crate) forwarded: Object,
}

/// Where `/step` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepServer {
    Unix(PathBuf),
    /// Base address without a trailing slash.
    Http(String),
}

/// How commands run.
#[derive(Debug, Clone)]
pub(crate) struct CommandSettings {
    pub(crate) timeout: Duration,
    /// No call gets more, whatever it asks for. At least `timeout`.
    pub(crate) max_timeout: Duration,
    /// Bytes kept of stdout and of stderr, each.
    pub(crate) max_output: usize,
    pub(crate) policy: CommandPolicy,
    pub(crate) packages: PackageInstalls,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandPolicy {
    /// A shell reads the command.
    Shell,
    /// No shell; operators and the words of installers and downloaders are refused.
    Strict,
    /// No shell; only these programs and scripts.
    Allowlist(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageInstalls {
    Allowed,
    Forbidden,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{name} is not valid UTF-8")]
    NotUtf8 { name: &'static str },
    #[error("{name}: \"{value}\" is not a whole number above 0")]
    NotANumber { name: &'static str, value: String },
    #[error(
        "CMD_TIMEOUT is {timeout}, more than CMD_MAX_TIMEOUT allows, which is {most}: raise the one or lower the other"
    )]
    Timeouts { timeout: u64, most: u64 },
    #[error("MCP_SERVER_URL: \"{0}\" is neither unix:/absolute/path nor http://host:port")]
    Server(String),
    #[error("MCP_SERVER_URL: a socket path holds at most {LONGEST_SOCKET_PATH} bytes, this one has {0}")]
    SocketPathTooLong(usize),
    #[error("CMD_POLICY: \"{0}\" is none of shell, strict, allowlist")]
    Policy(String),
    #[error("CMD_POLICY is allowlist, but CMD_ALLOWLIST names no program: give it a comma separated list")]
    EmptyAllowlist,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, SettingsError> {
        Self::resolve(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(SettingsError::NotUtf8 { name }),
        })
    }

    fn resolve(
        variable: impl Fn(&'static str) -> Result<Option<String>, SettingsError>,
    ) -> Result<Self, SettingsError> {
        // An empty variable is what `docker run -e NAME=` and compose files make of an unset one.
        let variable = |name| Ok(variable(name)?.filter(|value| !value.is_empty()));
        let number = |name, default| match variable(name)? {
            None => Ok(default),
            Some(value) => match value.trim().parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(SettingsError::NotANumber { name, value }),
            },
        };
        let mut forwarded = Object::new();
        for name in ["OPENAI_FINETUNED_MODEL_ID", "OPENAI_CRITIQUE_MODEL_ID"] {
            if let Some(model) = variable(name)? {
                forwarded.insert(name.to_ascii_lowercase(), Value::String(model));
            }
        }
        let timeout = number("CMD_TIMEOUT", 20)?;
        let most = number("CMD_MAX_TIMEOUT", timeout.max(MAX_TIMEOUT))?;
        if timeout > most {
            return Err(SettingsError::Timeouts { timeout, most });
        }
        let ci = variable("CI")?.is_some_and(|value| value != "false" && value != "0");
        Ok(Self {
            server: StepServer::parse(variable("MCP_SERVER_URL")?.as_deref().unwrap_or(DEFAULT_SERVER))?,
            max_iterations: number("MAX_MCP_ITERATIONS", 50)?,
            commands: CommandSettings {
                timeout: Duration::from_secs(timeout),
                max_timeout: Duration::from_secs(most),
                max_output: usize::try_from(number("CMD_MAX_OUTPUT", 20_000)?).unwrap_or(usize::MAX),
                policy: CommandPolicy::parse(
                    variable("CMD_POLICY")?.as_deref(),
                    variable("CMD_ALLOWLIST")?.as_deref(),
                )?,
                packages: if ci { PackageInstalls::Forbidden } else { PackageInstalls::Allowed },
            },
            forwarded,
        })
    }
}

impl StepServer {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Server(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.len() {
                _ if !path.starts_with('/') => Err(wrong()),
                0..=LONGEST_SOCKET_PATH => Ok(Self::Unix(path.into())),
                length => Err(SettingsError::SocketPathTooLong(length)),
            };
        }
        let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
        if url.scheme() != "http" {
            return Err(wrong());
        }
        Ok(Self::Http(text.trim_end_matches('/').to_owned()))
    }
}

impl CommandPolicy {
    fn parse(policy: Option<&str>, allowlist: Option<&str>) -> Result<Self, SettingsError> {
        match policy {
            None | Some("shell") => Ok(Self::Shell),
            Some("strict") => Ok(Self::Strict),
            Some("allowlist") => {
                let programs = allowlist.unwrap_or_default().split(',').map(str::trim);
                let programs: Vec<_> = programs.filter(|program| !program.is_empty()).map(str::to_owned).collect();
                if programs.is_empty() { Err(SettingsError::EmptyAllowlist) } else { Ok(Self::Allowlist(programs)) }
            }
            Some(other) => Err(SettingsError::Policy(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::resolve(|name| {
            Ok(variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn an_empty_environment_gives_the_documented_defaults() {
        let settings = resolve(&[]).unwrap();
        assert_eq!(settings.server, StepServer::Unix("/run/atelier/step.sock".into()));
        assert_eq!(settings.max_iterations, 50);
        assert_eq!(settings.commands.timeout, Duration::from_secs(20));
        assert_eq!(settings.commands.max_timeout, Duration::from_mins(10));
        assert_eq!(settings.commands.max_output, 20_000);
        assert_eq!(settings.commands.policy, CommandPolicy::Shell);
        assert_eq!(settings.commands.packages, PackageInstalls::Allowed);
        assert!(settings.forwarded.is_empty());
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (name, value) in [
            ("CMD_TIMEOUT", "soon"),
            ("CMD_TIMEOUT", "0"),
            ("MAX_MCP_ITERATIONS", "-1"),
            ("CMD_MAX_OUTPUT", "20k"),
            ("CMD_POLICY", "lax"),
            ("MCP_SERVER_URL", "ftp://host"),
            ("MCP_SERVER_URL", "unix:relative.sock"),
        ] {
            let message = resolve(&[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(value), "{message}");
        }
    }

    #[test]
    fn a_timeout_above_the_cap_is_refused_and_without_a_cap_is_the_cap() {
        let message = resolve(&[("CMD_TIMEOUT", "30"), ("CMD_MAX_TIMEOUT", "20")]).unwrap_err().to_string();
        assert!(message.contains("CMD_TIMEOUT is 30") && message.contains("which is 20"), "{message}");
        let settings = resolve(&[("CMD_TIMEOUT", "900")]).unwrap();
        assert_eq!(settings.commands.max_timeout, Duration::from_mins(15));
    }

    #[test]
    fn a_socket_path_that_the_kernel_cannot_take_is_refused_at_once() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_SOCKET_PATH));
        assert!(matches!(resolve(&[("MCP_SERVER_URL", &long)]), Err(SettingsError::SocketPathTooLong(108))));
    }
}
