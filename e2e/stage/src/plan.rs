//! Which servers a system begins with, and how they are set up.

/// A directory and relays.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The relays.
    pub relays: Vec<RelayPlan>,
    /// Two directories behind one address, which share a store.
    pub shared: bool,
    /// More flags for the directory.
    pub directory_flags: Vec<String>,
    /// More variables for all servers.
    pub environment: Vec<(String, String)>,
    /// What servers log (`RUST_LOG`).
    pub log: &'static str,
}

/// One relay.
#[derive(Debug, Clone)]
pub struct RelayPlan {
    /// Its name.
    pub name: String,
    /// Whether weather may come over the ways to and from it.
    pub cable: bool,
    /// Whether a relay with a cable offers WebTransport, which goes past the cable: that carries TCP alone.
    pub webtransport_beside: bool,
    /// More variables.
    pub environment: Vec<(String, String)>,
}

impl Plan {
    /// So many relays, `relay-1` and so on, with `cable` or without, whose people all come from one address: no limit that goes
    /// by address is in their way.
    #[must_use]
    pub fn of_relays(count: usize, cable: bool) -> Self {
        let relay =
            |n: usize| RelayPlan { name: format!("relay-{n}"), cable, webtransport_beside: false, environment: vec![] };
        let limits = [
            ("CONNECTIONS_PER_ADDRESS", "0"),
            ("CREATES_PER_MINUTE", "10000"),
            ("WATCHES_PER_MINUTE", "1000000"),
            ("CALLS_PER_MINUTE", "1000000"),
            ("REGISTRATIONS_PER_MINUTE", "10000"),
            ("EVENTS_PER_ADDRESS", "1000"),
            ("RELAY_VIEWERS_MAX", "10000"),
        ];
        Self {
            relays: (1..=count).map(relay).collect(),
            shared: false,
            directory_flags: vec![],
            environment: limits.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            log: "info",
        }
    }
}
