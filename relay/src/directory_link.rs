//! The link to the directory: joins it, reports what the relay carries, and does what it is told. The relay serves on while the
//! directory is down; this only keeps trying.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::{
    ErrorCode, PROTOCOL_VERSION, Secret,
    http::{ApiError, Heartbeat, HeartbeatAnswer, RegisterServer, RegisteredServer, RemovedViewer},
    limits::HEARTBEAT_INTERVAL,
    relay_proof::Assertion,
    signing::InvalidKey,
};
use reqwest::{Client, RequestBuilder, Response, header};
use serde::Serialize;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::{
    data_dir::DataDir,
    house::House,
    load::LoadMeter,
    standing::{Complaint, Word},
    stream::streams::Capacity,
    webtransport::Offer,
};

/// How long one call may take: less than the directory takes to forget a relay.
const CALL_TIME_MAX: Duration = Duration::from_secs(3);

/// First pause after a failed registration; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// Longest pause between registrations: how long a directory that is back may wait for its relays.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Streams that start or end together are reported together.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Bounds of the heartbeat interval that a directory may ask for.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// The request header that an [`Assertion`] stands in.
pub(crate) const ASSERTION_HEADER: &str = "relay-assertion";

/// The link.
#[derive(Debug)]
pub struct DirectoryLink {
    client: Client,
    terms: Terms,
    joining: RegisterServer,
    data_dir: DataDir,
    house: Arc<House>,
    load: LoadMeter,
    complaint: Mutex<Complaint>,
    /// When the newest assertion was said, in milliseconds since the Unix epoch.
    said_at_ms: AtomicU64,
}

