//! Streams come back to a directory that has lost its memory, by what it said of them itself.

use axum::{Json, extract::State};
use protocol::{
    BroadcastKey, ErrorCode,
    http::{ApiError, Assignment, BroadcastPolicy, RestoreStream},
    limits::{RECORD_TIME_MAX, TICKET_CLOCK_SKEW_MAX},
    stream_record::StreamRecord,
};
use tracing::info;

use super::streams::{pass_invalid, pass_required};
use crate::{
    app::App,
    extract::{Bearer, Body},
    failure::Failure,
    registry::{NewStream, PlaceError},
};

/// Brings a stream back, with its id, title, visibility, password and epoch, after the directory has forgotten it. As often as wanted.
#[utoipa::path(
    post,
    path = "/api/streams/restore",
    tag = "streams",
    operation_id = "restore_stream",
    request_body = RestoreStream,
    security(("broadcast_key" = [])),
    responses(
        (status = 200, description = "The stream is here; where to send it, as by `assignment`, but in the same epoch", body = Assignment),
        (status = 400, description = "`invalid_request`: the body is not of this form", body = ApiError),
        (status = 401, description = "`unauthorized`: the key is missing or another stream's; `pass_required`: only those go live here who \
                                      have a pass", body = ApiError),
        (
            status = 403,
            description = "`ticket_invalid`: this directory has not signed the record; `ticket_expired`: it is older than a day; \
                           `pass_invalid`: the stream's pass was revoked",
            body = ApiError
        ),
        (status = 404, description = "`stream_not_found`: it has ended here", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 429, description = "`too_many_requests`", body = ApiError),
        (
            status = 503,
            description = "`no_relay`: the stream is here, but none of its relays has come back yet; `too_many_streams`",
            body = ApiError
        ),
    )
)]
pub(super) async fn restore(
    State(app): State<App>,
    bearer: Bearer,
    Body(body): Body<RestoreStream>,
) -> Result<Json<Assignment>, Failure> {
    let mut record: StreamRecord = app
        .ticket_key()
        .verify(body.record.expose())
        .map_err(|_| Failure::new(ErrorCode::TicketInvalid, "the record is not one that this directory has signed"))?;
    let wrong_key = || PlaceError::Unauthorized.into();
    let key: BroadcastKey = bearer.0.expose().parse().map_err(|_| -> Failure { wrong_key() })?;
    if !record.key_hash.matches(&key) {
        return Err(wrong_key());
    }
    app.allowances().take_owners_call(record.stream)?;
    let now_s = app.clock().now_s();
    if now_s >= record.issued_at_s.saturating_add(RECORD_TIME_MAX.as_secs()) {
        return Err(Failure::new(ErrorCode::TicketExpired, "the record is older than a day; make a new stream"));
    }
    if record.issued_at_s > now_s.saturating_add(TICKET_CLOCK_SKEW_MAX.as_secs()) {
        let message = "the record is from the future: the directory's clock went back";
        return Err(Failure::new(ErrorCode::TicketInvalid, message));
    }
    check_pass(&app, &record).await?;
    if app.ended_streams().get().await.contains(&record.stream) {
        return Err(PlaceError::NotFound.into());
    }
    let members = app.members().get().await;
    record.addresses.retain(|relay| members.revoked().all(|(name, _)| *name != relay.name));
    let about =
        NewStream::try_from(&record).map_err(|error| Failure::new(ErrorCode::TicketInvalid, error.to_string()))?;
    let known = app.registry(|registry, now_us| {
        let known = registry.has(&record.stream);
        registry.restore(now_us, &record, about).map(|()| known)
    })?;
    if let Err(revoked) = check_pass(&app, &record).await {
        // Just now, and those who did that may have seen no stream to end.
        app.registry(|registry, _| record.pass.as_deref().map(|pass| registry.end_of_pass(pass)));
        return Err(revoked);
    }
    app.settled().await;
    if !known {
        app.metrics().streams_restored.inc();
        info!(stream.id = %record.stream, epoch = record.epoch, "a stream was brought back by its broadcaster");
    }
    let orders = app.orders(record.stream, &key)?;
    Ok(Json(app.publish(record.stream, orders.place.ok_or(PlaceError::NoRelay)?)?))
}

/// Whoever may go live no longer brings nothing back. A pass that the directory does not know was lost with its memory: that it was
/// good once is signed.
async fn check_pass(app: &App, record: &StreamRecord) -> Result<(), Failure> {
    let created_at_s = record.created_at_us / 1_000_000;
    match &record.pass {
        Some(name) if app.passes().get().await.was_revoked_since(name, created_at_s) => Err(pass_invalid()),
        None if app.broadcast() == BroadcastPolicy::Passes => Err(pass_required()),
        _ => Ok(()),
    }
}
