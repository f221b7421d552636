//! Draws of chance for spreading work. Seeded from outside, so that the same seed always draws the same; nothing secret depends on it.

/// A SplitMix64 generator (Steele, Lea, Flood 2014): eight bytes of state, and enough for picking relays.
#[derive(Debug, Default)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Two different numbers under `count`; the same twice when there is only one.
    pub(super) fn two_of(&mut self, count: usize) -> (usize, usize) {
        let one = self.under(count);
        let other = self.under(count.saturating_sub(1));
        (one, if other >= one && count > 1 { other + 1 } else { other })
    }

    /// A number under `count`, and 0 under 0.
    fn under(&mut self, count: usize) -> usize {
        // The bias of the remainder is far below what anybody could see: there are a thousand relays at most.
        usize::try_from(self.next() % (count.max(1) as u64)).unwrap_or(0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_ones_are_drawn_and_each_as_often_as_the_others() {
        let mut draw = Draw::new(7);
        let mut drawn = [0; 5];
        for _ in 0..5000 {
            let (one, other) = draw.two_of(5);
            assert_ne!(one, other);
            drawn[one] += 1;
            drawn[other] += 1;
        }
        assert!(drawn.iter().all(|times| (1800..2200).contains(times)), "{drawn:?}");
        assert_eq!([draw.two_of(1), draw.two_of(0)], [(0, 0); 2]);
    }

    #[test]
    fn same_seed_draws_the_same() {
        let drawn = |seed| {
            let mut draw = Draw::new(seed);
            [(); 8].map(|()| draw.two_of(100))
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
