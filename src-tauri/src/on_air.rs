//! The broadcast of this app, at most one at a time. It belongs to the app, not to the page: a window that loads anew finds it
//! again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use broadcaster::{Broadcast, BroadcastOptions, BroadcastState, BroadcastStatus};
use protocol::ViewerId;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use ts_rs::TS;

use crate::error::{CommandError, code};

/// A broadcast as the window first sees it; the changes come through its own channel.
#[derive(Debug, Clone, Serialize, TS)]
#[ts(export)]
pub(crate) struct RunningBroadcast {
    /// What the stream is called.
    pub(crate) title: String,
    /// How it is doing.
    pub(crate) status: BroadcastStatus,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Off,
    Starting(CancellationToken),
    On {
        title: String,
        broadcast: Broadcast,
    },
}

impl Phase {
    fn is_on(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Starting(_) => true,
            Self::On { broadcast, .. } => broadcast.status().borrow().state != BroadcastState::Ended,
        }
    }
}

/// What is on air.
#[derive(Debug, Default)]
pub(crate) struct OnAir {
    phase: Mutex<Phase>,
    /// Held while a broadcast is being ended, so that whoever ends it too waits for the same end.
    ending: tokio::sync::Mutex<()>,
}

impl OnAir {
    /// Goes live.
    pub(crate) async fn start(&self, options: BroadcastOptions) -> Result<RunningBroadcast, CommandError> {
        let cancelled = CancellationToken::new();
        let before = {
            let mut phase = self.lock();
            if phase.is_on() {
                return Err(CommandError::new(code::ALREADY_LIVE, "you are live already; end that stream first"));
            }
            std::mem::replace(&mut *phase, Phase::Starting(cancelled.clone()))
        };
        drop(before);
        let title = options.title.clone();
        let started = cancelled.run_until_cancelled(Broadcast::start(options)).await;
        let late = {
            let mut phase = self.lock();
            match started {
                Some(Ok(broadcast)) if !cancelled.is_cancelled() => {
                    let status = broadcast.status().borrow().clone();
                    *phase = Phase::On { title: title.clone(), broadcast };
                    return Ok(RunningBroadcast { title, status });
                }
                Some(Err(error)) => {
                    *phase = Phase::Off;
                    return Err(error.into());
                }
                late => late.and_then(Result::ok),
            }
        };
        if let Some(broadcast) = late {
            broadcast.stop().await;
        }
        Err(CommandError::new(code::CANCELLED, "stopped before the stream had begun"))
    }

    /// Ends what is on air, also what is about to be.
    pub(crate) async fn stop(&self) {
        let _ending = self.ending.lock().await;
        let phase = std::mem::take(&mut *self.lock());
        match phase {
            Phase::Off => {}
            Phase::Starting(cancelled) => cancelled.cancel(),
            Phase::On { broadcast, .. } => broadcast.stop().await,
        }
    }

    /// Removes a viewer of what is on air, for good.
    pub(crate) async fn remove_viewer(&self, viewer: ViewerId) -> Result<(), CommandError> {
        let removing = match &*self.lock() {
            Phase::On { broadcast, .. } => broadcast.remove_viewer(viewer),
            _ => return Err(CommandError::new(code::NOT_LIVE, "you are not live, so there is nobody to remove")),
        };
        Ok(removing.await?)
    }

    /// Whether somebody may be watching.
    pub(crate) fn is_on(&self) -> bool {
        self.lock().is_on()
    }

    /// The broadcast that runs.
    pub(crate) fn current(&self) -> Option<RunningBroadcast> {
        match &*self.lock() {
            phase @ Phase::On { title, broadcast } if phase.is_on() => {
                Some(RunningBroadcast { title: title.clone(), status: broadcast.status().borrow().clone() })
            }
            _ => None,
        }
    }

    /// How the newest broadcast is doing; its last status is that it has ended.
    pub(crate) fn status(&self) -> Option<watch::Receiver<BroadcastStatus>> {
        match &*self.lock() {
            Phase::On { broadcast, .. } => Some(broadcast.status()),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_removed_while_nothing_is_on_air() {
        let refused = OnAir::default().remove_viewer(ViewerId(7)).await.unwrap_err();
        assert_eq!(refused.code, code::NOT_LIVE);
    }
}
