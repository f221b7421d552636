//! What the directory and the relay share: how a server starts and stops, its clock, its logs, its internal listener, and
//! the door of its public one.
//! No domain logic.

pub mod client_address;
pub mod clock;
pub mod door;
pub mod internal_listener;
pub mod lifecycle;
pub mod listener;
pub mod telemetry;
pub mod tls;

pub use client_address::{ClientAddress, Network};
pub use clock::Clock;
pub use door::{Door, DoorFlags};
pub use lifecycle::Lifecycle;
