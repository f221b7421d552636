//! How this relay stands with its directory: whether it is reached, whether an operator has shut the relay out, and what the
//! directory finds wrong with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

mod complaint;
mod reach;

pub use complaint::{Complaint, Word};
pub use reach::Reach;

/// The standing, as the directory link finds it out.
#[derive(Debug)]
pub struct Standing {
    found: Mutex<Found>,
    stopping: CancellationToken,
}

#[derive(Debug)]
struct Found {
    reach: Reach,
    problem: Option<String>,
    revoked: bool,
    /// The time in which connections are served; it ends with the relay, and when an operator shuts the relay out.
    era: CancellationToken,
}

impl Standing {
    /// That of a relay that starts at `now_s`, has reached no directory yet, and lives until `stopping`.
    #[must_use]
    pub fn new(now_s: u64, stopping: CancellationToken) -> Self {
        let era = stopping.child_token();
        Self { found: Mutex::new(Found { reach: Reach::new(now_s), problem: None, revoked: false, era }), stopping }
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

    /// Takes note of what the directory finds wrong.
    pub fn set_problem(&self, problem: Option<String>) {
        self.found().problem = problem;
    }

    /// An operator has shut this relay out, or let it in again; whether that is news.
    pub fn set_revoked(&self, revoked: bool) -> bool {
        let mut found = self.found();
        if std::mem::replace(&mut found.revoked, revoked) == revoked {
            return false;
        }
        if revoked {
            found.era.cancel();
        } else {
            found.era = self.stopping.child_token();
        }
        true
    }

    /// Whether an operator has shut this relay out.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.found().revoked
    }

    /// Cancelled when those who come now have to go: the relay stops, or an operator has shut it out.
    #[must_use]
    pub fn era(&self) -> CancellationToken {
        self.found().era.clone()
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
