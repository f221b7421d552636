//! WebTransport sessions (draft-ietf-webtrans-http3) as Dead Streaming uses them: one control stream with the JSON messages, and one
//! stream for each segment of each track; and which way to a relay is taken, a session or a WebSocket (`ways`). It knows how bytes travel,
//! and nothing of tickets, streams or windows: relays, broadcasters and measurements build on it. `docs/decisions/0011-webtransport.md` has the wire and its reasons.

pub mod client;
pub mod codes;
pub mod control;
pub mod inbox;
pub mod listener;
pub mod outbox;
pub mod session;
pub mod transport;
pub mod tuning;
pub mod ways;

pub use client::{Client, ConnectError, Trust};
pub use control::{Control, ControlError};
pub use inbox::{Inbox, InboxError};
pub use listener::{Arrival, Listener, Request};
pub use outbox::{Outbox, Outgoing, Sent, Skipped};
pub use session::{Session, SessionLost};
pub use transport::{Transport, TransportChoice};
pub use ways::Ways;
