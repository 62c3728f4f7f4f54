//! A site to test: the router over a database and a data directory of its own.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    config::{self, Config},
    data_dir::DataDir,
    db::Db,
    llm::Models,
    metrics::Metrics,
    pipeline::{obstacle::Obstacles, queue::Queue},
    sandbox::Engine,
    web::{AppState, Vitals, WaysIn, auth::open_session, router::router},
};

pub(super) const TOKEN: &str = "the-admin-token";

pub(super) struct Site {
    pub(super) state: AppState,
    pub(super) router: Router,
    pub(super) folder: tempfile::TempDir,
    /// What keeps tasks from starting; nothing until a test says so.
    pub(super) obstacles: watch::Sender<Obstacles>,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// A site with settings of its own.
    pub(super) async fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings: toml::Table = settings.parse().unwrap();
        // Whatever keys are set where the tests run.
        let agent = settings.entry("agent").or_insert_with(|| toml::Table::new().into());
        agent.as_table_mut().unwrap().entry("model").or_insert_with(|| "scripted/leap-year".into());
        let config: Arc<Config> = Arc::new(config::load(None, settings).unwrap());
        let data_dir = DataDir::prepare(&folder.path().join("data")).unwrap();
        let db = Db::open(&data_dir.database()).await.unwrap();
        let queue = Queue::new(db.clone(), data_dir.clone(), config.clone());
        let (obstacles, seen) = watch::channel(Obstacles::from([]));
        let engine = Engine::new(config.sandbox.clone(), "tests".to_owned(), PathBuf::new());
        let vitals = Vitals { obstacles: seen, metrics: Metrics::new(), engine, models: Arc::new(Models::default()) };
        let sign_in = crate::sign_in::SignIn::new(config.sign_in.clone()).unwrap();
        let ways_in = WaysIn { admin_token: &SecretString::from(TOKEN), sign_in };
        let state = AppState::new(db, queue, config, data_dir, ways_in, vitals, CancellationToken::new());
        Self { router: router(state.clone()), state, folder, obstacles }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A program with the admin token asks.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post_json(&self, path: &str, json: &str) -> Answer {
        let request = request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(json.to_owned())).unwrap()).await
    }

    /// A form with text fields and maybe a file called `archive`.
    pub(super) async fn post_form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        archive: Option<(&str, &[u8])>,
    ) -> Answer {
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        if let Some((name, bytes)) = archive {
            let head =
                format!("--limit\r\nContent-Disposition: form-data; name=\"archive\"; filename=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--limit--\r\n");
        let request = request(Method::POST, path)
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=limit")
            .header(header::ACCEPT, "text/html");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// The owner at a browser.
    pub(super) async fn owner(&self) -> Browser {
        let link = format!("/login?token={TOKEN}");
        self.send(anonymous(Method::GET, &link).body(Body::empty()).unwrap()).await.logged_in()
    }

    /// Nobody yet.
    pub(super) fn stranger() -> Browser {
        Browser { cookie: String::new() }
    }

    /// Somebody new, logged in.
    pub(super) async fn person(&self, name: &str) -> Browser {
        let person = self.state.db.add_person(name.to_owned(), None).await.unwrap();
        let cookie = open_session(&self.state, person, &HeaderMap::new()).await.unwrap().unwrap();
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        Browser { cookie }
    }

    /// Files that wait for a task of their own; there should be none for long.
    pub(super) fn uploads(&self) -> usize {
        std::fs::read_dir(self.state.data_dir.uploads()).unwrap().count()
    }
}

/// The browser of somebody who is logged in.
pub(super) struct Browser {
    cookie: String,
}

impl Browser {
    pub(super) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        anonymous(method, path).header(header::COOKIE, &self.cookie).header("sec-fetch-site", "same-origin")
    }

    pub(super) async fn get(&self, site: &Site, path: &str) -> Answer {
        let request = self.request(Method::GET, path).header(header::ACCEPT, "text/html");
        site.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn api(&self, site: &Site, path: &str) -> Answer {
        site.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post_json(&self, site: &Site, path: &str, json: &str) -> Answer {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        site.send(request.body(Body::from(json.to_owned())).unwrap()).await
    }

    /// A form as browsers send it.
    pub(super) async fn post(&self, site: &Site, path: &str, form: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.request(Method::POST, path).header(header::ACCEPT, "text/html");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request.body(Body::from(form)).unwrap()).await
    }
}

impl Answer {
    /// The browser with the session that this answer opened.
    pub(super) fn logged_in(&self) -> Browser {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        Browser { cookie: self.header(header::SET_COOKIE).split(';').next().unwrap().to_owned() }
    }
}

/// A request with the admin token.
pub(super) fn request(method: Method, path: &str) -> axum::http::request::Builder {
    anonymous(method, path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
}

pub(super) fn anonymous(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "localhost:8080")
}
