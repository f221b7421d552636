//! Situations of streams and relays.

mod driver;
mod lists;
mod moving;
mod placing;
mod properties;
mod relays;
mod streams;
