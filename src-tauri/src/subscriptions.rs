//! What the window listens to. Each subscription has the number of the channel it speaks through and ends when the window says
//! so, or when its page goes away.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The window's open subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    open: Mutex<HashMap<u32, CancellationToken>>,
}

impl Subscriptions {
    /// Runs `work` until it is done, [`Self::end`] is called with `channel`, or the page goes away.
    pub(crate) async fn run(&self, channel: u32, work: impl Future<Output = ()>) {
        let ended = CancellationToken::new();
        if let Some(before) = self.lock().insert(channel, ended.clone()) {
            before.cancel();
        }
        ended.run_until_cancelled(work).await;
        if !ended.is_cancelled() {
            self.lock().remove(&channel);
        }
    }

    /// Ends one.
    pub(crate) fn end(&self, channel: u32) {
        if let Some(ended) = self.lock().remove(&channel) {
            ended.cancel();
        }
    }

    /// Ends all: the page that opened them is gone.
    pub(crate) fn end_all(&self) {
        self.lock().drain().for_each(|(_, ended)| ended.cancel());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use super::*;

    #[tokio::test]
    async fn work_that_is_done_leaves_nothing_behind() {
        let subscriptions = Subscriptions::default();
        subscriptions.run(1, async {}).await;
        assert!(subscriptions.lock().is_empty());
    }

    #[tokio::test]
    async fn page_that_goes_away_ends_all_of_its_work() {
        let subscriptions = Arc::new(Subscriptions::default());
        let work = |channel| {
            let subscriptions = Arc::clone(&subscriptions);
            tokio::spawn(async move { subscriptions.run(channel, pending()).await })
        };
        let (one, two) = (work(1), work(2));
        while subscriptions.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
        subscriptions.end(1);
        one.await.unwrap();
        subscriptions.end_all();
        two.await.unwrap();
        assert!(subscriptions.lock().is_empty());
    }
}
