//! The table of routes, and the layers around them.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Uri,
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{MethodRouter, any, delete, get, post, put},
};
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};

use super::{
    AppState, api, assets, auth, compression, error,
    error::WebError,
    git_remote, hooks,
    hosts::{self, AllowedHosts},
    language, logs, notice, pace, pages, preferences, security_headers,
    share::{self, Part},
    viewer,
};
use crate::config::{Config, MetricsAccess};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// Who has a share link that shows this part of a task.
    Share(Part),
    /// Who sends a token, and no cookie; for the tasks in their view.
    Token,
    /// Who is logged in or sends a token; for the tasks in their view.
    Person,
    /// The owner, in the same ways.
    Owner,
}

pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) access: Access,
    methods: MethodRouter<AppState>,
}

/// Every route of the server; everything else asks for the login too, and then is not found.
pub(super) fn table(config: &Config) -> Vec<Route> {
    let open = |path, methods| Route { path, access: Access::Open, methods };
    let person = |path, methods| Route { path, access: Access::Person, methods };
    let owner = |path, methods| Route { path, access: Access::Owner, methods };
    let token = |path, methods| Route { path, access: Access::Token, methods };
    let shared = |path, part, methods| Route { path, access: Access::Share(part), methods };
    let metrics = Route {
        path: "/metrics",
        access: match config.server.metrics {
            MetricsAccess::Admin => Access::Owner,
            MetricsAccess::Open => Access::Open,
        },
        methods: get(api::metrics::get),
    };
    vec![
        person("/", get(pages::list::get)),
        person("/live", get(pages::list::live)),
        person("/new", get(pages::new::get)),
        person("/new/repository", post(pages::repository::post)),
        person("/tasks", upload(post(pages::new::post))),
        person("/tasks/{id}", get(pages::task::get)),
        person("/tasks/{id}/live", get(pages::live::get)),
        person("/tasks/{id}/diff", get(pages::diff::get)),
        person("/tasks/{id}/logs/{*name}", get(pages::log::get)),
        person("/tasks/{id}/diff/files/{n}", get(pages::diff::file)),
        person("/tasks/{id}/diff/files/{n}/{moment}", get(pages::diff::image)),
        person("/tasks/{id}/result.mbox", get(pages::diff::mailbox)),
        person("/tasks/{id}/result.zip", get(pages::diff::result_zip)),
        person("/tasks/{id}/selection", post(pages::diff::choose)),
        person("/tasks/{id}/result.bundle", get(git_remote::bundle)),
        token("/tasks/{id}/info/refs", get(git_remote::refs)),
        token(
            "/tasks/{id}/git-upload-pack",
            post(git_remote::pack).layer(DefaultBodyLimit::max(git_remote::MAX_REQUEST_BYTES)),
        ),
        token("/tasks/{id}/git-receive-pack", post(git_remote::push)),
        person("/tasks/{id}/source/{*path}", get(pages::source::get)),
        person("/tasks/{id}/cancel", post(pages::task::cancel)),
        person("/tasks/{id}/retry", post(pages::task::retry)),
        person("/tasks/{id}/remarks", get(pages::remarks::get).post(pages::remarks::post)),
        person("/tasks/{id}/remarks/{remark}", post(pages::remarks::change)),
        person("/tasks/{id}/messages", post(pages::turns::post)),
        person("/tasks/{id}/feedback", post(pages::feedback::post)),
        person("/tasks/{id}/share", get(pages::share::get).post(pages::share::post)),
        person("/tasks/{id}/share/revoke", post(pages::share::revoke)),
        person("/tasks/{id}/pull-request", post(pages::pull_request::post)),
        person("/logs/{id}/{*name}", get(logs::get)),
        person("/settings", get(pages::settings::get)),
        owner("/settings/try", post(pages::settings::try_provider)),
        person("/logout", post(pages::login::logout)),
        person("/account", get(pages::account::get)),
        person("/account/password", post(pages::account::set_password)),
        person("/account/name", post(pages::account::rename)),
        person("/account/tokens", post(pages::account::make_token)),
        person("/account/tokens/{token}/revoke", post(pages::account::revoke_token)),
        person("/account/sessions/end", post(pages::account::end_session)),
        person("/account/sessions/end-others", post(pages::account::end_other_sessions)),
        owner("/people", get(pages::people::get)),
        owner("/people/invites", post(pages::people::invite)),
        owner("/people/invites/{invite}/take-back", post(pages::people::take_back)),
        owner("/people/{person}", get(pages::people::sessions)),
        owner("/people/{person}/sessions/end", post(pages::people::end_session)),
        owner("/people/{person}/remove", post(pages::people::remove)),
        person("/api/tasks", upload(get(api::tasks::list).post(api::tasks::post))),
        person("/api/tasks/{id}", get(api::tasks::get)),
        person("/api/tasks/{id}/cancel", post(api::tasks::cancel)),
        person("/api/tasks/{id}/retry", post(api::tasks::retry)),
        person("/api/tasks/{id}/remarks", get(api::remarks::list).post(api::remarks::post)),
        person("/api/tasks/{id}/remarks/{remark}", put(api::remarks::put).delete(api::remarks::delete)),
        person("/api/tasks/{id}/messages", get(api::messages::list).post(api::messages::post)),
        person("/api/tasks/{id}/feedback", post(api::feedback::post)),
        person("/api/tasks/{id}/pull-request", post(api::pull_request::post)),
        person("/api/tasks/{id}/selection", get(api::selection::get).put(api::selection::put)),
        person("/api/tasks/{id}/shares", get(api::shares::list).post(api::shares::post)),
        person("/api/shares/{share_id}", delete(api::shares::delete)),
        person("/api/tasks/{id}/events", get(api::events::get)),
        person("/api/tasks/{id}/script", get(api::export::script)),
        person("/api/export/finetuning.jsonl", get(api::export::get)),
        person("/api/export/report", get(api::export::report)),
        person("/api/usage", get(api::usage::get)),
        person("/api/openapi.json", get(api::openapi::get)),
        shared("/s/{token}", Part::Any, get(pages::shared::get)),
        shared("/s/{token}/live", Part::Task, get(pages::live::get)),
        shared("/s/{token}/diff", Part::Diff, get(pages::diff::get)),
        shared("/s/{token}/diff/files/{n}", Part::Diff, get(pages::diff::file)),
        shared("/s/{token}/diff/files/{n}/{moment}", Part::Diff, get(pages::diff::image)),
        shared("/s/{token}/log/{*name}", Part::Any, get(pages::log::get)),
        shared("/s/{token}/source/{*path}", Part::Task, get(pages::source::get)),
        shared("/s/{token}/logs/{*name}", Part::Any, get(logs::shared)),
        metrics,
        open("/healthz", get(api::health::alive)),
        open("/readyz", get(api::health::ready)),
        open("/login", get(pages::login::get).post(pages::login::post)),
        open("/invite/{token}", get(pages::invite::get).post(pages::invite::post)),
        open("/preferences", post(pages::preferences::post)),
        open("/login/{provider}", get(pages::sign_in::begin)),
        open("/login/{provider}/callback", get(pages::sign_in::finish)),
        open("/hooks/{forge}", post(hooks::post)),
        open("/robots.txt", get(assets::robots)),
        open("/static/{name}", get(assets::get)),
    ]
}

