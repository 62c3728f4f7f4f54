//! The agent's end of the step protocol: one request at a time over one kept connection, repeated while the server is away.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::run_record::RunRecord;
use crate::secret;
use crate::settings::StepServer;
use crate::socket_watch::SocketWatch;
use crate::wire::{SECRET_HEADER, StepRequest};

const LARGEST_REPLY: usize = 16 << 20;
/// Characters of a refusal that are worth repeating.
const LONGEST_REFUSAL: usize = 2000;
const SHORTEST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// How long a server on the network may be away. One on a socket may be away for ever: the server that owns the
/// container bounds its life.
const HTTP_PATIENCE: Duration = Duration::from_mins(1);

/// A client of one server.
#[derive(Debug)]
pub(crate) struct StepClient {
    http: Client,
    url: String,
    patience: Option<Duration>,
    socket: Option<PathBuf>,
    watch: Option<SocketWatch>,
}

/// Why a request got no reply. The run is over then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("the server refused the step ({status}): {text}")]
    Refused { status: StatusCode, text: String },
    #[error("the reply of the server is larger than {LARGEST_REPLY} bytes")]
    TooLarge,
    #[error("the server was away for {} s, the last try said: {last}", HTTP_PATIENCE.as_secs())]
    Away { last: String },
    #[error("the request cannot be made: {0}")]
    Request(#[from] serde_json::Error),
}

/// Why there is no client. The run does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot read /dev/urandom: {0}")]
    Secret(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

enum Attempt {
    Answered(Vec<u8>),
    Failed(StepError),
    /// Worth repeating; the text says what happened.
    Away(String),
}

impl StepClient {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(server: &StepServer) -> Result<Self, ClientError> {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(SECRET_HEADER), secret::make()?)]);
        let builder = Client::builder()
            .default_headers(headers)
            .no_proxy()
            .redirect(redirect::Policy::none())
            // A command may run for long between two steps; the connection is worth keeping.
            .pool_idle_timeout(None)
            .connect_timeout(Duration::from_secs(10))
            // No total timeout: the model may think for many minutes.
            .tcp_keepalive(Duration::from_secs(30));
        Ok(match server {
            StepServer::Unix(socket) => Self {
                // Without certificates in the image there would be no client, although none are needed here.
                http: builder.unix_socket(socket.as_path()).tls_certs_only([]).build()?,
                url: "http://localhost/step".to_owned(),
                patience: None,
                socket: Some(socket.clone()),
                watch: watch(socket),
            },
            StepServer::Http(base) => {
                let builder = if base.starts_with("https:") { builder } else { builder.tls_certs_only([]) };
                let (http, url) = (builder.build()?, format!("{base}/step"));
                Self { http, url, patience: Some(HTTP_PATIENCE), socket: None, watch: None }
            }
        })
    }

    /// Waits until somebody listens on the socket. A server on the network is taken to be there.
    pub(crate) async fn server_appears(&self) {
        let Some(socket) = &self.socket else { return };
        let mut wait = SHORTEST_WAIT;
        while UnixStream::connect(socket).await.is_err() {
            wait = self.pause(wait).await;
        }
    }

    /// Sends the request until the server answers it.
    pub(crate) async fn step(&self, request: &StepRequest, record: &RunRecord) -> Result<Vec<u8>, StepError> {
        self.send(serde_json::to_vec(request)?, record).await
    }

    /// Sends the body of a request, always the same bytes: the server knows a repetition by its `seq`.
    pub(crate) async fn send(&self, body: Vec<u8>, record: &RunRecord) -> Result<Vec<u8>, StepError> {
        let mut away_since: Option<Instant> = None;
        let mut wait = SHORTEST_WAIT;
        loop {
            let last = match self.attempt(body.clone()).await {
                Attempt::Away(last) => last,
                Attempt::Failed(error) => return Err(error),
                Attempt::Answered(reply) => {
                    if let Some(since) = away_since {
                        let waited = since.elapsed().as_millis();
                        record.note(&format!("the server answers again after {waited} ms"));
                    }
                    return Ok(reply);
                }
            };
            let since = *away_since.get_or_insert_with(|| {
                record.note(&format!("the server is away, trying again: {last}"));
                Instant::now()
            });
            if self.patience.is_some_and(|patience| since.elapsed() > patience) {
                return Err(StepError::Away { last });
            }
            wait = self.pause(wait).await;
        }
    }

    /// Waits for the given time or for a new socket; returns how long to wait the next time.
    async fn pause(&self, wait: Duration) -> Duration {
        let doubled = (wait * 2).min(LONGEST_WAIT);
        match &self.watch {
            None => {
                sleep(wait).await;
                doubled
            }
            Some(watch) => match timeout(wait, watch.changed()).await {
                // The server binds before it listens: the first try may come too early, the second comes soon.
                Ok(Ok(())) => SHORTEST_WAIT,
                Err(_) => doubled,
                Ok(Err(_)) => {
                    sleep(wait).await;
                    doubled
                }
            },
        }
    }

    async fn attempt(&self, body: Vec<u8>) -> Attempt {
        let sent = self.http.post(&self.url).header(CONTENT_TYPE, "application/json").body(body).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Attempt::Away(chain(&error)),
        };
        let status = response.status();
        let reply = match read(response).await {
            Ok(Some(reply)) => reply,
            Ok(None) => return Attempt::Failed(StepError::TooLarge),
            Err(error) => return Attempt::Away(chain(&error)),
        };
        if status.is_success() {
            return Attempt::Answered(reply);
        }
        let text: String = String::from_utf8_lossy(&reply).trim().chars().take(LONGEST_REFUSAL).collect();
        if status.is_server_error() {
            Attempt::Away(format!("{status}: {text}"))
        } else {
            Attempt::Failed(StepError::Refused { status, text })
        }
    }
}

/// Without inotify (a folder not there yet, a runtime that lacks it) the pauses alone have to do.
fn watch(socket: &Path) -> Option<SocketWatch> {
    SocketWatch::new(socket).ok()
}

/// The body, or `None` when it exceeds the cap.
async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_REPLY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// reqwest's own text says little; the causes behind it name the refused connection or the missing socket.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
