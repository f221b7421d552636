//! The directory from outside: a bound server, HTTP, and nothing else.
#![expect(clippy::unwrap_used, reason = "what helps a test may fail like one")]

mod broadcaster;
mod busy;
mod door;
mod draining;
mod driver;
mod edges;
mod events;
mod joining;
mod limits;
mod openapi;
mod operators;
mod orders;
mod pages;
mod refusals;
mod relay;
mod relays;
mod restoring;
mod sharing;
mod streams;
mod watching;
