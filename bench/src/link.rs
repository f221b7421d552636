//! A link that loses and delays packets, between this machine and a network namespace: two TUN devices, and what carries packets from
//! one to the other. Each packet is on its own, as on a wire: the devices offer no offload, so the kernel cuts segments before.
//!
//! Nothing outlives the process, however it ends: the devices go with their descriptors, the namespace with the child that holds it.

#[cfg(target_os = "linux")]
mod ends;
mod loss;
pub mod namespace;
#[cfg(target_os = "linux")]
mod way;

use std::{net::Ipv4Addr, time::Duration};

use serde::Serialize;

#[cfg(target_os = "linux")]
pub use self::ends::Link;

/// The end on this machine: of the network that is set aside for measurements (RFC 2544).
pub const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The end in the namespace.
pub const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// Longest delay of a link, each way.
pub const DELAY_MAX: Duration = Duration::from_secs(2);

/// What a link does to packets.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Of a hundred packets, each way, so many are lost, at random.
    pub loss_percent: f64,
    /// What each packet is delayed by, each way.
    pub delay: Duration,
    /// The congestion control of TCP at both ends; none: that of this machine.
    pub tcp: Option<String>,
    /// The same losses come again with the same seed.
    pub seed: u64,
}

/// What went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Packets that arrived.
    pub passed: u64,
    /// Packets that were lost on purpose.
    pub lost: u64,
    /// Packets for which there was no room: more than a link holds. Not zero means that the machine was too slow.
    pub overflowed: u64,
    /// By how much a packet was delayed beyond what was asked for, at most, in microseconds.
    pub late_us_max: u64,
}
