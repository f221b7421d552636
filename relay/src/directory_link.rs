//! The link to the directory: joins it, reports what the relay carries, and does what it is told. The relay serves on while the
//! directory is down; this only keeps trying.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use protocol::{
    ErrorCode, PROTOCOL_VERSION, RelayName,
    http::{ApiError, HeartbeatAnswer, RegisterServer, RegisteredServer},
    limits::HEARTBEAT_INTERVAL,
    ticket::TicketVerifier,
};
use reqwest::{Client, Response};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::{config::Secret, connection::House, data_dir::DataDir};

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

/// The link.
#[derive(Debug)]
pub struct DirectoryLink {
    client: Client,
    directory: Url,
    join_secret: Secret,
    joining: RegisterServer,
    data_dir: DataDir,
    house: Arc<House>,
}

/// What the relay says of itself when it joins.
#[derive(Debug)]
pub struct Introduction {
    /// Its public address.
    pub url: Url,
    /// Most streams.
    pub streams_max: u32,
    /// Most viewers.
    pub viewers_max: u32,
    /// Its public key.
    pub public_key: String,
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
    #[error("the directory gave no usable ticket key")]
    TicketKey,
}

impl DirectoryLink {
    /// A link of the relay in `house` to the directory at `directory`.
    ///
    /// # Errors
    /// When the system's certificates can't be loaded.
    pub fn new(
        directory: Url,
        join_secret: Secret,
        introduction: Introduction,
        data_dir: DataDir,
        house: Arc<House>,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder().timeout(CALL_TIME_MAX).connect_timeout(CALL_TIME_MAX).build()?;
        let Introduction { url, streams_max, viewers_max, public_key } = introduction;
        let name = house.name.clone();
        let joining = RegisterServer { name, url, streams_max, viewers_max, public_key, protocol: PROTOCOL_VERSION };
        Ok(Self { client, directory, join_secret, joining, data_dir, house })
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
        loop {
            match self.register().await {
                Ok(registered) => {
                    info!(relay = %self.joining.name, url = %self.joining.url, "joined the directory");
                    return registered;
                }
                Err(error) => {
                    self.house.metrics.heartbeat_failures.inc();
                    warn!(error = words(&error), pause_ms = pause.as_millis() as u64, "can't join the directory yet");
                }
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn register(&self) -> Result<RegisteredServer, CallError> {
        let call = self.client.post(self.at("register_server")).bearer_auth(self.join_secret.expose());
        let registered: RegisteredServer = answer(call.json(&self.joining).send().await).await?;
        let verifier = TicketVerifier::new(&registered.ticket_key).map_err(|_| CallError::TicketKey)?;
        *self.house.ticket_key.write().unwrap_or_else(PoisonError::into_inner) = Some(verifier);
        if let Err(error) = self.data_dir.keep_ticket_key(&registered.ticket_key) {
            warn!(error = format!("{error:#}"), "a restart while the directory is down will not let anybody in");
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
            match self.heartbeat(&registered.token).await {
                Ok(answer) => {
                    if std::mem::replace(&mut failing, false) {
                        info!("the directory is reached again");
                    }
                    for stream in answer.end {
                        info!(stream.id = %stream, "the directory ends a stream here");
                        self.house.streams.end(stream, Instant::now());
                    }
                }
                Err(CallError::Refused {
                    code: code @ (ErrorCode::RelayUnknown | ErrorCode::Unauthorized), ..
                }) => {
                    self.house.metrics.heartbeat_failures.inc();
                    info!(code = code.as_str(), "the directory does not know this relay any more; joining again");
                    return;
                }
                Err(error) => {
                    self.house.metrics.heartbeat_failures.inc();
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

    async fn heartbeat(&self, token: &str) -> Result<HeartbeatAnswer, CallError> {
        let name: &RelayName = &self.joining.name;
        let call = self.client.post(self.at(&format!("api/relays/{name}/heartbeat"))).bearer_auth(token);
        answer(call.json(&self.house.streams.report()).send().await).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.directory.as_str().trim_end_matches('/'))
    }
}

async fn answer<T: serde::de::DeserializeOwned>(sent: Result<Response, reqwest::Error>) -> Result<T, CallError> {
    let unreached = |error: reqwest::Error| CallError::Unreached(error.without_url());
    let response = sent.map_err(unreached)?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(unreached);
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
