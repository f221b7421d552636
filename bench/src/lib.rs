//! Load for measurements of a relay: one paced stream of made-up chunks, and many viewers that count what reaches them.
//!
//! The `relay_load` command puts it on servers that are already running on this machine; the `sealing_cost` command measures what
//! end-to-end encryption takes. Nothing here starts a server, and nothing here is part of the product's binaries.

pub mod directory;
pub mod latencies;
pub mod load;
pub mod loopback;
pub mod media_clock;
pub mod order;
pub mod process_time;
pub mod publisher;
pub mod report;
pub mod sealing;
pub mod viewer;

mod socket;
