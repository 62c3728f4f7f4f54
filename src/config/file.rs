//! Reading the file and merging it over the defaults.

use std::path::{Path, PathBuf};

use super::{Config, listing, raw::RawConfig, resolve::resolve};

/// The shipped `config.toml` is the one place where defaults stand.
const DEFAULTS: &str = include_str!("../../config.toml");

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{origin}: {message}")]
    Syntax { origin: String, message: String },
    #[error("{setting}: {message}")]
    Value { setting: String, message: String },
}

/// Loads `file` (or the defaults alone), with `overrides` in TOML over it, such as from the command line.
pub(crate) fn load(file: Option<&Path>, overrides: toml::Table) -> Result<Config, ConfigError> {
    let mut merged = parse(DEFAULTS, "built-in config.toml")?;
    let mut own = toml::Table::new();
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        own = parse(&text, &path.display().to_string())?;
        merge(&mut merged, own.clone());
    }
    let given = overrides.clone();
    merge(&mut merged, overrides);
    let origin = file.map_or_else(|| "config.toml".to_owned(), |path| path.display().to_string());
    let raw: RawConfig = serde::Deserialize::deserialize(toml::Value::Table(merged.clone()))
        .map_err(|error: toml::de::Error| ConfigError::Syntax { origin, message: error.message().to_owned() })?;
    let mut config = resolve(raw)?;
    // Later than the rest, which makes known what is to be masked.
    config.listed = listing::list(&merged, &own, &given);
    Ok(config)
}

fn parse(text: &str, origin: &str) -> Result<toml::Table, ConfigError> {
    text.parse()
        .map_err(|error: toml::de::Error| ConfigError::Syntax { origin: origin.to_owned(), message: error.to_string() })
}

/// Tables merge key by key; everything else is replaced.
fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Config, ConfigError> {
        load(None, text.parse().unwrap())
    }

    #[test]
    fn the_shipped_file_is_complete_and_valid() {
        let config = load(None, toml::Table::new()).unwrap();
        assert_eq!(config.server.bind.to_string(), "127.0.0.1:8080");
        assert!(config.llm.providers.contains_key(config.agent.model.provider()));
    }

    /// What is commented out must be right too, or it misleads whoever takes the comment away.
    #[test]
    fn the_settings_that_stand_as_comments_are_valid() {
        let is_setting =
            |line: &str| line.strip_prefix("# ").is_some_and(|rest| rest.starts_with('[') || rest.contains(" = "));
        let commented: String = DEFAULTS
            .lines()
            .map(|line| if is_setting(line) { line.trim_start_matches("# ") } else { line })
            .flat_map(|line| [line, "\n"])
            .collect();
        load_text(&commented).unwrap();
        assert_ne!(commented, DEFAULTS);
    }

    #[test]
    fn own_settings_replace_the_defaults_and_leave_the_rest() {
        let config = load_text("[agent]\nmax_steps = 7\n[llm.providers.mine]\nkind = 'openai'").unwrap();
        assert_eq!(config.agent.limits.max_steps, 7);
        assert!(config.llm.providers.contains_key("mine") && config.llm.providers.contains_key("anthropic"));
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = load_text("[sandbox]\nmemory = 5").unwrap_err().to_string();
        assert!(error.contains("unknown field `memory`"), "{error}");
    }

    #[test]
    fn values_out_of_range_name_their_setting() {
        for (text, setting) in [
            ("[server]\nbind = 'here'", "[server] bind"),
            ("[sandbox]\nproxy_allow = [{ host = 'a.b', methods = ['get'] }]", "[sandbox] proxy_allow"),
            ("[sandbox]\nallowed_images = 'all'", "[sandbox] allowed_images"),
            ("[agent]\ncritique_model = 'nobody/gpt'", "[agent] critique_model"),
            ("[agent]\nmax_critique_rounds = 0", "[agent] max_critique_rounds"),
            ("[export]\npath = '../x.jsonl'", "[export] path"),
            ("[export]\npath = 'atelier.db'", "[export] path"),
            ("[export]\nevery_hours = -1.0", "[export] every_hours"),
        ] {
            let error = load_text(text).unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
        let error =
            load_text("data_dir = '/a/very/long/path/that/goes/on/and/on/until/the/socket/does/not/fit/any/more'")
                .unwrap_err()
                .to_string();
        assert!(error.contains("data_dir") && error.contains("107"), "{error}");
    }
}
