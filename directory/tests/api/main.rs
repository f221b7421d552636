//! The directory from outside: a bound server, HTTP, and nothing else.

mod driver;
mod events;
mod openapi;
mod operators;
mod pages;
mod refusals;
mod relays;
mod streams;
