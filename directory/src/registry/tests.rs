//! Situations of streams and relays.

mod draining;
mod driver;
mod lists;
mod moving;
mod naming;
mod placing;
mod properties;
mod relays;
mod restoring;
mod streams;
