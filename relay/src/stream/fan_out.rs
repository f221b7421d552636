//! Those that a stream is sent to, in rows: what is new for the stream wakes one task for each row, which serves all of it, and not one
//! for each viewer. A wake-up costs a third of a send.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::limits::KEEP_ALIVE_INTERVAL;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::metrics::Metrics;

mod merging;
mod turn;

pub use merging::Merging;
pub use turn::{Sent, Turn};

/// Most guests of a row. A row of as many is served in less than a millisecond while all of them take what they are sent, so that nothing
/// else on this thread waits longer, and a stream with some more of them has rows for all cores.
const ROW_GUESTS_MAX: usize = 128;

/// Somebody that a stream is sent to.
pub trait Guest: Send + Sync + std::fmt::Debug {
    /// Sends what is new, as far as it is taken at once. Whether nothing or something is new, it is to be served again at the time that is
    /// given, and without one within [`KEEP_ALIVE_INTERVAL`].
    fn serve(&self, turn: &mut Turn) -> Option<Instant>;
}

/// All rows of a stream.
#[derive(Debug)]
pub struct FanOut {
    rows: Mutex<Vec<Arc<Row>>>,
    merging: Arc<Merging>,
}

/// A place in a row. Dropping it frees it.
#[derive(Debug)]
pub struct Place {
    row: Arc<Row>,
    guest: Arc<dyn Guest>,
}

#[derive(Debug, Default)]
struct Row(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    guests: Vec<Arc<dyn Guest>>,
    /// Counts how often `guests` became others.
    version: u64,
    /// Its task has ended.
    over: bool,
}

impl FanOut {
    /// No rows yet.
    #[must_use]
    pub const fn new(merging: Arc<Merging>) -> Self {
        Self { rows: Mutex::new(Vec::new()), merging }
    }

    /// Has `guest` served whenever `news` come, in a row with others.
    pub fn join(&self, guest: Arc<dyn Guest>, news: &watch::Receiver<()>, metrics: &Arc<Metrics>) -> Place {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.retain(|row| !row.members().over);
        for row in rows.iter() {
            if row.take(&guest) {
                return Place { row: Arc::clone(row), guest };
            }
        }
        let row = Arc::new(Row::default());
        row.take(&guest);
        rows.push(Arc::clone(&row));
        // Not a part of any one guest's life: it ends with the last of the row.
        let keeping = keep(Arc::clone(&row), news.clone(), Arc::clone(&self.merging), Arc::clone(metrics));
        tokio::spawn(tokio::task::unconstrained(keeping));
        Place { row, guest }
    }
}

impl Row {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, guest: &Arc<dyn Guest>) -> bool {
        let mut members = self.members();
        if members.over || members.guests.len() >= ROW_GUESTS_MAX {
            return false;
        }
        members.guests.push(Arc::clone(guest));
        members.version += 1;
        true
    }

    /// Brings `guests` up to date; whether there are any. None: nobody joins this row any more.
    fn look(&self, guests: &mut Vec<Arc<dyn Guest>>, version: &mut Option<u64>) -> bool {
        let mut members = self.members();
        members.over = members.guests.is_empty();
        if *version != Some(members.version) {
            guests.clone_from(&members.guests);
            *version = Some(members.version);
        }
        !members.over
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut members = self.row.members();
        members.guests.retain(|guest| !Arc::ptr_eq(guest, &self.guest));
        members.version += 1;
    }
}

/// Serves a row until its last guest has left.
async fn keep(row: Arc<Row>, mut news: watch::Receiver<()>, merging: Arc<Merging>, metrics: Arc<Metrics>) {
    // Guests come and go while others are served.
    let mut guests = Vec::new();
    let mut version = None;
    loop {
        if !row.look(&mut guests, &mut version) {
            return;
        }
        let now = Instant::now();
        let mut turn = Turn::at(now);
        let mut due = now + KEEP_ALIVE_INTERVAL;
        for guest in &guests {
            due = guest.serve(&mut turn).map_or(due, |of_guest| of_guest.min(due));
        }
        turn.tell(&metrics);

        tokio::select! {
            biased;
            // An error: the stream has gone, and so do they, each by itself.
            changed = news.changed() => if changed.is_err() { sleep_until(due).await },
            () = sleep_until(due) => {}
        }
        let delay = merging.delay();
        if !delay.is_zero() {
            sleep_until(now + delay).await;
        }
    }
}

#[cfg(test)]
mod tests;
