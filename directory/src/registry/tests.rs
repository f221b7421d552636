//! Situations of streams and relays.

mod busy;
mod draining;
pub(super) mod driver;
mod edges;
mod hot;
mod lists;
mod moving;
mod naming;
mod placing;
mod properties;
mod relays;
mod restoring;
mod sharing;
mod streams;
