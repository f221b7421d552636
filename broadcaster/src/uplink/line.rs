//! An open way to a relay, whatever carries it: control messages both ways, and chunks to the relay.

mod cargo;
mod websocket;
mod webtransport;

use std::time::Duration;

use protocol::{
    ErrorCode,
    control::{FromBroadcaster, ToBroadcaster},
};
use serde::Serialize;

pub(super) use self::{
    cargo::{Cargo, Ear},
    websocket::WebSocketLine,
    webtransport::WebTransportLine,
};
use crate::transport::Transport;

/// How long saying goodbye may take.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

/// An open way.
pub(super) enum Line {
    /// By TCP.
    WebSocket(Box<WebSocketLine>),
    /// By UDP.
    WebTransport(Box<WebTransportLine>),
}

/// Why nothing follows on a line.
#[derive(Debug)]
pub(super) enum LineEnd {
    /// The relay has closed it.
    Closed,
    /// It broke.
    Broke(String),
    /// The relay said no.
    Refused(ErrorCode, String),
}

impl Line {
    /// What carries it.
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::WebSocket(_) => Transport::Websocket,
            Self::WebTransport(_) => Transport::Webtransport,
        }
    }

    /// Says something.
    pub(super) async fn say(&mut self, message: &impl Serialize) -> Result<(), LineEnd> {
        let text = text(message);
        match self {
            Self::WebSocket(line) => line.say(text).await,
            Self::WebTransport(line) => line.say(&text).await,
        }
    }

    /// The next control message; `None` for anything else that shows a sign of life.
    pub(super) async fn receive(&mut self) -> Result<Option<ToBroadcaster>, LineEnd> {
        match self {
            Self::WebSocket(line) => line.receive().await,
            Self::WebTransport(line) => line.receive().await,
        }
    }

    /// Sends what there is to send, and passes on what the relay says, to the line's end.
    pub(super) async fn carry(&mut self, cargo: &mut Cargo<'_>) -> LineEnd {
        match self {
            Self::WebSocket(line) => line.carry(cargo).await,
            Self::WebTransport(line) => line.carry(cargo).await,
        }
    }

    /// Says what is left to say, and closes, in bounded time.
    pub(super) async fn goodbye(self, last: Vec<FromBroadcaster>) {
        let last = last.iter().map(text).collect();
        match self {
            Self::WebSocket(line) => line.goodbye(last).await,
            Self::WebTransport(line) => line.goodbye(last).await,
        }
    }
}

fn text(message: &impl Serialize) -> String {
    // Plain enums of strings and numbers always serialize; an empty message would be refused by the relay with a reason.
    serde_json::to_string(message).unwrap_or_default()
}

/// What a relay says. A refusal is the line's end; what a later version may add is not an error.
fn understood(text: &str) -> Result<Option<ToBroadcaster>, LineEnd> {
    match serde_json::from_str(text).ok() {
        Some(ToBroadcaster::Error { code, message }) => Err(LineEnd::Refused(code, message)),
        message => Ok(message),
    }
}
