//! One request to a provider and its answer, within four limits of time and one of size.
//!
//! Answers are streamed: only so a provider that thinks can be told from one that hangs, and a body that is too large is left
//! where it is. What comes is put together (`assemble`) and handed on only when the provider said that it is whole. One that
//! does not stream although asked to is understood too.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming, header};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::{Hold, LlmError};
use super::{
    HostedKind, HostedSettings,
    assemble::{self, Assemble, Step},
    events::{Events, Framing},
    trouble,
};

/// How long an answer may take. `total` bounds all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Finding the address, TCP, TLS.
    pub(crate) connect: Duration,
    /// From the beginning to the head of the answer.
    pub(crate) first_byte: Duration,
    /// Without a piece of the answer; pings are none.
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

/// Of an answer, and of what it is wrapped in while it is streamed. Pieces of a few bytes come in events of some hundred.
pub(super) const MAX_BODY_BYTES: usize = 10 << 20;
const WRAPPING_BYTES_A_TOKEN: usize = 1 << 10;
const MAX_WRAPPING_BYTES: usize = 90 << 20;
/// An error page is read as far as anyone would.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// For the usage and the end of the connection, after the answer itself is whole.
const GRACE: Duration = Duration::from_secs(3);

/// Which headers of genai go on. The others belong to its own connection.
const OWN_HEADERS: [header::HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::ACCEPT, header::ACCEPT_ENCODING];

pub(super) struct Exchange<'a> {
    pub(super) settings: &'a HostedSettings,
    pub(super) http: &'a reqwest::Client,
    pub(super) base_url: &'a str,
    pub(super) max_output_tokens: u32,
    pub(super) hold: Hold<'a>,
    /// What came of the answer. It was paid for, even when it broke off.
    pub(super) begun: Mutex<Option<Begun>>,
}

pub(super) struct Begun {
    answer: Box<dyn Assemble>,
    has_content: bool,
}

