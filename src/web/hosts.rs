//! Which names the server answers to. A page of another site cannot make its own name point here (DNS rebinding).

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::WebError;
use crate::config;

#[derive(Debug, Clone)]
pub(super) struct AllowedHosts {
    names: Arc<[String]>,
    /// Bound to every address: any of the machine's will do. A literal address cannot be rebound.
    any_address: bool,
}

impl AllowedHosts {
    pub(super) fn new(server: &config::Server) -> Self {
        let public = server.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let public = public.and_then(|url| url.host_str().map(str::to_ascii_lowercase));
        let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let names = loopback.into_iter().chain([server.bind.ip().to_string()]).chain(public).collect();
        Self { names, any_address: server.bind.ip().is_unspecified() }
    }

    fn contains(&self, authority: &str) -> bool {
        // The port does not matter: forwarded ports and proxies change it.
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.names.contains(&host) || (self.any_address && host.parse::<IpAddr>().is_ok())
    }
}

pub(super) async fn check(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    // HTTP/2 and absolute-form requests name the host in the target, which then counts.
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()),
    };
    if authority.is_some_and(|authority| allowed.contains(authority)) {
        next.run(request).await
    } else {
        WebError::UnknownHost.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_and_the_public_one_are_answered() {
        let server = |bind: &str| config::Server {
            bind: bind.parse().unwrap(),
            public_url: Some("https://Atelier.example.org".to_owned()),
            metrics: config::MetricsAccess::Admin,
            log_format: config::LogFormat::Text,
            upload_patience: std::time::Duration::from_secs(30),
        };
        let hosts = AllowedHosts::new(&server("127.0.0.1:8080"));
        for good in ["localhost:8080", "127.0.0.1", "[::1]:9000", "atelier.example.org"] {
            assert!(hosts.contains(good), "{good}");
        }
        for bad in ["evil.example", "", "10.0.0.1:8080", "localhost.evil.example", "a b"] {
            assert!(!hosts.contains(bad), "{bad}");
        }
        let hosts = AllowedHosts::new(&server("0.0.0.0:8080"));
        assert!(hosts.contains("10.0.0.1:8080") && !hosts.contains("evil.example"));
    }
}
