//! A task as the command line describes it.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::client::Client;
use crate::{archive, blocking};

#[derive(Debug, Args)]
pub(crate) struct Submission {
    /// A Git URL, a directory or a zip
    #[arg(long, value_name = "URL|DIR|ZIP")]
    pub(super) repo: String,
    /// What is to be done
    #[arg(long, value_name = "TEXT")]
    pub(super) task: String,
    /// Branch, tag or commit of a Git URL
    #[arg(long = "ref", value_name = "REF")]
    pub(super) git_ref: Option<String>,
    /// modify (a patch), pr (a patch and a pull request) or analyze (an answer)
    #[arg(long)]
    pub(super) mode: Option<String>,
    /// Open a pull request of the result: the same as --mode pr
    #[arg(long, conflicts_with = "mode")]
    pub(super) pr: bool,
    /// PROVIDER/model-id; the configured one when not given
    #[arg(long)]
    pub(super) model: Option<String>,
    /// The container image; the configured one when not given
    #[arg(long)]
    pub(super) image: Option<String>,
    /// A command that has to pass on a clean copy with the patch; may be given several times
    #[arg(long = "check", value_name = "COMMAND")]
    pub(super) checks: Vec<String>,
}

impl Submission {
    /// Hands it in; returns the id of the task.
    pub(super) async fn submit(&self, client: &Client) -> anyhow::Result<String> {
        let repo = Path::new(&self.repo);
        let mode = if self.pr { Some("pr".to_owned()) } else { self.mode.clone() };
        let choices = [("mode", &mode), ("model", &self.model), ("image", &self.image)];
        let choices = choices.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        if !repo.exists() {
            let mut source = json!({ "git_url": self.repo });
            if let Some(git_ref) = &self.git_ref {
                source["git_ref"] = json!(git_ref);
            }
            let mut body = json!({ "source": source, "task": self.task });
            for (name, value) in choices {
                body[name] = json!(value);
            }
            if !self.checks.is_empty() {
                body["checks"] = json!(self.checks);
            }
            return client.submit_json(&body).await;
        }
        let mut fields: Vec<_> = choices.collect();
        fields.push(("task", self.task.clone()));
        if !self.checks.is_empty() {
            fields.push(("checks", self.checks.join("\n")));
        }
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        if repo.is_dir() {
            let folder = tempfile::tempdir().context("temporary folder")?;
            let (directory, packed) = (repo.canonicalize()?, folder.path().join("source.zip"));
            let name = name(&directory).unwrap_or_else(|| "source".to_owned());
            let target = packed.clone();
            blocking::run(move || archive::pack(&directory, &target)).await??;
            return client.submit_archive(&packed, &format!("{name}.zip"), fields).await;
        }
        client.submit_archive(repo, &name(repo).unwrap_or_else(|| "source.zip".to_owned()), fields).await
    }
}
