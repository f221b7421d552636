//! Both ends of real sessions on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod control;
mod lossy;
mod media;
mod pair;
