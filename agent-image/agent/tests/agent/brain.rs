//! A brain that follows a script: a small HTTP/1.1 server on a unix socket or on TCP that remembers what it was asked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};

/// What the brain does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Json(Value),
    /// A body that need not be JSON.
    Text(&'static str),
    Status(u16, &'static str),
    /// Hears the request and closes the connection without a word.
    HangUp,
    /// Hears the request, hangs up, takes the socket away and comes back on a new one when the agent has noticed.
    Restart,
}

pub(crate) fn tool_call(name: &str, arguments: &Value) -> Answer {
    Answer::Json(json!({ "event": "tool_call", "name": name, "arguments": arguments }))
}

pub(crate) fn run(command: &str) -> Answer {
    tool_call("run_command", &json!({ "command": command }))
}

pub(crate) fn finish(summary: &str) -> Answer {
    Answer::Json(json!({ "event": "finish", "summary": summary }))
}

/// Where the brain listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Socket,
    Tcp,
}

/// A running brain. It ends with the test.
#[derive(Debug)]
pub(crate) struct Brain {
    pub(crate) url: String,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Heard {
    pub(crate) requests: Vec<Value>,
    /// What each of them had in its `Step-Secret`.
    pub(crate) secrets: Vec<String>,
    pub(crate) connections: usize,
}

struct Script {
    answers: std::vec::IntoIter<Answer>,
    heard: Arc<Mutex<Heard>>,
    socket: PathBuf,
    agent_log: PathBuf,
}

enum Connection {
    Closed,
    RestartWanted,
}

impl Brain {
    /// Listens before it returns, or, given `late`, only once that file exists.
    pub(crate) fn start(
        place: Place,
        folder: &Path,
        agent_log: PathBuf,
        late: Option<PathBuf>,
        script: Vec<Answer>,
    ) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let socket = folder.join("step.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut script =
            Script { answers: script.into_iter(), heard: heard.clone(), socket: socket.clone(), agent_log };
        let url;
        match place {
            Place::Socket => {
                url = format!("unix:{}", socket.display());
                let at_once = late.is_none().then(|| script.listen(&runtime));
                std::thread::spawn(move || {
                    if let Some(file) = late {
                        crate::workbench::wait_for("the sign for the brain to come", || file.exists());
                    }
                    let listener = at_once.unwrap_or_else(|| script.listen(&runtime));
                    runtime.block_on(script.play_on_socket(listener));
                });
            }
            Place::Tcp => {
                let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
                url = format!("http://{}", listener.local_addr().unwrap());
                std::thread::spawn(move || {
                    runtime.block_on(async {
                        while let Ok((stream, _)) = listener.accept().await {
                            script.converse(stream).await;
                        }
                    });
                });
            }
        }
        Self { url, heard }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }
}

impl Script {
    fn listen(&self, runtime: &tokio::runtime::Runtime) -> UnixListener {
        let _inside = runtime.enter();
        let listener = UnixListener::bind(&self.socket).unwrap();
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&self.socket, everyone).unwrap();
        listener
    }

    async fn play_on_socket(&mut self, mut listener: UnixListener) {
        while let Ok((stream, _)) = listener.accept().await {
            if let Connection::RestartWanted = self.converse(stream).await {
                drop(listener);
                std::fs::remove_file(&self.socket).unwrap();
                let log = self.agent_log.clone();
                crate::workbench::wait_for("the agent to notice", || {
                    std::fs::read_to_string(&log).is_ok_and(|log| log.contains("the server is away"))
                });
                listener = UnixListener::bind(&self.socket).unwrap();
            }
        }
    }

    async fn converse(&mut self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Connection {
        self.heard.lock().unwrap().connections += 1;
        let mut stream = BufReader::new(stream);
        while let Some((request, secret)) = receive(&mut stream).await {
            {
                let mut heard = self.heard.lock().unwrap();
                heard.requests.push(request);
                heard.secrets.push(secret);
            }
            let (status, body) = match self.answers.next().unwrap_or(Answer::Status(410, "the script is over")) {
                Answer::Json(reply) => (200, reply.to_string()),
                Answer::Text(text) => (200, text.to_owned()),
                Answer::Status(status, text) => (status, text.to_owned()),
                Answer::HangUp => break,
                Answer::Restart => return Connection::RestartWanted,
            };
            let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n\r\n", body.len());
            if stream.write_all((head + &body).as_bytes()).await.is_err() {
                break;
            }
        }
        Connection::Closed
    }
}

async fn receive(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<(Value, String)> {
    let (mut length, mut secret) = (0, String::new());
    let mut first = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if first.is_empty() {
            first = line.to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("step-secret")
        {
            value.trim().clone_into(&mut secret);
        }
        if line.is_empty() {
            break;
        }
    }
    assert_eq!(first, "POST /step HTTP/1.1");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((serde_json::from_slice(&body).unwrap(), secret))
}
