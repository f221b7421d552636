//! What a client should know of the directory before it asks for more.

use axum::{Json, extract::State};
use protocol::{PROTOCOL_VERSION, http::DirectoryInfo};

use crate::app::App;

/// Says who may go live here, and which protocol and release this is.
#[utoipa::path(
    get,
    path = "/api/directory",
    tag = "directory",
    operation_id = "directory",
    responses((status = 200, description = "The directory", body = DirectoryInfo))
)]
pub(super) async fn about(State(app): State<App>) -> Json<DirectoryInfo> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Json(DirectoryInfo { broadcast: app.broadcast(), protocol: PROTOCOL_VERSION, version })
}
