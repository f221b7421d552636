//! Load for measurements of a relay: one paced stream of made-up chunks, and many viewers that count what reaches them.
//!
//! The `relay_load` command puts it on servers that are already running on this machine; the `fan_out_floor` command is a server that
//! does nothing but hand a stream on, as the measure of what the kernel asks at least; the `sealing_cost` command measures what
//! end-to-end encryption takes; the `performance_charts` command draws what was measured. Nothing here is part of the product's binaries.

pub mod chart;
pub mod crowd;
pub mod directory;
pub mod floor;
pub mod latencies;
pub mod link;
pub mod load;
pub mod loopback;
pub mod media_clock;
pub mod order;
pub mod process;
pub mod publisher;
pub mod report;
pub mod sealing;
pub mod storm;
pub mod target;
pub mod transport;
pub mod viewer;

mod socket;
