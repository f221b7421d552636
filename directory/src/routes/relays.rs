//! Relays: they join and report.

use axum::{Json, extract::State};
use protocol::{
    RelayName,
    http::{ApiError, Heartbeat, HeartbeatAnswer, RegisterServer, RegisteredServer},
    limits::HEARTBEAT_INTERVAL,
    relay_proof::{Assertion, JoinToken, Membership},
    signing::PublicKey,
};
use service::ClientAddress;
use tracing::{info, warn};

use crate::{
    allowances::Asked,
    app::App,
    extract::{self, Bearer, Client, Name, SignedBody},
    failure::Failure,
    members::{JoinError, Members},
    metrics::Reason,
    registry::{HeartbeatError, Joining},
    relay_check::is_private,
    state_file::NotWritten,
};

/// A relay joins under a name. The same relay, which is said by its key, may register again at any time.
#[utoipa::path(
    post,
    path = "/register_server",
    tag = "relays",
    operation_id = "register_server",
    request_body = RegisterServer,
    security(
        ("join_secret" = [], "relay_assertion" = []),
        ("join_token" = [], "relay_assertion" = []),
        ("membership" = [], "relay_assertion" = []),
    ),
    responses(
        (status = 200, description = "It has joined", body = RegisteredServer),
        (status = 400, description = "`invalid_request` or `unsupported_protocol`", body = ApiError),
        (status = 401, description = "`unauthorized`: nothing lets it join, or it is not signed by the key in the body", body = ApiError),
        (status = 403, description = "`relay_revoked`: an operator has shut it out", body = ApiError),
        (status = 409, description = "`relay_name_taken`: a relay with another key holds the name", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 429, description = "`too_many_requests`", body = ApiError),
        (status = 503, description = "`too_many_relays`", body = ApiError),
    )
)]
pub(super) async fn register(
    State(app): State<App>,
    Client(client): Client,
    bearer: Result<Bearer, Failure>,
    body: Result<SignedBody, Failure>,
) -> Result<Json<RegisteredServer>, Failure> {
    let registered = admit(&app, client, bearer, body).await;
    if let Err(failure) = &registered {
        let reason = failure.code().as_str();
        app.metrics().refused_registrations.get_or_create(&Reason { reason }).inc();
        warn!(reason, "a relay was refused: {}", failure.message());
    }
    registered
}

async fn admit(
    app: &App,
    client: ClientAddress,
    bearer: Result<Bearer, Failure>,
    body: Result<SignedBody, Failure>,
) -> Result<Json<RegisteredServer>, Failure> {
    app.allowances().take(client, Asked::Register)?;
    // What lets it join first: strangers learn nothing about names and forms.
    let credential = Credential::of(app, bearer?)?;
    let SignedBody { assertion, bytes } = body?;
    let body: RegisterServer = extract::json(&bytes)?;
    let now_ms = app.clock().now_us() / 1000;
    let said = Assertion::verify(&body.public_key, assertion.expose(), "POST /register_server", &bytes, now_ms)?;
    let joining = Joining { from_afar: !is_private(client.ip), ..Joining::try_from(body)? };
    let (name, key) = (joining.address.name.clone(), joining.public_key);
    let own = credential.membership().is_none_or(|member| (&member.relay, member.public_key) == (&name, key));
    if said.relay != name || !own {
        return Err(Failure::unauthorized("the membership or the signature is that of another relay"));
    }
    let now_s = app.clock().now_s();
    app.members().change(|members| members.join(now_s, &name, key, credential.token())).await?;
    app.registry(|registry, now_us| registry.register(now_us, joining, said.said_at_ms))?;
    if app.members().get().await.is_revoked(&key) {
        // An operator shut it out just now, and may have found nothing to shut out.
        app.registry(|registry, now_us| registry.shut_out(now_us, &name));
        return Err(JoinError::Revoked.into());
    }
    app.settled().await;
    app.relay_joined();
    info!(relay = %name, with = credential.word(), "a relay has joined");
    Ok(Json(RegisteredServer {
        membership: app.membership(name, key)?,
        ticket_key: app.ticket_key(),
        heartbeat_interval_ms: u32::try_from(HEARTBEAT_INTERVAL.as_millis()).unwrap_or(u32::MAX),
    }))
}

