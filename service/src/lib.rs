//! What the directory and the relay share: how a server starts and stops, its clock, its logs and its internal listener.
//! No domain logic.

pub mod client_address;
pub mod clock;
pub mod internal_listener;
pub mod lifecycle;
pub mod listener;
pub mod telemetry;

pub use client_address::{ClientAddress, Network};
pub use clock::Clock;
pub use lifecycle::Lifecycle;
