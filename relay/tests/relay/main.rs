//! Black-box tests: a relay on port 0, spoken to as broadcasters and viewers do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod directory;
mod door;
mod drain;
mod driver;
mod edge_orders;
mod edge_proofs;
mod edge_sessions;
mod edges;
mod fleet;
mod floods;
mod hole;
mod identity;
mod logs;
mod malformed;
mod process;
mod publishers;
mod revoked;
mod sessions;
mod silent_crowd;
mod stub;
mod upstream_player;
mod viewers;
mod webtransport;
mod webtransport_caller;
