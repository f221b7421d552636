//! WebTransport (draft-ietf-webtrans-http3) beside WebSocket: the same messages, each segment of each track on a stream of its own
//! (`docs/decisions/0011-webtransport.md`). Who is let in is judged as everywhere.

pub mod certificate;
pub mod entrance;
pub mod flags;
mod guest;
mod line;
mod publisher;
mod viewer;

pub use entrance::{Entrance, Offer};
pub use flags::WebTransportFlags;
