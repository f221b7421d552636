//! What the way between clients and servers is like.

use std::time::Duration;

/// Both directions of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// From clients to servers.
    pub up: Way,
    /// From servers to clients.
    pub down: Way,
    /// Up to this much later, each connection and direction by an amount of its own that changes every now and then: what is sent
    /// over one connection overtakes what was sent over another.
    pub reorder: Duration,
    /// New connections are reset.
    pub refusing: bool,
    cuts: u64,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    /// How long each byte takes, those under way included.
    pub delay: Duration,
    /// Most bytes a second of each connection; none is no bound.
    pub bytes_per_second: Option<u64>,
    /// Nothing arrives any more, and nobody is told; what was under way arrives when it is over.
    pub black_hole: bool,
}

impl Weather {
    /// Resets every connection that is open.
    pub const fn cut(&mut self) {
        self.cuts += 1;
    }

    pub(super) const fn has_cut_since(&self, then: &Self) -> bool {
        self.cuts != then.cuts
    }
}
