//! The directory's clock, which others measure theirs against.

use axum::{Json, extract::State};
use protocol::http::ServerTime;

use crate::app::App;

/// Tells the time, read as late as possible.
#[utoipa::path(
    get,
    path = "/api/time",
    tag = "time",
    operation_id = "time",
    responses((status = 200, description = "Microseconds since the Unix epoch", body = ServerTime))
)]
pub(super) async fn now(State(app): State<App>) -> Json<ServerTime> {
    Json(ServerTime { now_us: app.clock().now_us() })
}
