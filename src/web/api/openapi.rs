//! `GET /api/openapi.json`: the description of the API, generated from the handlers.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        SecurityRequirement,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    events, export, feedback, health, messages, metrics, pull_request, remarks, selection, shares, tasks, usage,
};
use crate::web::error::Problem;

#[derive(OpenApi)]
#[openapi(
    info(title = "Atelier", description = "Hand over code and an instruction, watch, take a patch away.\n\nErrors are `application/problem+json` (RFC 9457) with a `kind` for programs."),
    paths(
        tasks::list, tasks::post, tasks::get, tasks::cancel, tasks::retry, messages::list, messages::post, remarks::list, remarks::post, remarks::put, remarks::delete, feedback::post, pull_request::post, selection::get, selection::put,
        shares::post, shares::list, shares::delete, events::get, export::script,
        export::get, export::report,
        crate::web::logs::get, crate::web::logs::shared, get, health::alive, health::ready, metrics::get, usage::get
    ),
    components(schemas(Problem)),
    modifiers(&AdminToken),
)]
struct Description;

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "health", responses((status = 200, content_type = "application/json", body = String)))]
pub(in crate::web) async fn get() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

struct AdminToken;

impl Modify for AdminToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The admin token")).build();
        openapi
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("admin_token", SecurityScheme::Http(scheme));
        openapi.security = Some(vec![SecurityRequirement::new("admin_token", Vec::<String>::new())]);
    }
}
