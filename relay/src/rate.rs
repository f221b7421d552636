//! How much one peer may ask of this relay. What goes over it costs the peer its connection or makes it wait, and nobody else
//! anything.

use std::num::NonZeroU32;

mod attempts;
mod chatter;
mod pace;

pub use attempts::{Attempts, Whose};
pub use chatter::Chatter;
pub use pace::Pace;

/// A constant that is above zero.
const fn some(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}
