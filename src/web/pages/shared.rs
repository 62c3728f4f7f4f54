//! `/s/{token}`: the first page of a share link.

use axum::{
    extract::{Request, State},
    handler::Handler,
    response::{IntoResponse, Redirect, Response},
};

use super::{links::TaskLinks, task};
use crate::{
    domain::share::ShareScope,
    web::{AppState, share::Visitor},
};

pub(in crate::web) async fn get(State(state): State<AppState>, visitor: Visitor, request: Request) -> Response {
    let links = TaskLinks::shared(&visitor.base);
    match &visitor.share.scope {
        ShareScope::Task => task::get.call(request, state).await,
        ShareScope::Diff => Redirect::to(&format!("{}/diff", links.page)).into_response(),
        ShareScope::Log { name } => Redirect::to(&links.log(name)).into_response(),
    }
}
