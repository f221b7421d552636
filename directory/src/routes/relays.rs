//! Relays: they join and report.

use axum::{Json, extract::State};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{
    http::{ApiError, Heartbeat, HeartbeatAnswer, RegisterServer, RegisteredServer},
    limits::HEARTBEAT_INTERVAL,
};
use tracing::{info, warn};

use crate::{
    app::{self, App},
    extract::{Bearer, Body, Name},
    failure::Failure,
    metrics::Refusal,
    registry::Joining,
};

/// A relay joins under a name. The same relay, which is said by its key, may register again at any time.
#[utoipa::path(
    post,
    path = "/register_server",
    tag = "relays",
    operation_id = "register_server",
    request_body = RegisterServer,
    security(("join_secret" = [])),
    responses(
        (status = 200, description = "It has joined", body = RegisteredServer),
        (status = 400, description = "`invalid_request` or `unsupported_protocol`", body = ApiError),
        (status = 401, description = "`unauthorized`: the join secret is missing or wrong", body = ApiError),
        (status = 409, description = "`relay_name_taken`: a relay with another key holds the name", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 503, description = "`too_many_relays`", body = ApiError),
    )
)]
pub(super) async fn register(
    State(app): State<App>,
    bearer: Result<Bearer, Failure>,
    body: Result<Body<RegisterServer>, Failure>,
) -> Result<Json<RegisteredServer>, Failure> {
    let registered = admit(&app, bearer, body);
    if let Err(failure) = &registered {
        let reason = failure.code().as_str();
        app.metrics().refused_registrations.get_or_create(&Refusal { reason }).inc();
        warn!(reason, "a relay was refused: {}", failure.message());
    }
    registered
}

fn admit(
    app: &App,
    bearer: Result<Bearer, Failure>,
    body: Result<Body<RegisterServer>, Failure>,
) -> Result<Json<RegisteredServer>, Failure> {
    // The secret first: strangers learn nothing about names and forms.
    if !bearer?.is(app.join_secret()) {
        return Err(Failure::unauthorized(
            "the join secret is wrong: give the relay the JOIN_SECRET that the directory has",
        ));
    }
    let Body(body) = body?;
    let joining = Joining::try_from(body)?;
    let token = URL_SAFE_NO_PAD.encode(app::random()?);
    let name = joining.address.name.clone();
    app.registry(|registry, now_us| registry.register(now_us, joining, token.clone()))?;
    info!(relay = %name, "a relay has joined");
    Ok(Json(RegisteredServer {
        token,
        ticket_key: app.ticket_key(),
        heartbeat_interval_ms: u32::try_from(HEARTBEAT_INTERVAL.as_millis()).unwrap_or(u32::MAX),
    }))
}

/// A relay tells what it carries, and is told what to end.
#[utoipa::path(
    post,
    path = "/api/relays/{name}/heartbeat",
    tag = "relays",
    operation_id = "heartbeat",
    params(("name" = String, Path, description = "The relay's name")),
    request_body = Heartbeat,
    security(("relay_token" = [])),
    responses(
        (status = 200, description = "What the relay is to do", body = HeartbeatAnswer),
        (status = 400, description = "`invalid_request`: the name or the body is malformed", body = ApiError),
        (status = 401, description = "`unauthorized`: the token is not that of its newest registration", body = ApiError),
        (status = 404, description = "`relay_unknown`: it must register again", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
    )
)]
pub(super) async fn heartbeat(
    State(app): State<App>,
    Name(name): Name,
    bearer: Bearer,
    Body(body): Body<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Failure> {
    let end = app.registry(|registry, now_us| registry.heartbeat(now_us, &name, bearer.expose(), body))?;
    if !end.is_empty() {
        info!(relay = %name, streams = end.len(), "a relay was told to end streams that ended or moved");
    }
    Ok(Json(HeartbeatAnswer { end }))
}
