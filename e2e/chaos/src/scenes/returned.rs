//! Whether a directory that was gone knows everything again, and how soon.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    directory::{Assignment, Refusal},
    player::{Player, Tempo},
    show::Show,
    source::Source,
};

/// Longest wait for it.
const RETURN_TIME_MAX: Duration = Duration::from_secs(15);

/// How often it is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// What became of what the directory had known, in milliseconds since it listens again; none when it did not come about.
#[derive(Debug, Clone, Default)]
pub struct Returned {
    /// The public stream is in the list, live, with its title.
    pub listed_ms: Option<u64>,
    /// A new viewer of it shows something.
    pub watched_ms: Option<u64>,
    /// The unlisted stream can be watched.
    pub unlisted_ms: Option<u64>,
    /// The broadcast keys are still the streams'.
    pub keys_hold: bool,
    /// The unlisted stream is not in the list.
    pub unlisted_stays_so: bool,
    /// No epoch went back.
    pub epochs_hold: bool,
}

impl Returned {
    /// Asks the directory, which has just come back, until it knows everything. `epoch` is the public stream's before.
    pub(super) async fn observe(show: &Show, unlisted: &Source, epoch: u64) -> Self {
        let begun = Instant::now();
        let id = show.id().to_string();
        let listed = within(begun, async || {
            let list = show.directory().streams().await.ok()?;
            let stream = in_list(&list, &id)?;
            (stream["state"] == "live" && stream["title"] == "Chaos").then_some(())
        });
        let watched = async {
            let player = Player::open(show.directory(), show.id(), Tempo::default());
            let ms = within(begun, async || (player.sight().last_shown_us() > 0).then_some(())).await;
            player.close().await;
            ms
        };
        let unlisted_watched = within(begun, async || {
            show.directory().watch(unlisted.id(), None, None).await.ok().filter(|answer| !answer.relays.is_empty())
        });
        let (listed_ms, watched_ms, unlisted_ms) = tokio::join!(listed, watched, unlisted_watched);
        let list = show.directory().streams().await.unwrap_or_default();
        let public = show.directory().watch(show.id(), None, None).await;
        let owned = match show.source() {
            Some(source) => source.owns_it().await && unlisted.owns_it().await,
            None => unlisted.owns_it().await,
        };
        Self {
            listed_ms,
            watched_ms,
            unlisted_ms,
            keys_hold: owned,
            unlisted_stays_so: in_list(&list, &unlisted.id().to_string()).is_none(),
            epochs_hold: holds(&public, epoch),
        }
    }

    /// The latest of all, when all came about.
    #[must_use]
    pub fn all_ms(&self) -> Option<u64> {
        let all = [self.listed_ms?, self.watched_ms?, self.unlisted_ms?].into_iter().max();
        all.filter(|_| self.keys_hold && self.unlisted_stays_so && self.epochs_hold)
    }
}

fn holds(answer: &Result<Assignment, Refusal>, epoch: u64) -> bool {
    answer.as_ref().is_ok_and(|assignment| assignment.epoch >= epoch)
}

fn in_list<'list>(list: &'list Value, id: &str) -> Option<&'list Value> {
    list["streams"].as_array()?.iter().find(|stream| stream["id"] == id)
}

async fn within<T>(begun: Instant, mut what: impl AsyncFnMut() -> Option<T>) -> Option<u64> {
    while begun.elapsed() < RETURN_TIME_MAX {
        if what().await.is_some() {
            return Some(begun.elapsed().as_millis() as u64);
        }
        sleep(ASK_INTERVAL).await;
    }
    None
}
