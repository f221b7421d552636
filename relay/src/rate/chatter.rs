//! How many small messages one connection may send: control messages and signs of life.

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use protocol::ErrorCode;

use super::some;
use crate::connection::End;

/// A viewer chooses another rendition now and then, renews its ticket every few minutes and answers a ping every two seconds; a
/// broadcaster says as little. The burst is somebody who plays with the menu.
const MESSAGES: Quota = Quota::per_second(some(10)).allow_burst(some(50));

/// Counts one connection's small messages.
#[derive(Debug)]
pub struct Chatter(DefaultDirectRateLimiter);

impl Default for Chatter {
    fn default() -> Self {
        Self(RateLimiter::direct(MESSAGES))
    }
}

impl Chatter {
    /// Another one has come.
    ///
    /// # Errors
    /// When they are too many.
    pub fn heard(&self) -> Result<(), End> {
        let message = "too many messages in a short time";
        self.0.check().map_err(|_| End::error(ErrorCode::TooManyRequests, message))
    }
}