/// What lets a relay join.
enum Credential {
    Secret,
    Token(JoinToken),
    Membership(Membership),
}

impl Credential {
    fn of(app: &App, Bearer(bearer): Bearer) -> Result<Self, Failure> {
        if app.join_secret().is_some_and(|secret| *secret == bearer) {
            return Ok(Self::Secret);
        }
        let key = app.ticket_key();
        let token = key.verify(bearer.expose()).map(Self::Token);
        token.or_else(|_| key.verify(bearer.expose()).map(Self::Membership)).map_err(|_| {
            Failure::unauthorized(
                "the join secret or token is wrong: give the relay a token from `directory relay-token`, or the JOIN_SECRET \
                 that the directory has",
            )
        })
    }

    fn token(&self) -> Option<&JoinToken> {
        if let Self::Token(token) = self { Some(token) } else { None }
    }

    fn membership(&self) -> Option<&Membership> {
        if let Self::Membership(membership) = self { Some(membership) } else { None }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Secret => "the join secret",
            Self::Token(_) => "a join token",
            Self::Membership(_) => "its membership",
        }
    }
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
        (status = 403, description = "`relay_revoked`: an operator has shut it out", body = ApiError),
        (status = 404, description = "`relay_unknown`: it must register again", body = ApiError),
        (status = 413, description = "`too_large`", body = ApiError),
        (status = 415, description = "`unsupported_media_type`: the body does not say it is JSON", body = ApiError),
        (status = 429, description = "`too_many_requests`", body = ApiError),
    )
)]
pub(super) async fn heartbeat(
    State(app): State<App>,
    Name(name): Name,
    SignedBody { assertion, bytes }: SignedBody,
) -> Result<Json<HeartbeatAnswer>, Failure> {
    let request = format!("POST /api/relays/{name}/heartbeat");
    let (key, now_us) = (app.registry(|registry, _| registry.key_of(&name)), app.clock().now_us());
    let verify = |key: &PublicKey| Assertion::verify(key, assertion.expose(), &request, &bytes, now_us / 1000);
    let said = key.map(|key| verify(&key).map(|said| (key, said)));
    let Some(Ok((key, said))) = said else {
        let members = app.members().get().await;
        if members.revoked_keys_of(&name).any(|revoked| verify(&revoked).is_ok()) {
            return Err(JoinError::Revoked.into());
        }
        return Err(said.and_then(Result::err).map_or(HeartbeatError::Unknown.into(), Failure::from));
    };
    let body: Heartbeat = extract::json(&bytes)?;
    let revoked = app.members().get().await.revoked_to_tell(app.clock().now_s());
    let answer = app.registry(|registry, now_us| {
        let end = registry.heartbeat(now_us, &name, &key, said.said_at_ms, body)?;
        let (removed, problem) = (registry.removed_at(now_us, &name), registry.problem(&name).map(str::to_owned));
        let drain = registry.is_told_to_drain(&name);
        Ok::<_, HeartbeatError>(HeartbeatAnswer { end, removed, problem, drain, revoked })
    })?;
    if !answer.end.is_empty() {
        info!(relay = %name, streams = answer.end.len(), "a relay was told to end streams that ended or moved");
    }
    note_seen(&app, &name).await;
    Ok(Json(answer))
}

/// Writes down now and then that a relay was seen: its name is its own for as long.
async fn note_seen(app: &App, name: &RelayName) {
    let now_s = app.clock().now_s();
    if app.members().get().await.seen_is_news(now_s, name) {
        let seen = |members: &mut Members| {
            members.seen(now_s, name);
            Ok::<_, NotWritten>(())
        };
        if app.members().change(seen).await.is_err() {
            warn!(relay = %name, "it could not be written down that a relay was seen");
        }
    }
}
