//! `POST /step` on the loopback: takes a request, carries it to the server, hands back the reply.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::client::{StepClient, StepError};
use crate::memory::{MemoryReport, OomWatch};
use crate::run_record::RunRecord;
use crate::wire::{OUT_OF_MEMORY, Payload, StepRequest};

const LARGEST_REQUEST: usize = 16 << 20;
/// For the head of a request; its answer may take as long as the model thinks.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Before accepting again when there is no descriptor left for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// One request at a time, as the protocol has it.
#[derive(Debug)]
pub(super) struct Desk {
    client: StepClient,
    record: Rc<RunRecord>,
    memory: OomWatch,
    book: Mutex<Book>,
}

/// What was carried so far.
#[derive(Debug, Default)]
struct Book {
    requests: u64,
    /// The last request and its number, while no reply to it has come: when the program gave up waiting and asks again,
    /// it is the same request.
    open: Option<(Vec<u8>, u64)>,
}

pub(super) async fn serve(listener: TcpListener, desk: Rc<Desk>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let desk = desk.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| async { Ok::<_, Infallible>(desk.answer(request).await) });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            // A program that hangs up knows that it did.
            let _ = connection.await;
        });
    }
}

impl Desk {
    pub(super) fn new(client: StepClient, record: Rc<RunRecord>) -> Self {
        let memory = OomWatch::default();
        memory.begin();
        Self { client, record, memory, book: Mutex::default() }
    }

    /// After the program has ended: tells the server when the kernel ended something for want of memory, most likely the
    /// program itself.
    pub(super) async fn last_word(&self, task_id: String) {
        let Some(report) = self.memory.news() else { return };
        let reason = format!("{OUT_OF_MEMORY}: {}", report.describe());
        self.record.note(&reason);
        let seq = Some(self.book.lock().await.requests);
        let request = StepRequest { task_id, seq, payload: Payload::AgentAbort { reason } };
        if let Err(error) = self.client.step(&request, &self.record).await {
            self.record.note(&error.to_string());
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/step") => {}
            (_, "/step") => return say(StatusCode::METHOD_NOT_ALLOWED, "send a POST"),
            _ => return say(StatusCode::NOT_FOUND, "there is only POST /step"),
        }
        match Limited::new(request.into_body(), LARGEST_REQUEST).collect().await {
            Ok(body) => self.carry(body.to_bytes().into()).await,
            Err(error) => say(StatusCode::PAYLOAD_TOO_LARGE, &format!("{error}; at most {LARGEST_REQUEST} bytes")),
        }
    }

    async fn carry(&self, body: Vec<u8>) -> Response<Full<Bytes>> {
        let mut book = self.book.lock().await;
        let number = match &book.open {
            Some((last, number)) if *last == body => *number,
            _ => book.requests,
        };
        book.requests = number + 1;
        book.open = Some((body.clone(), number));
        let (payload, body) = numbered(body, number, self.memory.news());
        let outcome = self.client.send(body, &self.record).await;
        book.open = None;
        match outcome {
            Ok(reply) => {
                let raw = serde_json::from_slice(&reply);
                let raw = raw.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&reply).into_owned()));
                self.record.iteration(number + 1, &payload, &raw);
                self.record.note(&format!("step {}: {} -> {}", number + 1, event(&payload), event(&raw)));
                respond(StatusCode::OK, "application/json", reply)
            }
            Err(error) => {
                self.record.note(&format!("step {}: {} -> {error}", number + 1, event(&payload)));
                match error {
                    StepError::Refused { status, text } => say(status, &text),
                    other => say(StatusCode::BAD_GATEWAY, &other.to_string()),
                }
            }
        }
    }
}

/// The payload, for the records, and the body with a number: with it the request can be repeated safely. What is no JSON
/// object goes on as it is, for the server to refuse.
///
/// The program does not look at the memory of the container: what happened to it goes into the result of its tool.
fn numbered(body: Vec<u8>, number: u64, oom: Option<MemoryReport>) -> (Value, Vec<u8>) {
    let Ok(Value::Object(mut request)) = serde_json::from_slice(&body) else { return (Value::Null, body) };
    let result = request.get_mut("payload").and_then(|payload| payload.get_mut("result")?.as_object_mut());
    let told = match (result, oom) {
        (Some(result), Some(report)) => result.insert(OUT_OF_MEMORY.to_owned(), report.describe().into()).is_none(),
        _ => false,
    };
    let payload = request.get("payload").cloned().unwrap_or_default();
    if request.contains_key("seq") {
        return (payload, if told { Value::Object(request).to_string().into_bytes() } else { body });
    }
    request.insert("seq".to_owned(), number.into());
    (payload, Value::Object(request).to_string().into_bytes())
}

fn event(message: &Value) -> String {
    let field = |name: &str| message.get(name).and_then(Value::as_str);
    [field("event").or(Some("?")), field("name")].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
