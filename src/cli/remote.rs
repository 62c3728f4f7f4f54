//! The server that a command asks something of, and how its answer is written.

use std::{fs, io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use super::{ConfigArgs, block_on, client::Client};
use crate::{
    app::running_server,
    config::{self, SERVER_VARIABLE, TOKEN_VARIABLE},
    redact, telemetry,
};

/// Which server; without any of it the one that runs on this machine's data directory.
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// Its address, such as <https://atelier.example.org>; else `$ATELIER_SERVER`
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file with a token of it; else `$ATELIER_TOKEN`
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON as the API sends it
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl RemoteArgs {
    pub(super) fn connect(&self) -> anyhow::Result<Client> {
        if let Some(server) = self.server.clone().or_else(config::remote_server) {
            let base = address(&server)?;
            let token = self.token()?.with_context(|| {
                format!("{base} wants a token: make one on its page \"Account\" and put it into {TOKEN_VARIABLE}")
            })?;
            return Client::new(base.clone(), base, token);
        }
        let config = self.config.load()?;
        let Some(running) = running_server(&config.data_dir) else {
            bail!(
                "no server runs on {}. Start one with `atelier serve`, or name another one with --server or {SERVER_VARIABLE}",
                config.data_dir.display()
            );
        };
        let token = match self.token()? {
            Some(token) => token,
            None => read_token(&config.data_dir.join("admin-token"))?,
        };
        let base = format!("http://{running}");
        Client::new(base.clone(), config.server.public_url.unwrap_or(base), token)
    }

    fn token(&self) -> anyhow::Result<Option<SecretString>> {
        self.token_file.as_ref().map(read_token).transpose().map(|token| token.or_else(config::remote_token))
    }
}

/// Runs a command that asks a server; an error is one line on stderr.
pub(super) fn ask(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    telemetry::start(&config::log_filter("warn"), config::LogFormat::Text);
    block_on(work)
}

/// Onto stdout. Somebody who stops reading, such as `head`, is no failure.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes())
}

/// Scheme, host and port, and a path where the server does not have a host of its own; without a slash at the end.
fn address(text: &str) -> anyhow::Result<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.with_context(|| format!("{text:?} is no address of a server; write it as https://host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!("the address of the server must hold no name and password; put a token into {TOKEN_VARIABLE}");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn read_token(path: &PathBuf) -> anyhow::Result<SecretString> {
    let token = fs::read_to_string(path).with_context(|| format!("cannot read the token in {}", path.display()))?;
    let token = SecretString::from(token.trim());
    redact::register(&token);
    Ok(token)
}
