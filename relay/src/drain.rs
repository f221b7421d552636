//! How a relay gets rid of its streams before it ends: nobody new is let in, those who are here follow their streams elsewhere,
//! and it ends when they have gone or the time for it is over.

use std::{sync::Arc, time::Duration};

use service::Lifecycle;
use tokio::{
    sync::watch,
    time::{Instant, interval},
};
use tracing::{info, warn};

use crate::{house::House, stream::streams::Busy};

/// How long a relay without streams waits at most until its directory knows that it ends.
const FAREWELL_TIME_MAX: Duration = Duration::from_millis(500);

/// How long a relay drains that can't tell its directory: nobody says to its broadcasters where to go, so waiting is in vain.
const UNHEARD_TIME_MAX: Duration = Duration::from_secs(3);

/// How often it is looked whether everybody has gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Whether this relay drains, and why. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// The process is to end.
    asked: bool,
    /// The directory wants the relay empty.
    ordered: bool,
    /// Heartbeats that said so were answered.
    heard: bool,
}

impl State {
    const fn is_draining(self) -> bool {
        self.asked || self.ordered
    }
}

/// How far a drain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    GoesOn,
    Empty,
    Unheard,
    OutOfTime,
}

impl Drain {
    /// The relay is to drain and then to end. This is not taken back.
    pub fn ask(&self) {
        self.0.send_if_modified(|state| !std::mem::replace(&mut state.asked, true));
    }

    /// The directory wants the relay to drain, or no longer; whether that is news.
    pub fn order(&self, ordered: bool) -> bool {
        self.0.send_if_modified(|state| {
            let news = std::mem::replace(&mut state.ordered, ordered) != ordered;
            state.heard &= state.is_draining();
            news
        })
    }

    /// The directory has answered a heartbeat that said that the relay drains.
    pub fn was_heard(&self) {
        self.0.send_if_modified(|state| {
            state.heard = state.is_draining();
            false
        });
    }

    /// Whether it drains.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.borrow().is_draining()
    }

    /// Why no new work is wanted, in words for an operator.
    ///
    /// # Errors
    /// With the words, while it drains.
    pub fn judged(&self) -> Result<(), String> {
        let state = *self.0.borrow();
        match (state.asked, state.ordered) {
            (true, _) => Err("draining: this relay was asked to end".to_owned()),
            (false, true) => Err("draining: the directory wants this relay empty".to_owned()),
            (false, false) => Ok(()),
        }
    }

    /// Ends `life` when the relay has drained, within `time_max`.
    pub(crate) async fn keep(self, house: Arc<House>, time_max: Duration, life: Lifecycle) {
        let stopping = life.stopping();
        let drained = async {
            let mut changes = self.0.subscribe();
            loop {
                if changes.wait_for(|state| state.is_draining()).await.is_err() {
                    return;
                }
                house.streams.report_now();
                let Err(reason) = self.judged() else { continue };
                info!(reason, seconds = time_max.as_secs(), "draining: nobody new publishes here");
                if self.drains(&house, time_max).await {
                    life.stop();
                    return;
                }
                info!("the directory no longer wants this relay empty; serving again");
                house.streams.report_now();
            }
        };
        stopping.run_until_cancelled(drained).await;
    }

    /// Drains; `false`: it was taken back.
    async fn drains(&self, house: &House, time_max: Duration) -> bool {
        let begun = Instant::now();
        let mut looks = interval(LOOK_INTERVAL);
        loop {
            looks.tick().await;
            let state = *self.0.borrow();
            if !state.is_draining() {
                return false;
            }
            house.streams.send_edge_viewers_away(Instant::now());
            let busy = house.streams.busy();
            match progress(busy, state.heard, begun.elapsed(), time_max) {
                Progress::GoesOn => continue,
                Progress::Empty => info!("drained"),
                Progress::Unheard => {
                    warn!(busy.publishers, busy.viewers, "the directory is not reached to move what is here; ending");
                }
                Progress::OutOfTime => {
                    warn!(busy.publishers, busy.viewers, "the time to drain is over; ending with those who are here");
                }
            }
            return true;
        }
    }
}

