//! The server under test: the real binary with a configuration of its own.

use std::{
    io::Write,
    net::SocketAddr,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Task, Zip, containers_of, networks_of, sh};

/// A running Atelier. Dropping it stops the server and fails the test if anything is left over.
pub(crate) struct Atelier {
    process: Child,
    folder: TempDir,
    launch: Launch,
    address: SocketAddr,
    token: String,
    instance: String,
    pub(crate) http: reqwest::Client,
}

/// What differs from the defaults, as TOML.
pub(crate) struct Settings {
    toml: toml::Table,
    launch: Launch,
}

/// How the process is started.
#[derive(Default)]
struct Launch {
    environment: Vec<(String, String)>,
    user: Option<(u32, u32)>,
    open_files: Option<u32>,
    /// There is a forge: results stay, so that they can be published.
    keeps_results: bool,
    /// Megabytes of a file system of its own for the data directory.
    disk_mb: Option<u32>,
}

/// Longer than any honest start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

impl Settings {
    pub(crate) fn new() -> Self {
        Self { toml: toml::Table::new(), launch: Launch::default() }
    }

    /// Sets a value by its dotted name, such as `agent.max_steps`.
    pub(crate) fn set(mut self, name: &str, value: impl Into<toml::Value>) -> Self {
        let mut table = &mut self.toml;
        let mut parts: Vec<&str> = name.split('.').collect();
        let last = parts.pop().unwrap();
        for part in parts {
            let entry = table.entry(part).or_insert_with(|| toml::Table::new().into());
            table = entry.as_table_mut().unwrap();
        }
        table.insert(last.to_owned(), value.into());
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.launch.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The process may have no more files open than that.
    pub(crate) fn open_files(mut self, most: u32) -> Self {
        self.launch.open_files = Some(most);
        self
    }

    /// The data directory lies on a disk of that size, in memory.
    pub(crate) fn small_disk(mut self, megabytes: u32) -> Self {
        self.launch.disk_mb = Some(megabytes);
        self
    }

    /// A model of the given wire format behind `url`, and it is the default.
    pub(crate) fn model(self, kind: &str, url: &str) -> Self {
        self.set("llm.providers.mock.kind", kind)
            .set("llm.providers.mock.base_url", url)
            .set("llm.providers.mock.api_key_env", "ATELIER_TEST_KEY")
            .set("agent.model", "mock/test-model")
            .environment("ATELIER_TEST_KEY", "sk-canary-7f3a9")
    }

    /// A server without any rights but that to speak to Docker. Where the tests are not root, it is as they are.
    pub(crate) fn without_root(mut self) -> Self {
        const NOBODY: u32 = 65534;
        let socket = std::fs::metadata("/var/run/docker.sock").unwrap();
        self.launch.user = rustix::process::geteuid().is_root().then_some((NOBODY, socket.gid()));
        self
    }

    pub(crate) fn allow_host(self, host: &str) -> Self {
        self.set("source.allow_private_hosts", vec![host.to_owned()])
    }
}

impl Atelier {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::new()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        // A short path: the sockets beneath it must fit into 107 bytes.
        let folder = tempfile::Builder::new().prefix("at").tempdir_in("/tmp").unwrap();
        let data_dir = folder.path().join("data");
        let settings = settings.set("data_dir", data_dir.display().to_string()).set("server.bind", "127.0.0.1:0");
        std::fs::write(folder.path().join("config.toml"), settings.toml.to_string()).unwrap();
        if let Some((uid, gid)) = settings.launch.user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        if let Some(megabytes) = settings.launch.disk_mb {
            std::fs::create_dir(&data_dir).unwrap();
            let data_dir = data_dir.display();
            let (uid, gid) = settings.launch.user.unwrap_or_default();
            let options = format!("size={megabytes}m,uid={uid},gid={gid}");
            sh(folder.path(), &format!("mount -t tmpfs -o {options} atelier-test {data_dir}"));
        }
        let mut settings = settings;
        settings.launch.keeps_results = settings.toml.contains_key("forge");
        let (process, address) = launch(folder.path(), &settings.launch).await;
        let read = |name: &str| std::fs::read_to_string(data_dir.join(name)).unwrap().trim().to_owned();
        let (token, instance) = (read("admin-token"), read("instance"));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { process, folder, launch: settings.launch, address, token, instance, http }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// `kill -9`, then a new start on the same data.
    pub(crate) async fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// SIGTERM and a calm end.
    pub(crate) fn stop(&mut self) {
        stop(&mut self.process);
    }

