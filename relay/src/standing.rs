//! How this relay stands with its directory: whether it is reached, whether an operator has shut the relay out, and what the
//! directory finds wrong with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

mod reach;

pub use reach::Reach;

/// The standing, as the directory link finds it out.
#[derive(Debug)]
pub struct Standing {
    found: Mutex<Found>,
    revoked: watch::Sender<bool>,
}

#[derive(Debug)]
struct Found {
    reach: Reach,
    problem: Option<String>,
}

impl Standing {
    /// That of a relay that starts at `now_s` and has reached no directory yet.
    #[must_use]
    pub fn new(now_s: u64) -> Self {
        let found = Found { reach: Reach::new(now_s), problem: None };
        Self { found: Mutex::new(found), revoked: watch::Sender::new(false) }
    }

    /// The directory has answered at `now_s`.
    pub fn answered(&self, now_s: u64) {
        self.found().reach.answered(now_s);
    }

    /// The directory was not reached at `now_s`.
    pub fn failed(&self, now_s: u64) {
        self.found().reach.failed(now_s);
    }

    /// Until when a ticket counts that expires at `expires_at_s`.
    #[must_use]
    pub fn counts_until_s(&self, expires_at_s: u64) -> u64 {
        self.found().reach.counts_until_s(expires_at_s)
    }

    /// Takes note of what the directory finds wrong; whether that is news.
    pub fn set_problem(&self, problem: Option<String>) -> bool {
        let mut found = self.found();
        let news = found.problem != problem;
        found.problem = problem;
        news
    }

    /// An operator has shut this relay out, or let it in again; whether that is news.
    pub fn set_revoked(&self, revoked: bool) -> bool {
        self.revoked.send_replace(revoked) != revoked
    }

    /// Whether an operator has shut this relay out.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        *self.revoked.borrow()
    }

    /// Waits until an operator has shut this relay out.
    pub async fn revoked(&self) {
        // The sender lives as long as `self`.
        let _ = self.revoked.subscribe().wait_for(|revoked| *revoked).await;
    }

    /// Whether the directory gives this relay work, as far as it has said; if not, why, in words for an operator.
    ///
    /// # Errors
    /// With the words.
    pub fn judged(&self) -> Result<(), String> {
        if self.is_revoked() {
            return Err("an operator of the directory has revoked this relay".to_owned());
        }
        match &self.found().problem {
            Some(problem) => Err(format!("the directory gives this relay no work: {problem}")),
            None => Ok(()),
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // Every change stands by itself, so a panic elsewhere leaves it usable.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