/// How far a drain is that began `elapsed` ago.
fn progress(busy: Busy, heard: bool, elapsed: Duration, time_max: Duration) -> Progress {
    let is_empty = busy.streams == 0 || (busy.publishers == 0 && busy.viewers == 0 && busy.edges == 0);
    match heard {
        _ if elapsed >= time_max => Progress::OutOfTime,
        _ if is_empty && (heard || elapsed >= FAREWELL_TIME_MAX) => Progress::Empty,
        false if elapsed >= UNHEARD_TIME_MAX => Progress::Unheard,
        _ => Progress::GoesOn,
    }
}

/// On SIGTERM `drain` begins, and at the second one `life` stops; on SIGINT, which somebody at a terminal sends, at once.
///
/// # Errors
/// When the signal handlers can't be installed.
#[cfg(unix)]
pub fn on_signals(drain: Drain, life: &Lifecycle) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = life.clone();
    life.spawn(async move {
        let signalled = async {
            tokio::select! {
                _ = interrupt.recv() => return "SIGINT",
                _ = terminate.recv() => {}
            }
            info!(signal = "SIGTERM", "asked to drain and end");
            drain.ask();
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        if let Some(signal) = stopped.stopping().run_until_cancelled(signalled).await {
            info!(signal, "asked to end at once");
            stopped.stop();
        }
    });
    Ok(())
}

/// `life` stops on Ctrl-C.
///
/// # Errors
/// When the handler can't be installed.
#[cfg(not(unix))]
pub fn on_signals(_: Drain, life: &Lifecycle) -> std::io::Result<()> {
    life.stop_on_signals()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN_TIME: Duration = Duration::from_secs(15);

    fn after(busy: Busy, heard: bool, elapsed_ms: u64) -> Progress {
        progress(busy, heard, Duration::from_millis(elapsed_ms), DRAIN_TIME)
    }

    #[test]
    fn drain_lasts_until_streams_and_viewers_have_left_or_its_time_is_over() {
        let busy = |publishers, viewers| Busy { streams: 1, publishers, viewers, ..Busy::default() };
        for left in [busy(1, 9), busy(1, 0), busy(0, 9)] {
            assert_eq!(after(left, true, 14_999), Progress::GoesOn);
            assert_eq!(after(left, true, 15_000), Progress::OutOfTime);
        }
        assert_eq!(after(busy(0, 0), true, 100), Progress::Empty);
    }

    #[test]
    fn relay_without_streams_ends_at_once() {
        assert_eq!(after(Busy::default(), true, 0), Progress::Empty);
        assert_eq!(after(Busy::default(), false, 499), Progress::GoesOn);
        assert_eq!(after(Busy::default(), false, 500), Progress::Empty);
        let only_waiting = Busy { viewers: 3, ..Busy::default() };
        assert_eq!(after(only_waiting, true, 0), Progress::Empty);
    }

    #[test]
    fn relay_that_does_not_reach_its_directory_waits_for_nobody() {
        let busy = Busy { streams: 1, publishers: 1, viewers: 5, edges: 0 };
        assert_eq!(after(busy, false, 2_999), Progress::GoesOn);
        assert_eq!(after(busy, false, 3_000), Progress::Unheard);
        assert_eq!(after(busy, true, 3_000), Progress::GoesOn);
    }

    #[test]
    fn order_is_taken_back_and_a_signal_is_not() {
        let drain = Drain::default();
        drain.was_heard();
        assert!(!drain.0.borrow().heard, "it drains not");
        assert!(drain.order(true) && !drain.order(true));
        drain.was_heard();
        assert!(drain.is_draining() && drain.judged().is_err() && drain.0.borrow().heard);
        assert!(drain.order(false));
        assert!(!drain.is_draining() && drain.judged().is_ok() && !drain.0.borrow().heard);
        drain.ask();
        assert!(!drain.order(false));
        assert!(drain.judged().unwrap_err().contains("asked to end"));
    }
}
