//! What the directory and the relay share: how a server starts and stops, its clock, its logs, its internal listener, the
//! door of its public one, and the way to relays.
//! No domain logic.

pub mod client_address;
pub mod clock;
pub mod connect_to;
pub mod door;
pub mod flags;
pub mod internal_listener;
pub mod lifecycle;
pub mod listener;
pub mod telemetry;
pub mod tls;

pub use client_address::{ClientAddress, Network};
pub use clock::Clock;
pub use connect_to::{ConnectTo, InvalidConnectTo};
pub use door::{Door, DoorFlags};
pub use lifecycle::Lifecycle;
