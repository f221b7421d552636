//! Streams: made, listed, moved and ended.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use protocol::{
    BroadcastKey, ErrorCode, StreamId, Title,
    http::{ApiError, Assignment, AssignmentRequest, CreateStream, CreatedStream, StreamList},
};
use tracing::info;

use crate::{
    app::{self, App},
    extract::{Bearer, Body, Id},
    failure::Failure,
    registry::NewStream,
};

/// Makes a stream and gives it relays. It is in the list once media arrives.
#[utoipa::path(
    post,
    path = "/api/streams",
    tag = "streams",
    operation_id = "create_stream",
    request_body = CreateStream,
    responses(
        (status = 201, description = "The stream, its secret, and where to send it", body = CreatedStream),
        (status = 400, description = "`invalid_request`: the body is not of this form", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 422, description = "`invalid_title`: empty, too long, or with control characters", body = ApiError),
        (status = 503, description = "`no_relay` or `too_many_streams`: nobody can take it right now", body = ApiError),
    )
)]
pub(super) async fn create(State(app): State<App>, Body(body): Body<CreateStream>) -> Result<Response, Failure> {
    let invalid = |error: protocol::ids::InvalidName| Failure::new(ErrorCode::InvalidTitle, error.to_string());
    let title: Title = body.title.parse().map_err(invalid)?;
    let broadcast_key = BroadcastKey::new(app::random()?);
    let about = NewStream {
        title: title.clone(),
        visibility: body.visibility,
        sealed: body.sealed,
        key_hash: broadcast_key.hash(),
    };
    let (id, place) = app.registry(|registry, now_us| registry.create(now_us, about))?;
    app.metrics().streams_created.inc();
    let relay = place.relays.first().map(|relay| relay.name.to_string());
    info!(stream.id = %id, relay, "a stream was made");
    let assignment = app.publish(id, place)?;
    let location = [(header::LOCATION, format!("/view/{id}"))];
    Ok((StatusCode::CREATED, location, Json(CreatedStream { id, title, broadcast_key, assignment })).into_response())
}

/// The public list, oldest first.
#[utoipa::path(
    get,
    path = "/api/streams",
    tag = "streams",
    operation_id = "list_streams",
    responses((status = 200, description = "Streams that are live, or were a moment ago", body = StreamList))
)]
pub(super) async fn list(State(app): State<App>) -> Json<StreamList> {
    Json(StreamList { streams: app.registry(|registry, _| registry.list()) })
}

/// Gives a stream other relays: its own failed, or told its broadcaster to move.
#[utoipa::path(
    post,
    path = "/api/streams/{id}/assignment",
    tag = "streams",
    operation_id = "reassign_stream",
    params(("id" = String, Path, description = "The stream: 32 hexadecimal digits")),
    request_body = Option<AssignmentRequest>,
    security(("broadcast_key" = [])),
    responses(
        (status = 200, description = "The relays, and a ticket of a higher epoch", body = Assignment),
        (status = 400, description = "`invalid_request`: the id or the body is malformed", body = ApiError),
        (status = 401, description = "`unauthorized`: the key is missing or another stream's", body = ApiError),
        (status = 404, description = "`stream_not_found`: it has ended or never was", body = ApiError),
        (status = 503, description = "`no_relay`: none has room right now", body = ApiError),
    )
)]
pub(super) async fn reassign(
    State(app): State<App>,
    Id(id): Id,
    bearer: Bearer,
    body: Option<Body<AssignmentRequest>>,
) -> Result<Json<Assignment>, Failure> {
    let key = broadcast_key(&app, id, &bearer)?;
    let failed = body.and_then(|Body(body)| body.failed);
    let place = app.registry(|registry, now_us| registry.reassign(now_us, id, &key, failed.as_ref()))?;
    let relay = place.relays.first().map(|relay| relay.name.to_string());
    info!(stream.id = %id, relay, epoch = place.epoch, "a stream was given other relays");
    Ok(Json(app.publish(id, place)?))
}

/// Ends a stream.
#[utoipa::path(
    delete,
    path = "/api/streams/{id}",
    tag = "streams",
    operation_id = "end_stream",
    params(("id" = String, Path, description = "The stream: 32 hexadecimal digits")),
    security(("broadcast_key" = [])),
    responses(
        (status = 204, description = "It has ended"),
        (status = 400, description = "`invalid_request`: the id is malformed", body = ApiError),
        (status = 401, description = "`unauthorized`: the key is missing or another stream's", body = ApiError),
        (status = 404, description = "`stream_not_found`: it had ended before, or never was", body = ApiError),
    )
)]
pub(super) async fn end(State(app): State<App>, Id(id): Id, bearer: Bearer) -> Result<StatusCode, Failure> {
    let key = broadcast_key(&app, id, &bearer)?;
    app.registry(|registry, _| registry.end(id, &key))?;
    info!(stream.id = %id, "a stream was ended by its broadcaster");
    Ok(StatusCode::NO_CONTENT)
}

/// The key of the header. One that is no key at all is as wrong as another stream's, but a stream that is gone is told first:
/// that is what a broadcaster can act on.
fn broadcast_key(app: &App, id: StreamId, bearer: &Bearer) -> Result<BroadcastKey, Failure> {
    bearer.0.expose().parse().map_err(|error: protocol::ids::InvalidName| {
        if app.registry(|registry, _| registry.has(&id)) {
            Failure::unauthorized(&error.to_string())
        } else {
            crate::registry::PlaceError::NotFound.into()
        }
    })
}
