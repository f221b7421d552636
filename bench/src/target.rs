//! What is loaded: the relay that a directory assigns, or a server that asks for no ticket.

use std::sync::Arc;

use anyhow::Result;
use protocol::{
    Secret, WebTransportAddress,
    http::{Assignment, CreatedStream},
};
use rustls::ClientConfig;
use tokio::time::{Duration, sleep, timeout};
use url::Url;

use crate::{
    crowd::door::Door,
    directory::{Directory, relay_of},
    loopback::loopback,
};

/// Connections that share a ticket: as many as a relay lets one viewer have.
const VIEWERS_OF_TICKET: usize = 4;

/// How often the directory is asked again whether a stream can be watched: a relay reports a new one with its next heartbeat only.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How long it may take until it can: a relay that has just been under load is given new viewers when its reports say so.
const WATCH_TIME_MAX: Duration = Duration::from_secs(20);

/// Servers on this machine.
#[derive(Debug, Clone)]
pub enum Target {
    /// A directory, which names the relay.
    Directory(Directory),
    /// A server that carries one stream, and lets everybody in.
    Server(Url),
}

/// A stream that can be sent.
#[derive(Debug)]
pub struct Carried {
    /// Where to.
    pub relay: Url,
    /// Where that relay is by WebTransport.
    pub webtransport: Option<WebTransportAddress>,
    /// With which ticket.
    pub ticket: Secret,
    /// As the directory knows it.
    created: Option<CreatedStream>,
}

impl Target {
    /// A server at `url` that asks for no ticket.
    ///
    /// # Errors
    /// When it is not on this machine.
    pub fn server(url: Url) -> Result<Self> {
        Ok(Self::Server(loopback(url)?))
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn open(&self, title: &str) -> Result<Carried> {
        match self {
            Self::Server(url) => {
                Ok(Carried { relay: url.clone(), webtransport: None, ticket: "none".into(), created: None })
            }
            Self::Directory(directory) => {
                let created = directory.create_stream(title).await?;
                let (relay, webtransport) = addresses_of(&created.assignment)?;
                Ok(Carried { relay, webtransport, ticket: created.assignment.ticket.clone(), created: Some(created) })
            }
        }
    }

    /// Ways for `count` viewers to watch it, as soon as it can be watched.
    ///
    /// # Errors
    /// When the directory refuses.
    pub async fn doors(&self, carried: &Carried, count: usize, tls: Option<&Arc<ClientConfig>>) -> Result<Vec<Door>> {
        let mut doors = Vec::with_capacity(count);
        while doors.len() < count {
            let ((relay, webtransport), ticket) = match (self, &carried.created) {
                (Self::Directory(directory), Some(created)) => {
                    let assignment = watchable(directory, created).await?.assignment;
                    (addresses_of(&assignment)?, assignment.ticket)
                }
                _ => ((carried.relay.clone(), carried.webtransport.clone()), carried.ticket.clone()),
            };
            let door = Door { relay, webtransport, ticket, tls: tls.cloned() };
            doors.extend(std::iter::repeat_n(door, VIEWERS_OF_TICKET.min(count - doors.len())));
        }
        Ok(doors)
    }

    /// Ends a stream, as far as there still is one.
    pub async fn close(&self, carried: &Carried) {
        if let (Self::Directory(directory), Some(created)) = (self, &carried.created) {
            // The relay was told by the publisher already when all went well.
            let _ = directory.end_stream(created).await;
        }
    }
}

/// Where the first relay of an assignment is: its host is the same for both transports, as the directory has checked.
fn addresses_of(assignment: &Assignment) -> Result<(Url, Option<WebTransportAddress>)> {
    let webtransport = assignment.relays.first().and_then(|relay| relay.webtransport.clone());
    Ok((relay_of(assignment)?, webtransport))
}

/// Asks for a way to watch until there is one.
async fn watchable(directory: &Directory, created: &CreatedStream) -> Result<protocol::http::WatchAnswer> {
    let ask = async {
        loop {
            if let Ok(answer) = directory.watch(created.id).await {
                return answer;
            }
            sleep(WATCH_INTERVAL).await;
        }
    };
    match timeout(WATCH_TIME_MAX, ask).await {
        Ok(answer) => Ok(answer),
        Err(_) => directory.watch(created.id).await,
    }
}
