//! What is broken, how often, and before how many. Each scene is a function that tells what came of it.

mod black_hole;
mod breathing;
mod chain;
mod directory_gone;
mod drain;
mod edges;
mod hot;
mod origin_killed;
mod pages;
mod returned;
mod share;
mod slow_viewer;
mod store;
mod uplink;

use std::time::Duration;

pub use black_hole::black_hole;
pub use breathing::{Breathed, breathing};
pub use chain::{Chained, chain};
pub use directory_gone::{Absence, directory_gone};
pub use drain::{Drained, Leaving, drain};
pub use edges::{Crowd, Crowded, edges};
pub use hot::{Cooled, hot};
pub use origin_killed::origin_killed;
pub use pages::{Browsed, pages};
pub use returned::Returned;
pub use share::Share;
pub use slow_viewer::{Slowed, slow_viewer};
pub use store::{Shared, store};
use tokio::time::sleep;
pub use uplink::{BACK_SHARE, Narrowed, uplink};

use crate::{
    now_us,
    player::Tempo,
    show::{Broadcast, Sender, Show},
    source::Programme,
    tape::Event,
};

/// Longest wait for viewers to show again.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(20);

/// How long all must have been well before an event is over.
const AFTERMATH: Duration = Duration::from_millis(2500);

/// Longest that a relay that was asked to end may take: the documented deadline and a little.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(17);

/// How often something is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How big a scene is.
#[derive(Debug, Clone)]
pub struct Size {
    /// Viewers.
    pub viewers: usize,
    /// How often something is broken.
    pub events: usize,
    /// Who sends.
    pub sender: Sender,
}

impl Size {
    /// So many viewers and events, with a source of made-up bytes.
    #[must_use]
    pub fn of(viewers: usize, events: usize) -> Self {
        Self { viewers, events, sender: Sender::Source(Programme::default()) }
    }

    /// The same with the product's own broadcaster.
    #[must_use]
    pub fn with_broadcast(self) -> Self {
        Self { sender: Sender::Broadcast(Broadcast::default()), ..self }
    }
}

/// A show with relays, with cables or without.
async fn show(relays: usize, cables: bool, size: &Size) -> Show {
    let plan = stage::Plan::of_relays(relays, cables);
    Show::begin(&plan, size.sender.clone(), size.viewers, Tempo::default()).await
}

/// The event that began at `from_us`: it is over when everybody shows again and has for a moment.
async fn mended(show: &Show, from_us: u64) -> Event {
    // Whatever was on its way when it broke is not the answer to it.
    sleep(Duration::from_millis(100)).await;
    let broke_us = now_us();
    show.all_show_since(broke_us, RECOVERY_TIME_MAX).await;
    show.calm().await;
    sleep(AFTERMATH).await;
    Event { from_us, to_us: now_us() }
}
