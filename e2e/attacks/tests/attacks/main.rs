//! Attacks on the real binaries. Each test is one row of the table in SECURITY.md, and passes when the attack fails.
#![expect(clippy::unwrap_used, reason = "a test fails like this")]

mod flood;
mod join;
mod pages;
mod publish;
mod pull;
mod revoked;
mod sealed;
mod sessions;
mod tokens;
mod watch;
