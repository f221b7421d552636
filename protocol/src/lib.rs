//! Every type that crosses a wire in Dead Streaming: ids, HTTP bodies, control messages, the media message header, tickets,
//! end-to-end encryption, error codes and limits. Pure: no sockets, no clock, no runtime. TypeScript is generated from here (`ui/src/protocol`).

pub mod control;
pub mod error;
pub mod framing;
pub mod http;
pub mod ids;
pub mod limits;
pub mod media_message;
pub mod relay_proof;
pub mod seal;
pub mod secret;
pub mod signing;
pub mod stream_record;
pub mod ticket;
pub mod track;
pub mod webtransport;

pub use error::ErrorCode;
pub use ids::{BroadcastKey, BroadcastKeyHash, RelayName, StreamId, Title, TrackNumber, ViewerId};
pub use media_message::{MediaHeader, MediaKind};
pub use secret::{Secret, SecretHash};
pub use track::{TrackInfo, TrackKind};
pub use webtransport::{CertificateHash, WebTransportAddress};

/// Version of the control messages and of the media header, named in the first message of every connection.
pub const PROTOCOL_VERSION: u16 = 1;
