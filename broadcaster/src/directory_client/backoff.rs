//! How long to wait before a directory is asked again.

use std::time::Duration;

/// First wait; doubles up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(250);

/// Longest wait: all is to be as it was within 3 s of a directory's return.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A wait that grows, up to a bound, and is never the same for two of those who wait: they don't ask a directory that has just come
/// back all at once.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// Waits that begin with the shortest.
    pub(crate) const fn new() -> Self {
        Self(WAIT_MIN)
    }

    /// How long to wait now.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.0.mul_f64(0.5 + 0.5 * rand::random::<f64>());
        self.0 = (self.0 * 2).min(WAIT_MAX);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_second() {
        let mut backoff = Backoff::new();
        for most_ms in [250, 500, 1_000, 1_000, 1_000] {
            let wait = backoff.next();
            assert!((most_ms / 2..=most_ms).contains(&wait.as_millis()), "{wait:?}");
        }
    }
}
