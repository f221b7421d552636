//! TLS of the servers' door, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod acme;
mod handshakes;
mod own;
mod reload;
mod server;
