//! Several directories, each a process of its own, that share a Redis server.
#![expect(clippy::unwrap_used, reason = "what helps a test may fail like one")]

mod away;
mod directories;
mod relay;
#[path = "../../src/store/tests/server.rs"]
mod server;
mod together;

/// Far above what an answer takes on a busy machine; only a failure waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