/// Bodies are small except where an archive comes: those handlers count for themselves.
const MAX_BODY_BYTES: usize = 256 * 1024;

pub(super) fn router(state: AppState) -> Router {
    let (mut open, mut closed, mut owners) = (Router::new(), Router::new().fallback(not_found), Router::new());
    let mut programs = Router::new();
    // Beneath a link nothing leads to the login.
    let mut shared = Router::new().route("/s/{token}/{*rest}", any(not_found));
    for route in table(&state.config) {
        match route.access {
            Access::Open => open = open.route(route.path, route.methods),
            Access::Share(part) => {
                shared = shared.route(route.path, route.methods.layer(from_fn_with_state(part, share::require_part)));
            }
            Access::Token => programs = programs.route(route.path, route.methods),
            Access::Person => closed = closed.route(route.path, route.methods),
            Access::Owner => owners = owners.route(route.path, route.methods),
        }
    }
    // The layer added last sees a request first. Forgery is judged after the login: without one there is nothing to forge.
    let csrf = csrf(&state);
    let closed = closed.merge(owners.layer(from_fn(viewer::require_owner)));
    let closed = closed.layer(from_fn_with_state(state.clone(), notice::provide));
    let closed = closed.layer(csrf.clone()).layer(from_fn_with_state(state.clone(), auth::require_login));
    let shared = shared.layer(from_fn_with_state(state.clone(), share::require_share)).layer(csrf.clone());
    let programs = programs.layer(csrf.clone()).layer(from_fn_with_state(state.clone(), auth::require_token));
    let open = open.layer(csrf);
    closed
        .merge(programs)
        .merge(shared)
        .merge(open)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(pace::limit_time))
        .layer(from_fn_with_state(state.config.server.upload_patience, pace::require_pace))
        .layer(from_fn_with_state(AllowedHosts::new(&state.config.server), hosts::check))
        .layer(CatchPanicLayer::custom(|panic| WebError::panic(panic).into_response()))
        .layer(from_fn(error::render))
        .layer(from_fn(preferences::provide))
        .layer(from_fn(language::provide))
        .layer(from_fn(security_headers::set))
        .layer(compression::layer())
        .layer(from_fn(compression::judge))
        .with_state(state)
}

fn upload(methods: MethodRouter<AppState>) -> MethodRouter<AppState> {
    methods.layer(DefaultBodyLimit::disable())
}

type Refusal = fn(tower_http::csrf::ProtectionError) -> axum::response::Response;

fn csrf(state: &AppState) -> CsrfLayer<Refusal> {
    let refuse: Refusal = |_| WebError::CrossOrigin.into_response();
    let layer = || CsrfLayer::new().with_rejection_response(refuse);
    // A proxy may speak to us under another name than browsers use; theirs is the public URL's.
    let public = state.config.server.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    match public.map(|url| layer().add_trusted_origin(url.origin().ascii_serialization())) {
        Some(Ok(with_public)) => with_public,
        Some(Err(_)) | None => layer(),
    }
}

async fn not_found(_: Uri) -> WebError {
    WebError::NotFound
}
