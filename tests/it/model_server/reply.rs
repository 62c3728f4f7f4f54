//! What the model server is to answer, in no provider's words.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

pub(crate) enum Reply {
    Spoken(Spoken),
    Fault(Fault),
}

/// An answer of the model. Counts are whole: `input` includes `cached`.
#[derive(Default)]
pub(crate) struct Spoken {
    pub(super) text: String,
    pub(super) thinking: Option<String>,
    pub(super) calls: Vec<SpokenCall>,
    pub(super) cut_by_limit: bool,
    pub(super) unstreamed: bool,
    pub(super) pause: Duration,
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
}

pub(super) struct SpokenCall {
    pub(super) name: String,
    /// An object; or a string that goes out as it is, which may be no JSON (OpenAI only).
    pub(super) arguments: Value,
}

pub(crate) enum Fault {
    Status {
        status: u16,
        headers: Vec<(&'static str, String)>,
        message: String,
    },
    /// `200 OK` with whatever this is.
    Body {
        content_type: &'static str,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    Pieces(Pieces),
    /// Takes the request and says nothing.
    Hang,
    /// Promises more bytes than come.
    Cut,
}

/// `200 OK` and a body in pieces: the first ones at once, then one again and again.
pub(crate) struct Pieces {
    pub(crate) content_type: &'static str,
    pub(crate) first: String,
    pub(crate) then: String,
    pub(crate) times: usize,
    pub(crate) every: Duration,
    /// The connection is cut afterwards.
    pub(crate) cut: bool,
}

impl Pieces {
    /// Only the first.
    pub(crate) fn once(content_type: &'static str, first: &str) -> Self {
        Self { content_type, first: first.to_owned(), then: String::new(), times: 0, every: Duration::ZERO, cut: false }
    }

    pub(super) fn into_response(self) -> Response {
        let Self { content_type, first, then, times, every, cut } = self;
        let then = Bytes::from(then);
        let first = futures_util::stream::iter([Ok(Bytes::from(first))]);
        let again = futures_util::stream::unfold(0, move |number| {
            let then = then.clone();
            async move {
                tokio::time::sleep(every).await;
                match number {
                    _ if number < times => Some((Ok(then), number + 1)),
                    _ if number == times && cut => Some((Err(std::io::Error::other("cut")), number + 1)),
                    _ => None,
                }
            }
        });
        let body = Body::from_stream(futures_util::StreamExt::chain(first, again));
        ([("content-type", content_type)], body).into_response()
    }
}

impl Reply {
    pub(crate) fn text(text: &str) -> Spoken {
        Spoken { text: text.to_owned(), input: 11, output: 7, ..Spoken::default() }
    }

    /// An error in the provider's own shape.
    pub(crate) fn status(status: u16, message: &str) -> Self {
        Self::Fault(Fault::Status { status, headers: Vec::new(), message: message.to_owned() })
    }

    pub(crate) fn body(content_type: &'static str, body: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Fault(Fault::Body { content_type, headers: Vec::new(), body: body.as_ref().to_vec() })
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::status(307, "moved").with_header("location", location)
    }

    pub(crate) fn hang() -> Self {
        Self::Fault(Fault::Hang)
    }

    pub(crate) fn cut() -> Self {
        Self::Fault(Fault::Cut)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Fault(Fault::Status { headers, .. } | Fault::Body { headers, .. }) = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

impl Spoken {
    pub(crate) fn tool_call(mut self, name: &str, arguments: Value) -> Self {
        self.calls.push(SpokenCall { name: name.to_owned(), arguments });
        self
    }

    pub(crate) fn thinking(mut self, thinking: &str) -> Self {
        self.thinking = Some(thinking.to_owned());
        self
    }

    pub(crate) fn usage(mut self, input: u64, cached: u64, output: u64) -> Self {
        (self.input, self.cached, self.output) = (input, cached, output);
        self
    }

    /// With a pause before each piece of the stream.
    pub(crate) fn slowly(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sent whole, even to whoever asks for a stream.
    pub(crate) fn unstreamed(mut self) -> Self {
        self.unstreamed = true;
        self
    }

    pub(crate) fn cut_by_limit(mut self) -> Self {
        self.cut_by_limit = true;
        self
    }
}

impl SpokenCall {
    /// As a string, the way OpenAI sends it.
    pub(super) fn arguments_text(&self) -> String {
        self.arguments.as_str().map_or_else(|| json!(self.arguments).to_string(), str::to_owned)
    }
}

impl From<Pieces> for Reply {
    fn from(pieces: Pieces) -> Self {
        Self::Fault(Fault::Pieces(pieces))
    }
}

impl From<Spoken> for Reply {
    fn from(spoken: Spoken) -> Self {
        Self::Spoken(spoken)
    }
}
