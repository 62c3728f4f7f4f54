//! The table of tools and the way from a call to its result.

mod command_policy;
mod command_process;
mod cut_output;
mod definitions;
mod edit_file;
mod installers;
mod line_diff;
mod list_files;
mod patch;
mod read_file;
mod run_command;
mod search_files;
mod search_lines;
mod similar_lines;
mod text_edit;
mod text_file;
mod walk;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::memory::OomWatch;
use crate::orphans::OwnChildren;
use crate::proxy::Proxy;
use crate::settings::CommandSettings;
use crate::wire::{OUT_OF_MEMORY, Object};
use crate::workspace::{Workspace, WorkspaceError};

pub use definitions::{ToolDefinition, definitions};

/// Every tool there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    EditFile,
    ReadFile,
    ListFiles,
    SearchFiles,
    RunCommand,
}

/// The tools with what they work on.
#[derive(Debug)]
pub(crate) struct Toolbox<'a> {
    workspace: Workspace,
    commands: run_command::CommandRunner<'a>,
    memory: OomWatch,
}

/// Why a call failed; the text is for the model that made it.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error("unknown tool \"{name}\"; there are {}", tool_names())]
    Unknown { name: String },
    #[error("bad arguments: {0}")]
    Arguments(String),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Text(#[from] text_file::NotText),
    #[error(transparent)]
    Edit(#[from] text_edit::EditError),
    #[error(transparent)]
    Patch(#[from] patch::PatchError),
    #[error("refused: {0}")]
    Refused(#[from] command_policy::Refusal),
    #[error("the command cannot be run: {0}")]
    NotRun(#[from] std::io::Error),
    #[error("timed out after {seconds} s; the command and everything it started were killed")]
    TimedOut { seconds: f64, output: Object },
    #[error("the result cannot be written as JSON: {0}")]
    Result(#[from] serde_json::Error),
}

impl Tool {
    const ALL: [Self; 5] = [Self::EditFile, Self::ReadFile, Self::ListFiles, Self::SearchFiles, Self::RunCommand];

    const fn name(self) -> &'static str {
        match self {
            Self::EditFile => "edit_file",
            Self::ReadFile => "read_file",
            Self::ListFiles => "list_files",
            Self::SearchFiles => "search_files",
            Self::RunCommand => "run_command",
        }
    }
}

impl<'a> Toolbox<'a> {
    pub(crate) fn new(
        workspace: Workspace,
        commands: CommandSettings,
        proxy: Proxy,
        children: &'a OwnChildren,
    ) -> Self {
        let commands = run_command::CommandRunner::new(commands, proxy, children);
        Self { workspace, commands, memory: OomWatch::default() }
    }

    /// Runs one call. Whatever goes wrong is a result with `status` `failure` and a `message`.
    pub(crate) async fn call(&self, name: &str, arguments: &Object) -> Object {
        self.memory.begin();
        let (status, mut result) = match self.dispatch(name, arguments).await {
            Ok(result) => ("success", result),
            Err(error) => ("failure", error.into_result()),
        };
        result.insert("status".to_owned(), status.into());
        if let Some(report) = self.memory.news() {
            result.insert(OUT_OF_MEMORY.to_owned(), report.describe().into());
        }
        result
    }

    async fn dispatch(&self, name: &str, arguments: &Object) -> Result<Object, ToolError> {
        let tool = Tool::ALL.into_iter().find(|tool| tool.name() == name);
        match tool.ok_or_else(|| ToolError::Unknown { name: name.to_owned() })? {
            Tool::EditFile => edit_file::edit_file(&self.workspace, parse(arguments)?),
            Tool::ReadFile => read_file::read_file(&self.workspace, &parse(arguments)?),
            Tool::ListFiles => list_files::list_files(&self.workspace, &parse(arguments)?),
            Tool::SearchFiles => search_files::search_files(&self.workspace, &parse(arguments)?).await,
            Tool::RunCommand => self.commands.run_command(&self.workspace, &parse(arguments)?).await,
        }
    }
}

impl ToolError {
    fn into_result(self) -> Object {
        let message = Value::String(self.to_string());
        let mut result = match self {
            Self::TimedOut { output, .. } => output,
            _ => Object::new(),
        };
        result.insert("message".to_owned(), message);
        result
    }
}

/// A `null` counts as not given: that is how models with strict schemas leave an argument out.
fn parse<T: DeserializeOwned>(arguments: &Object) -> Result<T, ToolError> {
    let given = arguments.iter().filter(|(_, value)| !value.is_null());
    let given = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(given)).map_err(|error| ToolError::Arguments(error.to_string()))
}

fn object(result: &impl serde::Serialize) -> Result<Object, ToolError> {
    Ok(serde_json::from_value(serde_json::to_value(result)?)?)
}

fn tool_names() -> String {
    Tool::ALL.map(Tool::name).join(", ")
}