/// Why a call to the directory failed.
#[derive(Debug, Error)]
enum CallError {
    #[error("{message} ({code})")]
    Refused { code: ErrorCode, message: String },
    #[error("the directory answered with status {0}")]
    Status(u16),
    #[error("the directory is not reached")]
    Unreached(#[source] reqwest::Error),
    #[error("the directory's answer is not one of the documented ones")]
    Answer(#[source] reqwest::Error),
    #[error("the relay can't sign")]
    Sign(#[from] InvalidKey),
    #[error("there is nothing to join with: set JOIN_TOKEN to what `directory relay-token` prints")]
    NoCredentials,
}

impl CallError {
    /// Whether the directory is there and has judged.
    const fn is_answer(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.http_status() < 500,
            Self::Status(status) => *status < 500,
            Self::Unreached(_) | Self::Answer(_) | Self::Sign(_) | Self::NoCredentials => false,
        }
    }

    const fn code(&self) -> Option<ErrorCode> {
        if let Self::Refused { code, .. } = self { Some(*code) } else { None }
    }
}

/// The HTTP client of the link, which trusts the authorities in the file `ca` too.
///
/// # Errors
/// When the certificates can't be loaded.
pub fn client(ca: Option<&Path>) -> anyhow::Result<Client> {
    let client = Client::builder().timeout(CALL_TIME_MAX).connect_timeout(CALL_TIME_MAX);
    Ok(client.tls_backend_preconfigured(service::tls::client_config(ca)?.as_ref().clone()).build()?)
}

/// What an operator has set for the link.
#[derive(Debug)]
pub struct Terms {
    /// The directory's base address.
    pub directory: Url,
    /// What the relay joins with while it has no membership, best first.
    pub credentials: Vec<Secret>,
    /// How much the relay carries.
    pub capacity: Capacity,
    /// Most bytes a second that it sends, when that is known.
    pub egress_bytes_per_s_max: Option<u64>,
    /// Where it stands.
    pub region: Option<String>,
    /// How often it asks when it was shut out.
    pub revoked_pause: Duration,
}

impl DirectoryLink {
    /// A link of the relay in `house` to its directory.
    #[must_use]
    pub fn new(client: Client, terms: Terms, data_dir: DataDir, house: Arc<House>) -> Self {
        let joining = RegisterServer {
            name: house.name.clone(),
            url: house.url.clone(),
            streams_max: terms.capacity.streams_max,
            viewers_max: terms.capacity.viewers_max,
            egress_bytes_per_s_max: terms.egress_bytes_per_s_max,
            region: terms.region.clone(),
            public_key: house.key.public_key(),
            protocol: PROTOCOL_VERSION,
            webtransport: house.webtransport.as_ref().map(Offer::address),
        };
        let load = LoadMeter::new(Arc::clone(&house.metrics));
        let (complaint, said_at_ms) = (Mutex::default(), AtomicU64::new(0));
        Self { client, terms, joining, data_dir, house, load, complaint, said_at_ms }
    }

    /// Keeps the link until `stopping`.
    pub async fn run(self, stopping: CancellationToken) {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&self) {
        loop {
            let registered = self.join().await;
            self.report(&registered).await;
        }
    }

    /// Joins, however long it takes.
    async fn join(&self) -> RegisteredServer {
        let mut pause = PAUSE_MIN;
        let mut refused = 0;
        let mut told = String::new();
        loop {
            if self.house.standing.is_revoked() {
                sleep(self.terms.revoked_pause).await;
            }
            match self.register(refused).await {
                Ok(registered) => {
                    info!(relay = %self.joining.name, url = %self.joining.url, "joined the directory");
                    return registered;
                }
                Err(error) => {
                    self.note(&error);
                    if error.code().is_some_and(refuses_the_credential) {
                        refused += 1;
                    }
                    let words = words(&error);
                    if error.is_answer() {
                        self.house.standing.set_problem(Some(format!("it does not let this relay join: {words}")));
                    }
                    // What stays as it is, is said once.
                    if told != words {
                        warn!(error = words, "can't join the directory yet");
                        told = words;
                    }
                }
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Registers with the kept membership, or, when that was refused, with the next of the other credentials.
    async fn register(&self, refused: usize) -> Result<RegisteredServer, CallError> {
        let membership = self.data_dir.membership();
        let credentials: Vec<_> = membership.iter().chain(&self.terms.credentials).collect();
        let credential = *credentials.get(refused % credentials.len().max(1)).ok_or(CallError::NoCredentials)?;
        let call = self.client.post(self.at("register_server")).bearer_auth(credential.expose());
        let call = self.signed(call, "POST /register_server", &self.joining)?;
        let registered: RegisteredServer = answer(call.send().await).await?;
        self.house.standing.answered(self.house.clock.now_s());
        if self.house.standing.set_revoked(false) {
            info!("this relay is let in again");
        }
        *self.house.ticket_key.write().unwrap_or_else(PoisonError::into_inner) = Some(registered.ticket_key);
        *self.house.membership.write().unwrap_or_else(PoisonError::into_inner) = Some(registered.membership.clone());
        let kept = self.data_dir.keep_ticket_key(&registered.ticket_key);
        if let Err(error) = kept.and_then(|()| self.data_dir.keep_membership(&registered.membership)) {
            warn!(error = format!("{error:#}"), "after a restart this relay will have to join anew");
        }
        Ok(registered)
    }

    /// Sends heartbeats until the directory no longer knows the relay.
    async fn report(&self, registered: &RegisteredServer) {
        let interval = match registered.heartbeat_interval_ms {
            0 => HEARTBEAT_INTERVAL,
            ms => Duration::from_millis(ms.into()).clamp(INTERVAL_MIN, INTERVAL_MAX),
        };
        let mut failing = false;
        loop {
            let draining = self.house.drain.is_draining();
            match self.heartbeat(draining).await {
                Ok(answer) => {
                    if draining {
                        self.house.drain.was_heard();
                    }
                    if std::mem::replace(&mut failing, false) {
                        info!("the directory is reached again");
                    }
                    self.house.standing.answered(self.house.clock.now_s());
                    self.obey(answer);
                }
                Err(error) => {
                    self.note(&error);
                    match error.code() {
                        Some(ErrorCode::RelayRevoked) => return,
                        Some(code @ (ErrorCode::RelayUnknown | ErrorCode::Unauthorized)) => {
                            let code = code.as_str();
                            info!(code, "the directory does not know this relay any more; joining again");
                            return;
                        }
                        _ => {}
                    }
                    if !std::mem::replace(&mut failing, true) {
                        warn!(error = words(&error), "a heartbeat failed; streams go on, and so do the heartbeats");
                    }
                }
            }
            if timeout(interval, self.house.streams.liveness_changed()).await.is_ok() {
                sleep(DEBOUNCE).await;
            }
        }
    }

    async fn heartbeat(&self, draining: bool) -> Result<HeartbeatAnswer, CallError> {
        let path = format!("api/relays/{}/heartbeat", self.joining.name);
        let call = self.client.post(self.at(&path));
        let load = self.load.measure();
        self.house.streams.load_is(load.cpu_percent);
        let webtransport = self.house.webtransport.as_ref().map(Offer::address);
        let report = Heartbeat { draining, load, webtransport, ..self.house.streams.report() };
        let call = self.signed(call, &format!("POST /{path}"), &report)?;
        answer(call.send().await).await
    }

    fn obey(&self, orders: HeartbeatAnswer) {
        let now = Instant::now();
        for stream in orders.end {
            if self.house.streams.end_as_ordered(stream, now) {
                info!(stream.id = %stream, "the directory ends a stream here");
            }
        }
        for RemovedViewer { stream, viewer } in orders.removed {
            if self.house.streams.remove_viewer(stream, viewer, now) {
                info!(stream.id = %stream, viewer.id = %viewer, "a viewer was removed by the broadcaster");
            }
        }
        for relay in self.house.edges.revoked.hear(orders.revoked, now) {
            warn!(%relay, "an operator of the directory has revoked another relay; nothing is sent to it or taken from it");
        }
        self.house.drain.order(orders.drain);
        let problem = orders.problem;
        self.house.standing.set_problem(problem.clone());
        let word = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).heard(problem.as_deref(), now);
        match word {
            Some(Word::Note) => info!(problem, "the directory gives this relay no work yet"),
            Some(Word::Warning) => warn!(problem, "the directory gives this relay no work"),
            Some(Word::Relief) => info!("the directory finds nothing wrong with this relay"),
            None => {}
        }
    }

    /// Draws from a failed call what it says of this relay's standing.
    fn note(&self, error: &CallError) {
        self.house.metrics.heartbeat_failures.inc();
        let now_s = self.house.clock.now_s();
        if error.is_answer() {
            self.house.standing.answered(now_s);
        } else {
            self.house.standing.failed(now_s);
        }
        if error.code() == Some(ErrorCode::RelayRevoked) && self.house.standing.set_revoked(true) {
            warn!("an operator of the directory has revoked this relay; everybody is sent away");
        }
    }

    /// The call with `body`, and this relay's word that it is its own.
    fn signed(&self, call: RequestBuilder, request: &str, body: &impl Serialize) -> Result<RequestBuilder, CallError> {
        // Maps with string keys and finite numbers only: there is nothing that JSON can't say.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let assertion = Assertion::new(self.joining.name.clone(), request, &body, self.next_said_at_ms());
        let assertion = self.house.key.sign(&assertion)?;
        let call = call.header(ASSERTION_HEADER, assertion.expose());
        Ok(call.header(header::CONTENT_TYPE, "application/json").body(body))
    }

    /// The time of day, but later than ever before: the directory takes no assertion twice. A restarted relay goes by the clock.
    fn next_said_at_ms(&self) -> u64 {
        let now_ms = self.house.clock.now_us() / 1000;
        let said_before = self.said_at_ms.load(Ordering::Relaxed);
        let said_at_ms = now_ms.max(said_before + 1);
        // Calls are made one after the other.
        self.said_at_ms.store(said_at_ms, Ordering::Relaxed);
        said_at_ms
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.terms.directory.as_str().trim_end_matches('/'))
    }
}

/// Whether it is worth trying with another credential.
const fn refuses_the_credential(code: ErrorCode) -> bool {
    matches!(code.http_status(), 401 | 403) && !matches!(code, ErrorCode::RelayRevoked)
}

async fn answer<T: serde::de::DeserializeOwned>(sent: Result<Response, reqwest::Error>) -> Result<T, CallError> {
    let response = sent.map_err(|error| CallError::Unreached(error.without_url()))?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(|error| CallError::Answer(error.without_url()));
    }
    match response.json::<ApiError>().await {
        Ok(ApiError { code, message }) => Err(CallError::Refused { code, message }),
        Err(_) => Err(CallError::Status(status.as_u16())),
    }
}

/// The error and what caused it.
fn words(error: &CallError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
