//! What handlers take out of a request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Path},
    http::{header::HOST, request::Parts},
};
use serde::Deserialize;

use super::{AppState, error::WebError, viewer::Viewer};
use crate::domain::task_id::TaskId;

/// A task in the path that is there for who asks; another's is not found, like one that never was. Handlers have no other
/// way to an id.
pub(super) struct TaskPath(pub(super) TaskId);

impl FromRequestParts<AppState> for TaskPath {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, WebError> {
        #[derive(Deserialize)]
        struct Segments {
            id: String,
        }
        let Path(Segments { id }) =
            Path::<Segments>::from_request_parts(parts, state).await.map_err(|_| WebError::NoSuchTask)?;
        visible(&id, parts, state).await.map(Self)
    }
}

/// The number of a remark in the path; what is no number is not found.
pub(super) struct RemarkPath(pub(super) u32);

impl FromRequestParts<AppState> for RemarkPath {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, WebError> {
        #[derive(Deserialize)]
        struct Segments {
            remark: u32,
        }
        let found = Path::<Segments>::from_request_parts(parts, state).await;
        found.map(|Path(Segments { remark })| Self(remark)).map_err(|_| WebError::NotFound)
    }
}

/// A task that is there for who asks, named as a repository: `{id}.git`.
pub(super) struct RepositoryPath(pub(super) TaskId);

impl FromRequestParts<AppState> for RepositoryPath {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, WebError> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| WebError::NoSuchTask)?;
        let id = name.strip_suffix(".git").ok_or(WebError::NotFound)?;
        visible(id, parts, state).await.map(Self)
    }
}

async fn visible(id: &str, parts: &mut Parts, state: &AppState) -> Result<TaskId, WebError> {
    let id = id.parse().map_err(|_| WebError::NoSuchTask)?;
    let viewer = Viewer::from_request_parts(parts, state).await?;
    if state.db.is_in_scope(viewer.scope(), &id).await? { Ok(id) } else { Err(WebError::NoSuchTask) }
}

/// The other end of the connection. Behind a proxy that is the proxy: what it says in headers anybody can say.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerAddress(pub(super) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())))
    }
}

/// How the client reaches the server, without a slash at the end: the public URL, or the host it asked for (which is
/// one of the allowed ones).
#[derive(Debug, Clone)]
pub(super) struct BaseUrl(pub(super) String);

impl FromRequestParts<AppState> for BaseUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let server = &state.config.server;
        let host = || {
            let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
            header.map_or_else(|| server.bind.to_string(), str::to_owned)
        };
        Ok(Self(server.public_url.clone().unwrap_or_else(|| format!("http://{}", host()))))
    }
}

/// A query string; one that does not fit is a malformed request.
pub(super) struct Query<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(WebError::Malformed(error.body_text())),
        }
    }
}
