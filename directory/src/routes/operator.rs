//! The operator's calls, on the internal listener alone: who may relay, who may go live, and what goes on.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use protocol::{ErrorCode, RelayName};
use tracing::{info, warn};

use crate::{
    allowances::Asked,
    app::{self, App},
    ended_streams::EndedStreams,
    extract::{self, Bearer, Body, Id, Name},
    failure::Failure,
    members::RevokeError,
    operator::{
        Drained, EdgeEntry, MadePass, MadeRelayToken, MoveTo, NewPass, NewRelayToken, PassEntries, PassEntry,
        RelayAtWork, RelayEntries, RelayEntry, RelayState, RevokedPass, StreamEntries, StreamEntry,
    },
    passes::{self, PassError},
    registry::{Edge, MoveError, RelayHealth, RelayStatus, StreamStatus},
    state_file::NotWritten,
};

/// Most relays that one token may let in.
const USES_MAX: u32 = 1000;

/// Longest time that a token is good for: a year.
const HOURS_MAX: u32 = 366 * 24;

/// Largest body of an operator's call.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The calls, each of which needs the operator's token.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/operator/relay-tokens", post(make_relay_token))
        .route("/operator/relays", get(relays))
        .route("/operator/relays/{name}", delete(revoke_relay))
        .route("/operator/relays/{name}/drain", post(drain_relay).delete(undrain_relay))
        .route("/operator/passes", get(list_passes).post(add_pass))
        .route("/operator/passes/{name}", delete(revoke_pass))
        .route("/operator/streams", get(streams))
        .route("/operator/streams/{id}", delete(end_stream))
        .route("/operator/streams/{id}/move", post(move_stream))
        .layer(from_fn_with_state(app.clone(), operators_only))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

async fn operators_only(
    State(app): State<App>,
    bearer: Result<Bearer, Failure>,
    request: Request,
    next: Next,
) -> Response {
    let client = extract::client_of(request.extensions());
    if let Err(failure) = app.allowances().take(client, Asked::Operator) {
        return failure.into_response();
    }
    match bearer {
        Ok(Bearer(token)) if token == *app.operator_token() => next.run(request).await,
        _ => {
            warn!("somebody made an operator's call without the operator's token");
            Failure::unauthorized("this call needs the operator's token, which is in the directory's data folder")
                .into_response()
        }
    }
}

async fn make_relay_token(
    State(app): State<App>,
    Body(body): Body<NewRelayToken>,
) -> Result<Json<MadeRelayToken>, Failure> {
    let invalid = |message: String| Failure::new(ErrorCode::InvalidRequest, message);
    if !(1..=USES_MAX).contains(&body.uses) {
        return Err(invalid(format!("a token lets in 1 to {USES_MAX} relays, not {}", body.uses)));
    }
    if !(1..=HOURS_MAX).contains(&body.hours) {
        return Err(invalid(format!("a token is good for 1 to {HOURS_MAX} hours, not {}", body.hours)));
    }
    let expires_at_s = app.clock().now_s() + u64::from(body.hours) * 3600;
    let token = app.join_token(body.uses, expires_at_s)?;
    info!(uses = body.uses, hours = body.hours, "an operator made a join token");
    Ok(Json(MadeRelayToken { token, expires_at_s }))
}

async fn relays(State(app): State<App>) -> Json<RelayEntries> {
    let at_work = app.registry(|registry, now_us| registry.relay_statuses(now_us));
    let mut at_work: BTreeMap<RelayName, RelayStatus> =
        at_work.into_iter().map(|status| (status.name.clone(), status)).collect();
    let (members, now_s) = (app.members().get().await, app.clock().now_s());
    let mut relays: Vec<_> = members
        .holders()
        .map(|(name, holder)| match at_work.remove(name) {
            Some(status) => entry(status, now_s),
            None => {
                RelayEntry { name: name.clone(), state: RelayState::Away, at_work: None, since_s: holder.seen_at_s }
            }
        })
        .collect();
    let revoked = |(name, since_s): (&RelayName, u64)| RelayEntry {
        name: name.clone(),
        state: RelayState::Revoked,
        at_work: None,
        since_s,
    };
    relays.extend(members.revoked().map(revoked));
    Json(RelayEntries { relays })
}

fn entry(status: RelayStatus, now_s: u64) -> RelayEntry {
    let state = match status.health {
        RelayHealth::Ready => RelayState::Ready,
        RelayHealth::Suspect => RelayState::Suspect,
        RelayHealth::Busy => RelayState::Busy,
        RelayHealth::Draining => RelayState::Draining,
        RelayHealth::Full => RelayState::Full,
        RelayHealth::Unchecked => RelayState::Unchecked,
    };
    let RelayStatus { name, url, problem, streams, streams_max, viewers, viewers_max, load, .. } = status;
    let (head_room_percent, region) = (status.head_room.percent(), status.region);
    let at_work =
        RelayAtWork { url, problem, streams, streams_max, viewers, viewers_max, head_room_percent, region, load };
    RelayEntry { name, state, at_work: Some(at_work), since_s: now_s }
}