    /// The same, then a new start on the same data.
    pub(crate) async fn stop_and_start_again(&mut self) {
        self.stop();
        self.start_again().await;
    }

    pub(crate) async fn start_again(&mut self) {
        let _ = std::fs::remove_file(self.data_dir().join("address"));
        (self.process, self.address) = launch(self.folder.path(), &self.launch).await;
    }

    /// Stops the server, changes its data with no server about, and starts it again.
    pub(crate) async fn change_while_stopped(&mut self, change: impl FnOnce(&Path)) {
        stop(&mut self.process);
        change(&self.data_dir());
        self.start_again().await;
    }

    pub(crate) fn signal(&self, name: &str) {
        sh(Path::new("/"), &format!("kill -{name} {}", self.process.id()));
    }

    /// The exit code, once the server has ended.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(asked.elapsed() < PATIENCE, "the server does not end: {}", self.server_log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn task(&self, id: &str) -> Task<'_> {
        Task::new(self, id)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn login_link(&self, next: &str) -> String {
        self.url(&format!("/login?token={}&next={next}", self.token))
    }

    /// The header that proves the owner, for a request written by hand.
    pub(crate) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// What the server's API takes for a login.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Files, sockets and pipes that the server has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Memory of the server that is really in use, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What the server wrote to its own log.
    pub(crate) fn server_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap()
    }

    /// A request with the owner's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert!(response.status().is_success(), "GET {path}: {}", response.status());
        response.json().await.unwrap()
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// Submits a zip; `more` are further fields of the form.
    pub(crate) async fn submit_zip(&self, zip: Zip, task: &str, more: &[(&str, &str)]) -> Task<'_> {
        self.submit_zip_bytes(zip.bytes(), task, more).await
    }

    pub(crate) async fn submit_zip_bytes(&self, zip: Vec<u8>, task: &str, more: &[(&str, &str)]) -> Task<'_> {
        let response = self.post_zip(zip, task, more).await;
        self.accepted(response).await
    }

    pub(crate) async fn post_zip(&self, zip: Vec<u8>, task: &str, more: &[(&str, &str)]) -> Response {
        let mut form = reqwest::multipart::Form::new().text("task", task.to_owned());
        for (name, value) in more {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        let form = form.part("archive", reqwest::multipart::Part::bytes(zip).file_name("source.zip"));
        self.request(Method::POST, "/api/tasks").multipart(form).send().await.unwrap()
    }

    pub(crate) async fn submit_git(&self, url: &str, task: &str) -> Task<'_> {
        self.submit(&json!({ "source": { "git_url": url }, "task": task })).await
    }

    pub(crate) async fn submit(&self, body: &Value) -> Task<'_> {
        let response = self.post_json("/api/tasks", body).await;
        self.accepted(response).await
    }

    async fn accepted(&self, response: Response) -> Task<'_> {
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        Task::new(self, body["id"].as_str().unwrap())
    }

    /// No task came of what was sent, nor a file of it.
    pub(crate) async fn kept_nothing(&self) {
        assert_eq!(self.get_json("/api/tasks").await["tasks"], json!([]));
        for folder in ["tasks", "uploads", "logs"] {
            let left: Vec<_> = std::fs::read_dir(self.data_dir().join(folder)).unwrap().collect();
            assert!(left.is_empty(), "{folder}: {left:?}");
        }
    }

    /// Folders of tasks that are there.
    pub(crate) fn workspaces(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(self.data_dir().join("tasks")).unwrap();
        let mut parts =
            vec!["code", "code.kept", "code.returning", "output", "output.kept", "publish", "run", "task.json"];
        if !self.launch.keeps_results {
            parts.push("git");
        }
        tasks
            .flat_map(|task| {
                let task = task.unwrap().path();
                parts.iter().map(|part| task.join(part)).filter(|path| path.exists()).collect::<Vec<_>>()
            })
            .map(|path| path.display().to_string())
            .collect()
    }
}

