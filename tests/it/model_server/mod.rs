//! A model provider on loopback: speaks the published wire formats, is as strict as the real ones, and fails on demand.
//!
//! OpenAI at `/v1` (chat and responses; and `/anonymous/v1`, without a key), DeepSeek at `/deepseek`, Anthropic at `/v1/messages`, Ollama at `/api/chat`,
//! Gemini at `/v1beta`. `official_clients` proves the formats with the providers' own Python clients, streamed and not.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::StreamExt as _;
use serde_json::Value;

mod anthropic;
mod gemini;
mod ollama;
mod openai;
mod reply;
mod responses;

use reply::Fault;
pub(crate) use reply::{Pieces, Reply, Spoken};

/// Stops when dropped.
pub(crate) struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

/// A request as it came, whether it was liked or not.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
    /// Tool calls that came with thinking, which has to come back with them.
    thoughtful_calls: Mutex<HashSet<String>>,
    play: Mutex<Option<Play>>,
}

/// Answers a question by what is in it.
type Play = Box<dyn Fn(&Received) -> Reply + Send>;

/// Why a real provider would refuse: its status, its name for the error, its words.
struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
}

/// What one wire format needs.
struct Wire {
    check: fn(&Received, &HashSet<String>) -> Result<(), Refusal>,
    answer: fn(&Spoken, &str, usize) -> Value,
    /// The answer in pieces, as they are written to the wire.
    stream: fn(&Value) -> Vec<String>,
    stream_type: &'static str,
    error: fn(&Refusal) -> Value,
}

const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

impl ModelServer {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/v1/chat/completions", post(|state, request| serve(&openai::OPENAI, state, request)))
            .route("/anonymous/v1/chat/completions", post(|state, request| serve(&openai::ANONYMOUS, state, request)))
            .route("/v1/responses", post(|state, request| serve(&responses::WIRE, state, request)))
            .route("/anonymous/v1/responses", post(|state, request| serve(&responses::ANONYMOUS, state, request)))
            .route("/deepseek/chat/completions", post(|state, request| serve(&openai::DEEPSEEK, state, request)))
            .route("/v1/messages", post(|state, request| serve(&anthropic::WIRE, state, request)))
            .route("/api/chat", post(|state, request| serve(&ollama::WIRE, state, request)))
            .route(
                "/v1beta/models/{call}",
                post(|_: Path<String>, state, request| serve(&gemini::WIRE, state, request)),
            )
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// `http://127.0.0.1:PORT`, without a slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the next request is answered with, after those already in the queue.
    pub(crate) fn will(&self, reply: impl Into<Reply>) {
        self.shared.replies.lock().unwrap().push_back(reply.into());
    }

    /// How requests are answered for which nothing is queued.
    pub(crate) fn plays(&self, play: impl Fn(&Received) -> Reply + Send + 'static) {
        *self.shared.play.lock().unwrap() = Some(Box::new(play));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Received {
    fn has_header(&self, name: &str) -> bool {
        self.headers.get(name).is_some_and(|value| !value.trim().is_empty())
    }
}

async fn serve(wire: &Wire, State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let uri = request.uri().clone();
    let headers = readable(request.headers());
    let bytes = axum::body::to_bytes(request.into_body(), 100 << 20).await.unwrap();
    let body = serde_json::from_slice::<Value>(&bytes);
    let received = Received { path, headers, body: body.unwrap_or_default() };
    let number = {
        let mut all = shared.received.lock().unwrap();
        all.push(received.clone());
        all.len()
    };
    let checked = (wire.check)(&received, &shared.thoughtful_calls.lock().unwrap());
    if let Err(refusal) = checked {
        return json_response(refusal.status, &(wire.error)(&refusal));
    }
    let queued = shared.replies.lock().unwrap().pop_front();
    let reply = queued.or_else(|| shared.play.lock().unwrap().as_ref().map(|play| play(&received)));
    match reply {
        Some(Reply::Spoken(spoken)) => {
            let model = received.body["model"].as_str().unwrap_or_default();
            if spoken.thinking.is_some() {
                let ids = (0..spoken.calls.len()).map(|index| call_id(number, index));
                shared.thoughtful_calls.lock().unwrap().extend(ids);
            }
            let answer = (wire.answer)(&spoken, model, number);
            if spoken.unstreamed || !wants_stream(&uri, &received.body) {
                return json_response(200, &answer);
            }
            let pieces = futures_util::stream::iter((wire.stream)(&answer));
            let body = Body::from_stream(pieces.then(move |piece| async move {
                tokio::time::sleep(spoken.pause).await;
                Ok::<_, std::convert::Infallible>(piece)
            }));
            ([("content-type", wire.stream_type)], body).into_response()
        }
        Some(Reply::Fault(fault)) => fail(wire, fault).await,
        None => {
            let message = "the test queued no reply for this request".to_owned();
            json_response(500, &(wire.error)(&Refusal { status: 500, kind: "server_error", message }))
        }
    }
}

fn wants_stream(uri: &Uri, body: &Value) -> bool {
    body["stream"] == true || (uri.path().ends_with(":streamGenerateContent") && uri.query() == Some("alt=sse"))
}

/// An event of a stream, without a name.
fn data_event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// In two, as a model would be cut between any characters.
fn halves(text: &str) -> [String; 2] {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (first, second) = text.split_at(middle);
    [first.to_owned(), second.to_owned()]
}

/// Ids are unique for a server, as they are for a provider.
fn call_id(request: usize, index: usize) -> String {
    format!("call_{request}_{index}")
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn json_response(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

async fn fail(wire: &Wire, fault: Fault) -> Response {
    match fault {
        Fault::Status { status, headers, message } => {
            let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
            let mut response = json_response(status, &(wire.error)(&Refusal { status, kind, message }));
            for (name, value) in headers {
                response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            response
        }
        Fault::Body { content_type, headers, body } => {
            let mut response = ([("content-type", content_type)], body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            response
        }
        Fault::Pieces(pieces) => pieces.into_response(),
        Fault::Hang => std::future::pending().await,
        Fault::Cut => {
            let parts = [Ok("{\"choices\":[{\"message\":"), Err(std::io::Error::other("cut"))];
            let body = Body::from_stream(futures_util::stream::iter(parts));
            ([("content-type", "application/json"), ("content-length", "5000")], body).into_response()
        }
    }
}
