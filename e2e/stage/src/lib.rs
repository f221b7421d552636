//! A directory and relays as real processes on loopback, and the tools of somebody who has read the
//! protocol: what attacks and chaos are played on.
#![expect(clippy::unwrap_used, reason = "what helps a test may fail like one")]

mod plan;
mod process;
mod program;
mod proxy;
mod relay_key;
mod server;
mod socket;
mod store;
mod system;

pub use plan::{Plan, RelayPlan};
pub use program::Program;
pub use proxy::{Change, Proxy, Tally, Way, Weather};
pub use relay_key::RelayKey;
pub use server::Cable;
pub use socket::{Entry, Got, Socket, WAYS};
pub use store::Store;
pub use system::{Answer, Created, JOIN_SECRET, System, tracks};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Far longer than anything here takes; whoever waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Tries `what` until it gives something. Panics with `wanted` when it never does.
pub async fn eventually<T, F: Future<Output = Option<T>>>(wanted: &str, mut what: impl FnMut() -> F) -> T {
    let until = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < until {
        if let Some(found) = what().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came: {wanted}");
}