impl Atelier {
    /// Tasks outlive their server; those of a test that is over do not.
    fn cancel_everything(&mut self) {
        if self.process.try_wait().unwrap().is_some() {
            return;
        }
        let (url, token) = (self.url("/api/tasks"), self.token.clone());
        let cancelled = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(cancel_everything(&url, &token))
        });
        if std::thread::panicking() {
            let _ = cancelled.join();
        } else {
            cancelled.join().unwrap().unwrap();
        }
    }
}

async fn cancel_everything(url: &str, token: &str) -> reqwest::Result<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let tasks: Value = http.get(url).bearer_auth(token).send().await?.json().await?;
        let tasks = tasks["tasks"].as_array().cloned().unwrap_or_default();
        let live: Vec<_> =
            tasks.iter().filter(|task| matches!(task["status"].as_str(), Some("queued" | "running"))).collect();
        if live.is_empty() {
            break;
        }
        for task in live {
            let id = task["id"].as_str().unwrap_or_default();
            http.post(format!("{url}/{id}/cancel")).bearer_auth(token).send().await?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Drop for Atelier {
    fn drop(&mut self) {
        self.cancel_everything();
        stop(&mut self.process);
        let unmount = || {
            if self.launch.disk_mb.is_some() {
                let _ = Command::new("umount").arg("-l").arg(self.data_dir()).status();
            }
        };
        let left = [containers_of(&self.instance), networks_of(&self.instance), self.workspaces()].concat();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "=== log of the server\n{}", self.server_log());
        } else {
            let log = self.server_log();
            unmount();
            assert!(left.is_empty(), "left over: {left:?}\n{log}");
            return;
        }
        unmount();
    }
}

fn stop(process: &mut Child) {
    let _ = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if process.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
}

async fn launch(folder: &Path, how: &Launch) -> (Child, SocketAddr) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log")).unwrap();
    let mut executable = PathBuf::from(env!("CARGO_BIN_EXE_atelier"));
    if how.user.is_some() {
        // What was built may lie where only its owner comes.
        let copy = folder.join("atelier");
        if !copy.exists() {
            std::fs::copy(&executable, &copy).unwrap();
        }
        executable = copy;
    }
    let mut command = match how.open_files {
        None => Command::new(&executable),
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\"")]).arg(&executable);
            shell
        }
    };
    if let Some((uid, gid)) = how.user {
        command.uid(uid).gid(gid);
    }
    let mut process = command
        .args(["serve", "--config"])
        .arg(folder.join("config.toml"))
        // Nobody's key is spent by a test.
        .env_remove("ANTHROPIC_API_KEY")
        .env_remove("OPENAI_API_KEY")
        .env_remove("DEEPSEEK_API_KEY")
        .envs(how.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let address = wait_for_address(&mut process, folder).await;
    (process, address)
}

async fn wait_for_address(process: &mut Child, folder: &Path) -> SocketAddr {
    let started = Instant::now();
    loop {
        let address = std::fs::read_to_string(folder.join("data/address")).unwrap_or_default();
        if let Ok(address) = address.parse() {
            return address;
        }
        let log = || std::fs::read_to_string(folder.join("server.log")).unwrap();
        assert!(process.try_wait().unwrap().is_none(), "the server ended: {}", log());
        assert!(started.elapsed() < PATIENCE, "the server does not come up: {}", log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
