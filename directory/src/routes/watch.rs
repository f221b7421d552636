//! Where a stream is watched.

use axum::{Json, extract::State};
use protocol::{
    ViewerId,
    http::{ApiError, WatchAnswer},
};

use crate::{
    app::{self, App},
    extract::Id,
    failure::Failure,
};

/// Hands a viewer the relays of a stream and a ticket to watch it.
#[utoipa::path(
    post,
    path = "/api/streams/{id}/watch",
    tag = "streams",
    operation_id = "watch",
    params(("id" = String, Path, description = "The stream: 32 hexadecimal digits")),
    responses(
        (status = 200, description = "The stream, its relays in order of preference, and the ticket", body = WatchAnswer),
        (status = 400, description = "`invalid_request`: the id is malformed", body = ApiError),
        (status = 404, description = "`stream_not_found`: it has ended or never was", body = ApiError),
        (status = 503, description = "`no_relay`: its relay is gone, and it has no other yet", body = ApiError),
    )
)]
pub(super) async fn watch(State(app): State<App>, Id(id): Id) -> Result<Json<WatchAnswer>, Failure> {
    let (stream, place) = app.registry(|registry, _| registry.watch(id))?;
    let viewer = ViewerId(u64::from_le_bytes(app::random()?));
    Ok(Json(WatchAnswer { stream, assignment: app.watch(id, viewer, place)? }))
}
