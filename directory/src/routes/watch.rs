//! Where a stream is watched, and by whom.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use protocol::{
    ErrorCode, RelayName, Secret, StreamId, ViewerId,
    http::{ApiError, StreamSummary, WatchAnswer, WatchRequest},
    limits::DIRECTORY_AWAY_TIME_MAX,
    relay_proof::Assertion,
    ticket::{Action, Grant, TicketError},
};
use service::{ClientAddress, Network};
use tracing::info;

use crate::{
    allowances::Asked,
    app::{self, App},
    extract::{Bearer, Body, Client, Id, Signature, StreamAndViewer},
    failure::Failure,
    password_guesses::Wait,
    registry::{Place, WatchError, Wish, region_of},
};

/// Hands a viewer the relays of a stream and a ticket to watch it, or a fresh ticket for the one it has. A relay that the ticket names
/// gets a fresh one in the viewer's place, without a body.
#[utoipa::path(
    post,
    path = "/api/streams/{id}/watch",
    tag = "streams",
    operation_id = "watch",
    params(("id" = String, Path, description = "The stream: 32 hexadecimal digits")),
    request_body = Option<WatchRequest>,
    security((), ("watch_ticket" = []), ("watch_ticket" = [], "relay_assertion" = [])),
    responses(
        (status = 200, description = "The stream, its relays in order of preference, and the ticket", body = WatchAnswer),
        (status = 400, description = "`invalid_request`: the id or the body is malformed", body = ApiError),
        (
            status = 401,
            description = "`password_required`: the stream has a password; `unauthorized`: no relay that the ticket names has signed \
                           the request",
            body = ApiError
        ),
        (
            status = 403,
            description = "`password_wrong`; `viewer_removed`: the broadcaster does not want this viewer; `ticket_invalid` or \
                           `ticket_expired`: the ticket to be renewed is of another stream, or too old",
            body = ApiError
        ),
        (status = 404, description = "`stream_not_found`: it has ended or never was", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 429, description = "`too_many_requests`, or too many wrong passwords", body = ApiError),
        (status = 503, description = "`no_relay`: its relay is gone, and it has no other yet", body = ApiError),
    )
)]
pub(super) async fn watch(
    State(app): State<App>,
    Id(id): Id,
    Client(client): Client,
    bearer: Option<Bearer>,
    signature: Option<Signature>,
    headers: HeaderMap,
    body: Option<Body<WatchRequest>>,
) -> Result<Json<WatchAnswer>, Failure> {
    app.allowances().take(client, Asked::Watch)?;
    if signature.is_some() && body.is_some() {
        return Err(Failure::new(ErrorCode::InvalidRequest, "a relay renews a ticket without a body"));
    }
    let (password, failed, region) =
        body.map(|Body(body)| (body.password, body.failed, body.region)).unwrap_or_default();
    // A relay that asks in a viewer's place is elsewhere.
    let said = app.region_header().filter(|_| signature.is_none()).and_then(|name| headers.get(name));
    let region = region.as_deref().or_else(|| said?.to_str().ok()).and_then(region_of);
    let mut wish = Wish { region, failed, held: Vec::new() };
    let (viewer, (stream, mut place)) = match bearer {
        Some(Bearer(ticket)) => renew(&app, id, client, &ticket, signature.as_ref(), &mut wish)?,
        None => admit(&app, id, client, password, &wish).await?,
    };
    // Only those who may watch are listened to, and only about relays that they can have tried.
    if let Some(failed) = wish.failed
        && (wish.held.contains(&failed) || place.relays.iter().any(|relay| relay.name == failed))
    {
        app.relay_reported(&failed);
        place.relays.sort_by_key(|relay| relay.name == failed);
    }
    let ask_again = app.registry(|registry, now_us| registry.longer_list_after(now_us, &place));
    let ask_again_ms = ask_again.and_then(|after| u32::try_from(after.as_millis()).ok());
    Ok(Json(WatchAnswer { stream, assignment: app.watch(id, viewer, place)?, ask_again_ms }))
}

type Admitted = (ViewerId, (StreamSummary, Place));