async fn revoke_relay(State(app): State<App>, Name(name): Name) -> Result<StatusCode, Failure> {
    let now_s = app.clock().now_s();
    app.members().change(|members| members.revoke(now_s, &name)).await.map_err(|error| {
        let code = match error {
            RevokeError::Unknown(_) => ErrorCode::RelayUnknown,
            RevokeError::Full => ErrorCode::TooManyRelays,
            RevokeError::NotWritten(_) => ErrorCode::Internal,
        };
        Failure::new(code, error.to_string())
    })?;
    app.registry(|registry, now_us| registry.shut_out(now_us, &name));
    app.settled().await;
    warn!(relay = %name, "an operator has shut a relay out");
    Ok(StatusCode::NO_CONTENT)
}

async fn drain_relay(State(app): State<App>, Name(name): Name) -> Result<Json<Drained>, Failure> {
    drain(&app, &name, true).map(Json)
}

async fn undrain_relay(State(app): State<App>, Name(name): Name) -> Result<Json<Drained>, Failure> {
    drain(&app, &name, false).map(Json)
}

fn drain(app: &App, name: &RelayName, wanted: bool) -> Result<Drained, Failure> {
    let streams = app.registry(|registry, now_us| registry.drain(now_us, name, wanted)).ok_or_else(|| {
        let message = format!("no relay named {name} is at work; `directory relays` lists those that are");
        Failure::new(ErrorCode::RelayUnknown, message)
    })?;
    info!(relay = %name, streams, drain = wanted, "an operator said whether a relay is to be rid of its streams");
    Ok(Drained { streams })
}

async fn move_stream(State(app): State<App>, Id(id): Id, Body(body): Body<MoveTo>) -> Result<StatusCode, Failure> {
    app.registry(|registry, now_us| registry.move_stream(now_us, id, &body.relay))?;
    app.settled().await;
    info!(stream.id = %id, relay = %body.relay, "an operator moves a stream");
    Ok(StatusCode::NO_CONTENT)
}

async fn add_pass(State(app): State<App>, Body(body): Body<NewPass>) -> Result<(StatusCode, Json<MadePass>), Failure> {
    let (pass, now_s) = (passes::text_of(app::random()?), app.clock().now_s());
    app.passes().change(|passes| passes.add(&body.name, &pass, now_s)).await?;
    info!(pass = body.name, "an operator made a pass");
    Ok((StatusCode::CREATED, Json(MadePass { pass })))
}

async fn list_passes(State(app): State<App>) -> Json<PassEntries> {
    let passes = app.passes().get().await;
    let entry = |(name, made_at_s): (&str, u64)| PassEntry { name: name.to_owned(), made_at_s };
    Json(PassEntries { passes: passes.list().map(entry).collect() })
}

async fn revoke_pass(State(app): State<App>, Path(name): Path<String>) -> Result<Json<RevokedPass>, Failure> {
    let now_s = app.clock().now_s();
    app.passes().change(|passes| passes.revoke(&name, now_s)).await?;
    let streams_ended = app.registry(|registry, _| registry.end_of_pass(&name));
    app.settled().await;
    warn!(pass = name, streams_ended, "an operator revoked a pass");
    Ok(Json(RevokedPass { streams_ended }))
}

async fn streams(State(app): State<App>) -> Json<StreamEntries> {
    let entry = |status: StreamStatus| {
        let StreamStatus { id, title, visibility, sealed, state, viewers, relay, edges, pass } = status;
        let edge = |Edge { relay, depth, viewers }| EdgeEntry { relay, depth, viewers };
        let edges = edges.into_iter().map(edge).collect();
        StreamEntry { id, title, visibility, sealed, state, viewers, relay, edges, pass }
    };
    let statuses = app.registry(|registry, _| registry.stream_statuses());
    Json(StreamEntries { streams: statuses.into_iter().map(entry).collect() })
}

async fn end_stream(State(app): State<App>, Id(id): Id) -> Result<StatusCode, Failure> {
    app.registry(|registry, _| registry.end_by_operator(id))?;
    app.settled().await;
    // Its broadcaster could bring it back to a directory that was restarted.
    let now_s = app.clock().now_s();
    let remember = |ended: &mut EndedStreams| {
        ended.insert(id, now_s);
        Ok::<_, NotWritten>(())
    };
    app.ended_streams().change(remember).await.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    warn!(stream.id = %id, "an operator ended a stream");
    Ok(StatusCode::NO_CONTENT)
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let code = match error {
            MoveError::Stream(error) => return error.into(),
            MoveError::Relay(_) => ErrorCode::NoRelay,
            MoveError::There(_) => ErrorCode::InvalidRequest,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        let code = match error {
            PassError::Name | PassError::Exists(_) | PassError::Full => ErrorCode::InvalidRequest,
            PassError::Unknown(_) => ErrorCode::NotFound,
            PassError::NotWritten(_) => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}
