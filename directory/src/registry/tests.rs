//! Situations of streams and relays.

mod driver;
mod lists;
mod placing;
mod properties;
mod relays;
mod streams;
