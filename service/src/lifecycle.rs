//! How a server lives: tasks are spawned here and nowhere else, a stop is asked for once, tasks get a grace to end by
//! themselves, and what is left is cut.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, info, warn};

/// How long a server may take to end after its stop was asked for, unless a flag says otherwise: below the 10 s after which
/// `docker stop` kills.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(8);

/// One server's life. Cheap to clone; all clones are the same life.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    tasks: TaskTracker,
    stopping: CancellationToken,
    cutting: CancellationToken,
}

impl Lifecycle {
    /// A life that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` in this life, within the caller's span: the end of the life waits for it, and cuts it when the grace is over.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cutting = self.cutting.clone();
        self.tasks.spawn(
            async move {
                tokio::select! {
                    () = task => {}
                    () = cutting.cancelled() => {}
                }
            }
            .in_current_span(),
        );
    }

    /// Cancelled once a stop was asked for: take no new work, finish what is begun.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Asks for the stop.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Asks for the stop when the process gets SIGINT or SIGTERM (Ctrl-C elsewhere).
    ///
    /// # Errors
    /// When the signal handlers can't be installed.
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        #[cfg(unix)]
        let signalled = {
            use tokio::signal::unix::{SignalKind, signal};
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            async move {
                tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                }
            }
        };
        #[cfg(not(unix))]
        let signalled = async {
            let _ = tokio::signal::ctrl_c().await;
            "Ctrl-C"
        };
        let life = self.clone();
        self.spawn(async move {
            tokio::select! {
                signal = signalled => {
                    info!(signal, "asked to stop");
                    life.stop();
                }
                () = life.stopping.cancelled() => {}
            }
        });
        Ok(())
    }

    /// Waits for the stop and then for every task, but no longer than `grace`; what runs after that is cut.
    pub async fn ended(&self, grace: Duration) {
        self.stopping.cancelled().await;
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "cutting what did not end within the grace");
            self.cutting.cancel();
            self.tasks.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn end_waits_for_a_task_that_finishes_within_the_grace() {
        let life = Lifecycle::new();
        let (done, finished) = tokio::sync::oneshot::channel();
        let stopping = life.stopping();
        life.spawn(async move {
            stopping.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = done.send(());
        });
        life.stop();
        life.ended(Duration::from_secs(2)).await;
        assert_eq!(finished.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn task_that_never_ends_is_cut_after_the_grace() {
        let life = Lifecycle::new();
        life.spawn(std::future::pending());
        life.stop();
        let begun = tokio::time::Instant::now();
        life.ended(Duration::from_secs(3)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }
}
