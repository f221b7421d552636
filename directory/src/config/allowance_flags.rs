//! How much one address may ask for. The defaults are what many people behind one router don't reach together.

use std::num::NonZeroU32;

use clap::Args;

/// Limits by address: an IPv4 address, or an IPv6 network of /64.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits for one address (an IPv6 network of /64 counts as one)")]
pub struct AllowanceFlags {
    /// Streams made in a minute
    #[arg(long, env = "CREATES_PER_MINUTE", default_value_t = nonzero(20), value_name = "COUNT")]
    pub creates_per_minute: NonZeroU32,

    /// Requests to watch in a minute, the renewals included that each viewer makes every five minutes
    #[arg(long, env = "WATCHES_PER_MINUTE", default_value_t = nonzero(300), value_name = "COUNT")]
    pub watches_per_minute: NonZeroU32,

    /// Attempts of relays to join in a minute, those included that are refused
    #[arg(long, env = "REGISTRATIONS_PER_MINUTE", default_value_t = nonzero(120), value_name = "COUNT")]
    pub registrations_per_minute: NonZeroU32,

    /// Calls of the API of any kind in a minute; a relay alone makes 60
    #[arg(long, env = "CALLS_PER_MINUTE", default_value_t = nonzero(6000), value_name = "COUNT")]
    pub calls_per_minute: NonZeroU32,

    /// Open streams of events: a page with the list has one, and so has a broadcaster
    #[arg(long, env = "EVENTS_PER_ADDRESS", default_value_t = 64, value_name = "COUNT")]
    pub events_per_address: u32,
}

const fn nonzero(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

impl Default for AllowanceFlags {
    fn default() -> Self {
        Self {
            creates_per_minute: nonzero(20),
            watches_per_minute: nonzero(300),
            registrations_per_minute: nonzero(120),
            calls_per_minute: nonzero(6000),
            events_per_address: 64,
        }
    }
}
