//! What a stream may travel by.

use std::fmt;

use serde::Serialize;
use ts_rs::TS;

/// A way to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export, rename = "UplinkTransport")]
pub enum Transport {
    /// TCP: everything in one order.
    Websocket,
    /// UDP: each segment of each track by itself.
    Webtransport,
}

/// Which of them to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TransportChoice {
    /// WebTransport where the relay offers it and the network lets it through, else a WebSocket.
    #[default]
    Auto,
    /// A WebSocket.
    Websocket,
    /// WebTransport, and nothing where there is none.
    Webtransport,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Websocket => "WebSocket",
            Self::Webtransport => "WebTransport",
        })
    }
}
