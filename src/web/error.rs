//! What can go wrong with a request: one type, shown to programs as a problem (RFC 9457) and to people as a page.

use std::{any::Any, error::Error, io, sync::Arc};

use askama::Template;
use axum::{
    Json,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{git_remote, language, share, submit::FieldError, viewer};
use crate::{db::DbError, export::ExportError};

#[derive(Debug, thiserror::Error)]
pub(super) enum WebError {
    #[error("{}", tr!("There is nothing at this address."))]
    NotFound,
    #[error("{}", tr!("There is no task with this id."))]
    NoSuchTask,
    #[error("{}", tr!("This link opens nothing. It may have been revoked; ask for a new one whoever gave it to you."))]
    NoSuchShare,
    #[error("{}", tr!("This link has expired. Ask for a new one whoever gave it to you."))]
    ShareExpired,
    #[error("{}", tr!("Log in first: send a token as `Authorization: Bearer`, or open the login page."))]
    Unauthorized,
    #[error("{}", tr!("Only the owner of this server may do this."))]
    OwnerOnly,
    #[error("{}", tr!("This is not done with an API token. Log in with a browser."))]
    NotForTokens,
    #[error("{}", tr!("The sign-in was interrupted. Begin it again on the login page."))]
    SignInLost,
    #[error("{}", tr!("The sign-in did not succeed. Try again; the log of the server has the reason."))]
    SignInFailed,
    #[error("{}", tr!("You signed in as {login}, but nobody here has invited you. Ask the owner of this server.", login = login))]
    NotInvited { login: String },
    #[error("{}", tr!("Too many people are logging in at once. Try again in a moment."))]
    Busy,
    #[error("{}", tr!("Too many failed tries from your address. Wait a minute, then try again."))]
    TooManyTries,
    #[error("{}", tr!("The request came from a page of another site and was refused."))]
    CrossOrigin,
    #[error("{}", tr!("The server does not answer to this host name. Set [server] public_url to the name it is reached by."))]
    UnknownHost,
    #[error("{0}")]
    Malformed(String),
    #[error("{}", fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid { fields: Vec<FieldError> },
    #[error("{}", tr!("Send JSON (application/json) or a form with a file (multipart/form-data)."))]
    UnsupportedMediaType,
    #[error("{}", tr!("The archive is larger than {limit} bytes, the limit set by [source] max_zip_bytes.", limit = limit))]
    ArchiveTooLarge { limit: u64 },
    #[error("{}", tr!("The request stalled: its body came too slowly. Send it again."))]
    TooSlow,
    #[error("{}", tr!("The result of a task is there to be fetched; nothing can be pushed to it."))]
    ReadOnlyRepository,
    #[error("{0}")]
    Conflict(String),
    #[error("{}", tr!("The range lies outside of the file."))]
    RangeNotSatisfiable { size: u64 },
    #[error("{}", tr!("{waiting} tasks are waiting already, no more are taken. Try again when some are done.", waiting = waiting))]
    QueueFull { waiting: u64 },
    #[error("{}", tr!("{waiting} tasks of yours are waiting already, no more are taken. Try again when some are done.", waiting = waiting))]
    PersonQueueFull { waiting: u64 },
    #[error("{}", tr!("The server is stopping and takes no new tasks. Try again in a moment."))]
    Stopping,
    #[error("{}", tr!("The server's disk is full. Free some space, then send the task again."))]
    DiskFull,
    #[error("{}", tr!("The server did not answer in time. Try again in a moment."))]
    Timeout,
    /// What axum itself refused.
    #[error("{}", title(*.0))]
    Refused(StatusCode),
    /// Our fault. The cause is for the log alone.
    #[error("{}", tr!("Something went wrong on our side. The server's log has the cause under the id {id}.", id = id))]
    Internal { id: String, cause: Box<dyn Error + Send + Sync> },
}

impl WebError {
    pub(super) fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal { id: HEXLOWER.encode(&rand::random::<[u8; 6]>()), cause: cause.into() }
    }

    pub(super) fn panic(payload: Box<dyn Any + Send>) -> Self {
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast_ref::<&str>().map_or("of an unknown kind", |text| text).to_owned(),
        };
        Self::internal(format!("panic: {text}"))
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NoSuchTask | Self::NoSuchShare => StatusCode::NOT_FOUND,
            Self::ShareExpired => StatusCode::GONE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooManyTries | Self::QueueFull { .. } | Self::PersonQueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::CrossOrigin
            | Self::OwnerOnly
            | Self::NotForTokens
            | Self::NotInvited { .. }
            | Self::ReadOnlyRepository => StatusCode::FORBIDDEN,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Malformed(_) | Self::SignInLost => StatusCode::BAD_REQUEST,
            Self::SignInFailed => StatusCode::BAD_GATEWAY,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ArchiveTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Stopping | Self::Timeout | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Refused(status) => *status,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The name for programs.
    fn kind(&self) -> &str {
        match self {
            Self::NotFound => "not_found",
            Self::NoSuchTask => "no_such_task",
            Self::NoSuchShare => "no_such_share",
            Self::ShareExpired => "share_expired",
            Self::Unauthorized => "unauthorized",
            Self::OwnerOnly => "owner_only",
            Self::NotForTokens => "not_for_tokens",
            Self::Busy => "busy",
            Self::SignInLost => "sign_in_lost",
            Self::SignInFailed => "sign_in_failed",
            Self::NotInvited { .. } => "not_invited",
            Self::TooManyTries => "too_many_tries",
            Self::CrossOrigin => "cross_origin",
            Self::UnknownHost => "unknown_host",
            Self::Malformed(_) => "malformed",
            Self::Invalid { fields } => fields.first().map_or("invalid", |field| &field.kind),
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ArchiveTooLarge { .. } => "too_large",
            Self::TooSlow => "too_slow",
            Self::ReadOnlyRepository => "read_only",
            Self::Conflict(_) => "conflict",
            Self::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            Self::QueueFull { .. } => "queue_full",
            Self::PersonQueueFull { .. } => "person_queue_full",
            Self::Stopping => "stopping",
            Self::DiskFull => "disk_full",
            Self::Timeout => "timeout",
            Self::Refused(_) => "refused",
            Self::Internal { .. } => "internal",
        }
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"atelier\""));
            }
            Self::TooManyTries | Self::QueueFull { .. } | Self::PersonQueueFull { .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            Self::Stopping | Self::Timeout | Self::Busy => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::RangeNotSatisfiable { size } => {
                if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert(CONTENT_RANGE, range);
                }
            }
            _ => {}
        }
        headers
    }
}