/// Goes on with the viewer that the ticket names.
fn renew(
    app: &App,
    id: StreamId,
    client: ClientAddress,
    ticket: &Secret,
    signature: Option<&Signature>,
    wish: &mut Wish,
) -> Result<Admitted, Failure> {
    let refused = |error: TicketError| Failure::new(error.code(), error.to_string());
    let grant: Grant = app.ticket_key().verify(ticket.expose()).map_err(|forged| refused(forged.into()))?;
    let viewer = grant.viewer.filter(|_| grant.stream == id && grant.action == Action::Watch);
    let viewer = viewer.ok_or_else(|| refused(TicketError::OtherAction))?;
    app.allowances().take_renewal(viewer)?;
    // A viewer that was cut off for a while comes back as the same one.
    if app.clock().now_s() >= grant.expires_at_s.saturating_add(DIRECTORY_AWAY_TIME_MAX.as_secs()) {
        return Err(refused(TicketError::Expired));
    }
    let network = match signature {
        Some(signature) => {
            check_relay(app, id, &grant.relays, signature)?;
            None
        }
        None => Some(client.network()),
    };
    wish.held = grant.relays;
    Ok((viewer, app.registry(|registry, now_us| registry.renew(now_us, id, viewer, network, wish))?))
}

/// Whether one of these relays, which the viewer may be at, asks in its place. Hearing the same again does no harm: whoever has the
/// ticket can ask as the viewer.
fn check_relay(app: &App, id: StreamId, relays: &[RelayName], signature: &Signature) -> Result<(), Failure> {
    let (request, now_ms) = (format!("POST /api/streams/{id}/watch"), app.clock().now_us() / 1000);
    let asks = |name: &RelayName| {
        let key = app.registry(|registry, _| registry.key_of(name))?;
        Assertion::verify(&key, signature.0.expose(), &request, b"", now_ms).ok().filter(|said| said.relay == *name)
    };
    match relays.iter().find_map(asks) {
        Some(_) => Ok(()),
        None => {
            Err(Failure::unauthorized("the request is not signed by a relay that works here and that the ticket names"))
        }
    }
}

/// Lets a new viewer in.
async fn admit(
    app: &App,
    id: StreamId,
    client: ClientAddress,
    given: Option<Secret>,
    wish: &Wish,
) -> Result<Admitted, Failure> {
    let network = client.network();
    if let Some(hash) = app.registry(|registry, _| registry.password(id)).map_err(WatchError::from)? {
        let given = given.ok_or_else(|| {
            Failure::new(ErrorCode::PasswordRequired, "this stream is for those who know its password")
        })?;
        guess(app, id, network, hash, given).await?;
    }
    let viewer = ViewerId(u64::from_le_bytes(app::random()?));
    Ok((viewer, app.registry(|registry, now_us| registry.admit(now_us, id, viewer, network, wish))?))
}

async fn guess(
    app: &App,
    id: StreamId,
    network: Network,
    hash: crate::password::PasswordHash,
    given: Secret,
) -> Result<(), Failure> {
    let begun_us = app.clock().now_us();
    app.guesses(|guesses| guesses.begin(begun_us, id, network))
        .map_err(|Wait(wait)| Failure::too_many("too many wrong passwords; try again later", wait.as_secs() + 1))?;
    let judged = app.gate().matches(hash, given).await;
    // What was never looked at was no guess.
    if !matches!(judged, Ok(false)) {
        app.guesses(|guesses| guesses.was_right(begun_us, id, network));
    }
    if judged? { Ok(()) } else { Err(Failure::new(ErrorCode::PasswordWrong, "that is not the stream's password")) }
}

/// Sends a viewer away, for as long as the stream goes on.
#[utoipa::path(
    delete,
    path = "/api/streams/{id}/viewers/{viewer}",
    tag = "streams",
    operation_id = "remove_viewer",
    params(
        ("id" = String, Path, description = "The stream: 32 hexadecimal digits"),
        ("viewer" = String, Path, description = "The viewer, as the relay names it: 16 hexadecimal digits"),
    ),
    security(("broadcast_key" = [])),
    responses(
        (status = 204, description = "It may watch no longer, and nobody new from its address"),
        (status = 400, description = "`invalid_request`: an id is malformed", body = ApiError),
        (status = 401, description = "`unauthorized`: the key is missing or another stream's", body = ApiError),
        (status = 404, description = "`stream_not_found`: it has ended or never was", body = ApiError),
        (status = 429, description = "`too_many_requests`", body = ApiError),
    )
)]
pub(super) async fn remove_viewer(
    State(app): State<App>,
    StreamAndViewer(id, viewer): StreamAndViewer,
    bearer: Bearer,
) -> Result<StatusCode, Failure> {
    let key = super::streams::broadcast_key(&app, id, &bearer)?;
    app.registry(|registry, now_us| registry.remove_viewer(now_us, id, &key, viewer))?;
    app.settled().await;
    app.metrics().viewers_removed.inc();
    info!(stream.id = %id, viewer.id = %viewer, "a viewer was removed by the broadcaster");
    Ok(StatusCode::NO_CONTENT)
}
