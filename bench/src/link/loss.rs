//! Which packets are lost. Pure.

/// Loses packets at random, each on its own.
#[derive(Debug)]
pub(super) struct Loss {
    state: u64,
    /// A packet is lost when what it draws is below this.
    below: u64,
}

impl Loss {
    pub(super) fn new(percent: f64, seed: u64) -> Self {
        let below = (percent / 100.0 * u64::MAX as f64) as u64;
        Self { state: seed, below }
    }

    /// Whether the next packet is lost.
    pub(super) const fn next_is_lost(&mut self) -> bool {
        // SplitMix64: even over all 64 bits, and the same everywhere.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.state;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(percent: f64, seed: u64, of: usize) -> Vec<bool> {
        let mut loss = Loss::new(percent, seed);
        (0..of).map(|_| loss.next_is_lost()).collect()
    }

    #[test]
    fn as_many_are_lost_as_were_asked_for() {
        for (percent, from, to) in [(0.0, 0, 0), (2.0, 1_900, 2_100), (50.0, 49_000, 51_000), (100.0, 100_000, 100_000)]
        {
            let count = lost(percent, 7, 100_000).into_iter().filter(|lost| *lost).count();
            assert!((from..=to).contains(&count), "{percent} % of 100,000 are {count}");
        }
    }

    #[test]
    fn same_seed_loses_the_same_packets_and_another_others() {
        assert_eq!(lost(10.0, 1, 1000), lost(10.0, 1, 1000));
        assert_ne!(lost(10.0, 1, 1000), lost(10.0, 2, 1000));
    }
}