impl Exchange<'_> {
    /// The answer as genai reads it: not streamed, or with the status and the body of an error.
    pub(super) async fn run(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, LlmError> {
        let total = self.settings.timeouts.total;
        let (status, content_type, headers, body) = timeout(total, self.delivered(request))
            .await
            .map_err(|_| self.late("finish its answer", total, "request"))??;
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        Ok(response)
    }

    /// Bytes of an answer that broke off, put together as far as it came; none when it had not begun.
    pub(super) async fn given_up(&self) -> Option<usize> {
        let begun = self.begun.lock().await.take().filter(|begun| begun.has_content)?;
        Some(begun.answer.into_body().to_string().len())
    }

    async fn delivered(&self, request: Request<Incoming>) -> Result<Delivered, LlmError> {
        let first_byte = self.settings.timeouts.first_byte;
        let ready = self.translated(request).await?;
        self.hold.released().await;
        let sent = ready.send();
        let mut response = timeout(first_byte, sent)
            .await
            .map_err(|_| self.late("begin to answer", first_byte, "first_byte"))?
            .map_err(|error| trouble::transport(self.settings, self.base_url, error))?;
        let status = response.status();
        let content_type =
            response.headers().get(header::CONTENT_TYPE).cloned().unwrap_or(header::HeaderValue::from_static(""));
        let media_type = content_type.to_str().unwrap_or_default().to_owned();
        let headers = for_trouble(response.headers());
        if !status.is_success() {
            return Ok((status, content_type, headers, self.beginning(&mut response).await));
        }
        let encoding =
            response.headers().get(header::CONTENT_ENCODING).map(|name| name.as_bytes().to_ascii_lowercase());
        if encoding.is_some_and(|name| name != b"identity") {
            return Err(self.bad("sent a compressed answer, which nobody asked for; check what stands between"));
        }
        if let Some(framing) = Framing::of(&media_type) {
            let body = self.streamed(&mut response, framing).await?;
            return Ok((status, JSON, headers, body.to_string().into()));
        }
        if !media_type.to_ascii_lowercase().starts_with("application/json") {
            return Ok((status, content_type, headers, self.beginning(&mut response).await));
        }
        Ok((status, JSON, headers, self.whole(&mut response).await?))
    }

    /// genai's request, to the real address and for a stream.
    async fn translated(&self, request: Request<Incoming>) -> Result<reqwest::RequestBuilder, LlmError> {
        let (head, body) = request.into_parts();
        let unreadable = |cause: String| LlmError::Refused {
            status: None,
            message: format!("the request to {} could not be made: {cause}", self.settings.name),
        };
        let body = body.collect().await.map_err(|error| unreadable(error.to_string()))?.to_bytes();
        let mut body: Value = serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
        let mut url = url::Url::parse(self.base_url).map_err(|error| unreadable(error.to_string()))?;
        url.set_path(head.uri.path());
        if self.settings.stream {
            ask_to_stream(self.settings.kind, &mut url, &mut body);
        }
        let mut headers = head.headers;
        for name in OWN_HEADERS {
            headers.remove(name);
        }
        Ok(self.http.post(url).headers(headers).body(body.to_string()))
    }

    async fn streamed(&self, response: &mut reqwest::Response, framing: Framing) -> Result<Value, LlmError> {
        let idle = self.settings.timeouts.idle;
        let tokens = usize::try_from(self.max_output_tokens).unwrap_or(usize::MAX);
        let most = MAX_BODY_BYTES + tokens.saturating_mul(WRAPPING_BYTES_A_TOKEN).min(MAX_WRAPPING_BYTES);
        let mut kept = self.begun.lock().await;
        let begun = kept.insert(Begun { answer: assemble::assembler(self.settings.kind), has_content: false });
        let mut events = Events::new(framing);
        let (mut received, mut silent_until) = (0_usize, Instant::now() + idle);
        loop {
            let piece = timeout_at(silent_until, response.chunk()).await;
            let is_over = match piece {
                // The answer is there and was paid for: it counts, however the connection ends.
                _ if begun.answer.is_whole() && !matches!(piece, Ok(Ok(Some(_)))) => return self.ended(&mut kept),
                Err(_) => return Err(self.late("go on with its answer", idle, "idle")),
                Ok(Err(error)) => return Err(trouble::transport(self.settings, self.base_url, error)),
                Ok(Ok(Some(bytes))) => {
                    received += bytes.len();
                    events.extend(&bytes);
                    false
                }
                Ok(Ok(None)) => {
                    events.close();
                    true
                }
            };
            if received > most {
                return Err(self.too_large(most));
            }
            while let Some(event) = events.next() {
                let step = assemble::take(begun.answer.as_mut(), &event)
                    .map_err(|error| self.bad(&format!("sent broken JSON in the middle of its answer: {error}")))?;
                match step {
                    Step::Nothing => {}
                    Step::Content => {
                        begun.has_content = true;
                        silent_until = Instant::now() + idle;
                    }
                    Step::End => return self.ended(&mut kept),
                    Step::Failed(body) => return Ok(body),
                }
            }
            if is_over {
                return self.ended(&mut kept);
            }
            if begun.answer.is_whole() {
                silent_until = silent_until.min(Instant::now() + GRACE);
            }
        }
    }

    fn ended(&self, kept: &mut Option<Begun>) -> Result<Value, LlmError> {
        if let Some(begun) = kept.take_if(|begun| begun.answer.is_whole()) {
            return Ok(begun.answer.into_body());
        }
        let name = &self.settings.name;
        Err(trouble::unavailable(format!("the answer of {name} broke off (its stream ended too early)")))
    }

    /// A body that is not streamed. Blank bytes keep the connection of some providers alive.
    async fn whole(&self, response: &mut reqwest::Response) -> Result<Bytes, LlmError> {
        let idle = self.settings.timeouts.idle;
        let (mut body, mut silent_until) = (BytesMut::new(), Instant::now() + idle);
        loop {
            match timeout_at(silent_until, response.chunk()).await {
                Err(_) => return Err(self.late("go on with its answer", idle, "idle")),
                Ok(Err(error)) => return Err(trouble::transport(self.settings, self.base_url, error)),
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Ok(Some(bytes))) => {
                    if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                        silent_until = Instant::now() + idle;
                    }
                    if body.len() + bytes.len() > MAX_BODY_BYTES {
                        return Err(self.too_large(MAX_BODY_BYTES));
                    }
                    body.extend_from_slice(&bytes);
                }
            }
        }
    }

    /// Of a body that is no answer: enough to say what it is.
    async fn beginning(&self, response: &mut reqwest::Response) -> Bytes {
        let mut body = BytesMut::new();
        let deadline = Instant::now() + self.settings.timeouts.idle;
        while let Ok(Ok(Some(bytes))) = timeout_at(deadline, response.chunk()).await {
            body.extend_from_slice(&bytes);
            if body.len() > MAX_ERROR_BYTES {
                body.truncate(MAX_ERROR_BYTES);
                break;
            }
        }
        body.freeze()
    }

    fn late(&self, what: &str, limit: Duration, setting: &str) -> LlmError {
        let (name, limit) = (&self.settings.name, limit.as_secs_f32());
        trouble::unavailable(format!("{name} did not {what} within {limit} s ({setting}_timeout_s)"))
    }

    fn too_large(&self, most: usize) -> LlmError {
        self.bad(&format!("sent an answer of more than the {} MB allowed", most >> 20))
    }

    fn bad(&self, what: &str) -> LlmError {
        trouble::bad(format!("{} {what}", self.settings.name))
    }
}

type Delivered = (StatusCode, header::HeaderValue, HeaderMap, Bytes);

const JSON: header::HeaderValue = header::HeaderValue::from_static("application/json");

/// What `trouble` reads; everything else is between the provider and us.
fn for_trouble(headers: &HeaderMap) -> HeaderMap {
    let names = [header::LOCATION, header::RETRY_AFTER, header::HeaderName::from_static("retry-after-ms")];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(&name)?.clone()))).collect()
}

fn ask_to_stream(kind: HostedKind, url: &mut url::Url, body: &mut Value) {
    if kind == HostedKind::Gemini {
        let path = url.path().replace(":generateContent", ":streamGenerateContent");
        url.set_path(&path);
        url.set_query(Some("alt=sse"));
        return;
    }
    let Some(body) = body.as_object_mut() else { return };
    body.insert("stream".to_owned(), json!(true));
    if kind.is_openai() {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
}
