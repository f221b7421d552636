//! When passwords are hashed: two at a time, so that guesses leave the machine to the streams, and no more than wait for it.

use std::sync::Arc;

use protocol::Secret;
use tokio::sync::{Semaphore, TryAcquireError};

use crate::{
    failure::Failure,
    password::{HashError, PasswordHash},
};

/// Hashes at a time: each takes a core for tens of milliseconds, and 19 MiB.
const AT_A_TIME: usize = 2;

/// Hashes that wait or run: those at the end of the queue wait about a second.
const QUEUE_MAX: usize = 64;

/// Seconds after which whoever found the queue full may try again.
const RETRY_AFTER_S: u64 = 2;

/// The gate. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PasswordGate {
    queue: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for PasswordGate {
    fn default() -> Self {
        Self { queue: Arc::new(Semaphore::new(QUEUE_MAX)), running: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl PasswordGate {
    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: Secret, salt: [u8; 16]) -> Result<PasswordHash, Failure> {
        self.run(move || PasswordHash::new(&password, salt)).await
    }

    /// Whether this is the password.
    pub(crate) async fn matches(&self, hash: PasswordHash, password: Secret) -> Result<bool, Failure> {
        self.run(move || hash.matches(&password)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => Failure::too_many("too many passwords are being checked", RETRY_AFTER_S),
            TryAcquireError::Closed => Failure::internal(),
        })?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Failure::internal())?;
        // The permits go with the work: a caller that gives up does not make room for more of it.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, permit);
            work()
        });
        let failed = |_| {
            tracing::error!("a password could not be hashed");
            Failure::internal()
        };
        done.await.map_err(|_| Failure::internal())?.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_queue_says_when_to_come_back() {
        let gate = PasswordGate::default();
        let _taken = Arc::clone(&gate.queue).acquire_many_owned(QUEUE_MAX as u32).await.unwrap();
        let failure = gate.hash("correct horse".into(), [0; 16]).await.unwrap_err();
        assert_eq!(failure.code(), protocol::ErrorCode::TooManyRequests);
    }
}
