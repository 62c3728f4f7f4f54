//! A code folder, an output folder and the means to let the agent work there.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::brain::{Answer, Brain, Heard, Place, finish, tool_call};

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_atelier-agent");
/// Long enough for a loaded machine; nothing waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folders of one task, open to every user as the confined agent is somebody else.
#[derive(Debug)]
pub(crate) struct Workbench {
    home: TempDir,
    place: Place,
    late: Option<PathBuf>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    stdin: Option<String>,
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) heard: Heard,
    pub(crate) log: String,
}

impl Workbench {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let (place, late) = (Place::Socket, None);
        let bench = Self { home, place, late, environment: vec![], arguments: vec![], stdin: None };
        fs::set_permissions(bench.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in [bench.code(), bench.output(), bench.run()] {
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        bench
    }

    pub(crate) fn code(&self) -> PathBuf {
        self.home.path().join("code")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.home.path().join("output")
    }

    /// Where the socket is; also a place outside of the code.
    pub(crate) fn run(&self) -> PathBuf {
        self.home.path().join("run")
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.code().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The task as JSON on stdin.
    pub(crate) fn stdin(mut self, task: &str) -> Self {
        self.stdin = Some(task.to_owned());
        self
    }

    pub(crate) fn over_tcp(mut self) -> Self {
        self.place = Place::Tcp;
        self
    }

    /// The brain comes only when this file is there.
    pub(crate) fn brain_comes_after(mut self, sign: PathBuf) -> Self {
        self.late = Some(sign);
        self
    }

    /// Runs the agent on a task until it ends.
    pub(crate) fn play(&self, script: Vec<Answer>) -> Ended {
        let brain = self.brain(script);
        let output = run_to_end(&mut self.agent(&brain), self.stdin.as_deref().unwrap_or_default());
        let log = fs::read_to_string(self.output().join("agent.log")).unwrap_or_default();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            heard: brain.heard(),
            log,
        }
    }

    /// The result of one tool call.
    pub(crate) fn call(&self, name: &str, arguments: &Value) -> Value {
        self.calls(vec![tool_call(name, arguments)]).remove(0)
    }

    pub(crate) fn command(&self, command: &str) -> Value {
        self.call("run_command", &json!({ "command": command }))
    }

    /// The results of several tool calls within one run.
    pub(crate) fn calls(&self, mut script: Vec<Answer>) -> Vec<Value> {
        script.push(finish("done"));
        let ended = self.play(script);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.heard.requests[1..].iter().map(|request| request["payload"]["result"].clone()).collect()
    }

    pub(crate) fn transcript(&self, task_id: &str) -> Vec<Value> {
        let path = self.output().join(format!("finetuning_data/{task_id}.jsonl"));
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn brain(&self, script: Vec<Answer>) -> Brain {
        let log = self.output().join("agent.log");
        Brain::start(self.place, &self.run(), log, self.late.clone(), script)
    }

    /// The agent, ready to be started.
    pub(crate) fn agent(&self, brain: &Brain) -> Command {
        let mut agent = Command::new(AGENT);
        agent.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("MCP_SERVER_URL", &brain.url);
        agent.envs(self.environment.clone());
        agent.arg("--code").arg(self.code()).arg("--output").arg(self.output()).args(&self.arguments);
        let given = self.arguments.iter().any(|argument| argument.starts_with("--task"));
        if self.stdin.is_none() && !given {
            agent.args(["--task", "mend it"]);
        }
        agent
    }
}

/// Runs a program with a deadline.
pub(crate) fn run_to_end(command: &mut Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("still running after {PATIENCE:?}: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Files with content and mode, links with their target, folders: everything beneath, by path.
pub(crate) fn tree(root: &Path) -> std::collections::BTreeMap<PathBuf, String> {
    let mut tree = std::collections::BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let what = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                folders.push(path.clone());
                continue;
            } else {
                let executable = fs::metadata(&path).unwrap().permissions().mode() & 0o111 != 0;
                let content = fs::read(&path).unwrap();
                format!("{} {}", if executable { "x" } else { "-" }, content.escape_ascii())
            };
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), what);
        }
    }
    tree
}
