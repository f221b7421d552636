//! What carries media between the load and a relay.

use clap::ValueEnum;
use serde::Serialize;

/// A transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over TCP, each chunk a message.
    #[default]
    #[value(name = "websocket")]
    WebSocket,
    /// Over QUIC, each segment of each track a stream.
    #[value(name = "webtransport")]
    WebTransport,
}
