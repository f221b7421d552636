//! Relays: they join and report.

use axum::{Json, extract::State};
use protocol::{
    http::{ApiError, Heartbeat, HeartbeatAnswer, RegisterServer, RegisteredServer},
    limits::HEARTBEAT_INTERVAL,
    relay_proof::{Assertion, Membership},
};
use tracing::{info, warn};

use crate::{
    app::App,
    extract::{self, Bearer, Name, SignedBody},
    failure::Failure,
    metrics::Refusal,
    registry::{HeartbeatError, Joining},
};

/// A relay joins under a name. The same relay, which is said by its key, may register again at any time.
#[utoipa::path(
    post,
    path = "/register_server",
    tag = "relays",
    operation_id = "register_server",
    request_body = RegisterServer,
    security(("join_secret" = [], "relay_assertion" = [])),
    responses(
        (status = 200, description = "It has joined", body = RegisteredServer),
        (status = 400, description = "`invalid_request` or `unsupported_protocol`", body = ApiError),
        (status = 401, description = "`unauthorized`: nothing lets it join, or it is not signed by the key in the body", body = ApiError),
        (status = 409, description = "`relay_name_taken`: a relay with another key holds the name", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 503, description = "`too_many_relays`", body = ApiError),
    )
)]
pub(super) async fn register(
    State(app): State<App>,
    bearer: Result<Bearer, Failure>,
    body: Result<SignedBody, Failure>,
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
    body: Result<SignedBody, Failure>,
) -> Result<Json<RegisteredServer>, Failure> {
    // What lets it join first: strangers learn nothing about names and forms.
    let Bearer(bearer) = bearer?;
    let membership = app.ticket_key().verify::<Membership>(bearer.expose()).ok();
    if membership.is_none() && bearer != *app.join_secret() {
        return Err(Failure::unauthorized(
            "the join secret is wrong: give the relay the JOIN_SECRET that the directory has",
        ));
    }
    let SignedBody { assertion, bytes } = body?;
    let body: RegisterServer = extract::json(&bytes)?;
    let now_ms = app.clock().now_us() / 1000;
    let said = Assertion::verify(&body.public_key, assertion.expose(), "POST /register_server", &bytes, now_ms)?;
    let joining = Joining::try_from(body)?;
    let name = joining.address.name.clone();
    let member = |member: &Membership| (&member.relay, member.public_key) == (&name, joining.public_key);
    if said.relay != name || membership.is_some_and(|membership| !member(&membership)) {
        return Err(Failure::unauthorized("this membership is another relay's"));
    }
    let membership = app.membership(name.clone(), joining.public_key)?;
    app.registry(|registry, now_us| registry.register(now_us, joining, said.said_at_ms))?;
    info!(relay = %name, "a relay has joined");
    Ok(Json(RegisteredServer {
        membership,
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
    security(("relay_assertion" = [])),
    responses(
        (status = 200, description = "What the relay is to do", body = HeartbeatAnswer),
        (status = 400, description = "`invalid_request`: the name or the body is malformed", body = ApiError),
        (status = 401, description = "`unauthorized`: not signed by the relay's key, or said before", body = ApiError),
        (status = 404, description = "`relay_unknown`: it must register again", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
    )
)]
pub(super) async fn heartbeat(
    State(app): State<App>,
    Name(name): Name,
    SignedBody { assertion, bytes }: SignedBody,
) -> Result<Json<HeartbeatAnswer>, Failure> {
    let key = app.registry(|registry, _| registry.key_of(&name)).ok_or(HeartbeatError::Unknown)?;
    let request = format!("POST /api/relays/{name}/heartbeat");
    let said = Assertion::verify(&key, assertion.expose(), &request, &bytes, app.clock().now_us() / 1000)?;
    let body: Heartbeat = extract::json(&bytes)?;
    let end = app.registry(|registry, now_us| registry.heartbeat(now_us, &name, &key, said.said_at_ms, body))?;
    if !end.is_empty() {
        info!(relay = %name, streams = end.len(), "a relay was told to end streams that ended or moved");
    }
    Ok(Json(HeartbeatAnswer { end, removed: Vec::new(), problem: None }))
}