impl From<DbError> for WebError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::NoSuchTask => Self::NoSuchTask,
            DbError::QueueFull { waiting } => Self::QueueFull { waiting },
            DbError::AskedBefore(_) => Self::Conflict(error.to_string()),
            DbError::PersonQueueFull { waiting } => Self::PersonQueueFull { waiting },
            DbError::NameTaken => {
                Self::Invalid { fields: vec![FieldError::new("name", tr!("somebody else has this name"))] }
            }
            DbError::TooManyRemarks { most } => {
                Self::Conflict(tr!("{n} remarks wait to be sent already. Send or remove some.", n = most))
            }
            DbError::RemarksTooLong => Self::Conflict(
                tr!("The instruction and the remarks that go along are longer than 64 KiB together. Shorten them.")
                    .to_owned(),
            ),
            DbError::NotEnded => Self::Conflict(tr!("The task has not ended yet. Wait for its result.").to_owned()),
            error if error.is_disk_full() => Self::DiskFull,
            error if error.is_busy() => Self::Timeout,
            error => Self::internal(error),
        }
    }
}

impl From<io::Error> for WebError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::internal(error),
        }
    }
}

impl From<crate::blocking::BlockingError> for WebError {
    fn from(error: crate::blocking::BlockingError) -> Self {
        Self::internal(error)
    }
}

impl From<ExportError> for WebError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Db(error) => error.into(),
            ExportError::Disk(error) => error.into(),
            ExportError::Blocking(error) => error.into(),
        }
    }
}

impl From<askama::Error> for WebError {
    fn from(error: askama::Error) -> Self {
        Self::internal(error)
    }
}

/// The response carries the error itself; `render` knows the request and gives it its face.
impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.headers()).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Gives every error its face, also those that axum made.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let for_people = is_for_people(&request);
    let for_git = git_remote::is_asked(request.uri().path());
    let is_shared = share::is_shared(request.uri().path());
    let path = share::loggable_path(request.uri().path()).into_owned();
    let response = next.run(request).await;
    let (mut parts, body) = response.into_parts();
    let status = parts.status;
    let error = match parts.extensions.remove::<Arc<WebError>>() {
        Some(error) => error,
        None if (status.is_client_error() || status.is_server_error()) && !has_face(&parts.headers) => {
            Arc::new(WebError::Refused(status))
        }
        None => return Response::from_parts(parts, body),
    };
    if let WebError::Internal { id, cause } = &*error {
        tracing::error!(id, path, cause = chain(&**cause), "request failed");
    }
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    if for_git {
        // Git shows its person plain text, and no other.
        (status, parts.headers, error.to_string()).into_response()
    } else if for_people {
        let page = viewer::drawn_for(&parts.extensions, || share::visiting(is_shared, || page(&error)));
        (status, parts.headers, page).into_response()
    } else {
        let mut response = (status, parts.headers, Json(Problem::of(&error))).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// Whether a person looks at the answer: a browser that asks for a page outside the API.
pub(super) fn is_for_people(request: &Request) -> bool {
    let wants_html = |accept: &HeaderValue| accept.as_bytes().windows(9).any(|word| word == b"text/html");
    !request.uri().path().starts_with("/api/") && request.headers().get(ACCEPT).is_some_and(wants_html)
}

/// A page of its own, such as a form with messages at its fields.
fn has_face(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"))
}

/// The error as a program reads it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Problem<'a> {
    /// Always `about:blank`; go by `kind`.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    kind: &'a str,
    /// What is wrong with which field of a submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [FieldError]>,
}

impl<'a> Problem<'a> {
    fn of(error: &'a WebError) -> Self {
        let status = error.status();
        let errors = match error {
            WebError::Invalid { fields } => Some(fields.as_slice()),
            _ => None,
        };
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: error.to_string(),
            kind: error.kind(),
            errors,
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'static str,
    status: u16,
    detail: &'a str,
    log_in: bool,
}

fn title(status: StatusCode) -> &'static str {
    language::word(status.canonical_reason().unwrap_or("The request was refused."))
}

fn page(error: &WebError) -> Response {
    let (status, detail) = (error.status(), error.to_string());
    let page = ErrorPage {
        title: title(status),
        status: status.as_u16(),
        detail: &detail,
        log_in: matches!(
            error,
            WebError::Unauthorized | WebError::SignInLost | WebError::SignInFailed | WebError::NotInvited { .. }
        ),
    };
    match page.render() {
        Ok(page) => Html(page).into_response(),
        Err(_) => detail.into_response(),
    }
}

fn chain(error: &(dyn Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
