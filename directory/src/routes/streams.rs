//! Streams: made, listed, moved and ended.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use protocol::{
    BroadcastKey, ErrorCode, Secret, StreamId, Title,
    http::{
        ApiError, Assignment, AssignmentRequest, BroadcastPolicy, CreateStream, CreatedStream, StreamList, Visibility,
    },
};
use tracing::info;

use crate::{
    allowances::Asked,
    app::{self, App},
    extract::{Bearer, Body, Client, Id},
    failure::Failure,
    password::{self, InvalidPassword, PasswordHash},
    registry::NewStream,
};

/// Makes a stream and gives it relays. It is in the list once media arrives.
#[utoipa::path(
    post,
    path = "/api/streams",
    tag = "streams",
    operation_id = "create_stream",
    request_body = CreateStream,
    security((), ("pass" = [])),
    responses(
        (status = 201, description = "The stream, its secret, and where to send it", body = CreatedStream),
        (status = 400, description = "`invalid_request`: the body is not of this form", body = ApiError),
        (status = 401, description = "`pass_required`: only those go live here who have a pass", body = ApiError),
        (status = 403, description = "`pass_invalid`: the pass is none of this directory, or was revoked", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (
            status = 422,
            description = "`invalid_title`: empty, too long, or with control characters; `invalid_password`: missing, too \
                           short or long, or not wanted",
            body = ApiError
        ),
        (status = 429, description = "`too_many_requests`", body = ApiError),
        (status = 503, description = "`no_relay` or `too_many_streams`: nobody can take it right now", body = ApiError),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    Client(client): Client,
    bearer: Result<Bearer, Failure>,
    body: Result<Body<CreateStream>, Failure>,
) -> Result<Response, Failure> {
    app.allowances().take(client, Asked::Create)?;
    let pass = match app.broadcast() {
        BroadcastPolicy::Open => None,
        BroadcastPolicy::Passes => Some(pass(&app, bearer).await?),
    };
    let Body(body) = body?;
    let invalid = |error: protocol::ids::InvalidName| Failure::new(ErrorCode::InvalidTitle, error.to_string());
    let title: Title = body.title.parse().map_err(invalid)?;
    let password = password(&app, body.visibility, body.password).await?;
    let broadcast_key = BroadcastKey::new(app::random()?);
    let about = NewStream {
        title: title.clone(),
        visibility: body.visibility,
        sealed: body.sealed,
        key_hash: broadcast_key.hash(),
        password,
        pass: pass.as_ref().map(|pass| pass.name.clone()),
    };
    let (id, place) = app.registry(|registry, now_us| registry.create(now_us, about))?;
    if let Some(pass) = &pass
        && app.passes().get().await.find(&pass.text) != Some(&pass.name)
    {
        // It was revoked just now, and those who did that may have seen no stream to end.
        app.registry(|registry, _| registry.end_of_pass(&pass.name));
        return Err(pass_invalid());
    }
    app.settled().await;
    app.metrics().streams_created.inc();
    let relay = place.relays.first().map(|relay| relay.name.to_string());
    info!(stream.id = %id, relay, "a stream was made");
    let assignment = app.publish(id, place)?;
    let location = [(header::LOCATION, format!("/view/{id}"))];
    Ok((StatusCode::CREATED, location, Json(CreatedStream { id, title, broadcast_key, assignment })).into_response())
}

/// Who wants to go live.
struct Pass {
    name: String,
    text: Secret,
}

async fn pass(app: &App, bearer: Result<Bearer, Failure>) -> Result<Pass, Failure> {
    let Bearer(text) = bearer.map_err(|_| pass_required())?;
    let name = app.passes().get().await.find(&text).map(str::to_owned);
    Ok(Pass { name: name.ok_or_else(pass_invalid)?, text })
}

pub(super) fn pass_required() -> Failure {
    Failure::new(ErrorCode::PassRequired, "going live here needs a pass; ask the directory's operator for one")
}

pub(super) fn pass_invalid() -> Failure {
    Failure::new(ErrorCode::PassInvalid, "this pass is not one of this directory, or was revoked")
}

/// What is kept of the password, where the visibility asks for one.
async fn password(app: &App, visibility: Visibility, given: Option<Secret>) -> Result<Option<PasswordHash>, Failure> {
    match (visibility, given) {
        (Visibility::Password, None) => Err(InvalidPassword::Missing.into()),
        (Visibility::Password, Some(given)) => {
            password::check_form(&given)?;
            Ok(Some(app.gate().hash(given, app::random()?).await?))
        }
        (_, Some(_)) => Err(InvalidPassword::NotWanted.into()),
        (_, None) => Ok(None),
    }
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
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 429, description = "`too_many_requests`", body = ApiError),
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
    app.settled().await;
    // Another directory may have given the same number out.
    let later = app.orders(id, &key)?.place.filter(|later| later.epoch > place.epoch);
    let place = later.unwrap_or(place);
    if let Some(failed) = &failed {
        app.relay_reported(failed);
    }
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
        (status = 429, description = "`too_many_requests`", body = ApiError),
    )
)]
pub(super) async fn end(State(app): State<App>, Id(id): Id, bearer: Bearer) -> Result<StatusCode, Failure> {
    let key = broadcast_key(&app, id, &bearer)?;
    app.registry(|registry, _| registry.end(id, &key))?;
    app.settled().await;
    info!(stream.id = %id, "a stream was ended by its broadcaster");
    Ok(StatusCode::NO_CONTENT)
}

/// The key of the header, of the stream's owner. One that is no key at all is as wrong as another stream's, but a stream that is
/// gone is told first: that is what a broadcaster can act on.
pub(super) fn broadcast_key(app: &App, id: StreamId, bearer: &Bearer) -> Result<BroadcastKey, Failure> {
    let key: Result<BroadcastKey, _> = bearer.0.expose().parse();
    let key = key.map_err(|error: protocol::ids::InvalidName| {
        if app.registry(|registry, _| registry.has(&id)) {
            Failure::unauthorized(&error.to_string())
        } else {
            crate::registry::PlaceError::NotFound.into()
        }
    })?;
    app.registry(|registry, _| registry.check_owner(id, &key))?;
    // Counted for owners alone: strangers must not use their allowance up.
    app.allowances().take_owners_call(id)?;
    Ok(key)
}
