//! Whether chunks come in order and complete.

/// Watches the numbers of the chunks that one viewer is sent.
#[derive(Debug)]
pub struct Order {
    key_interval: u32,
    last: Option<u64>,
    /// Chunks that were left out.
    pub missing: u64,
    /// Chunks that came after a later one, or twice.
    pub disorder: u64,
}

impl Order {
    /// For segments of `key_interval` chunks.
    #[must_use]
    pub const fn new(key_interval: u32) -> Self {
        Self { key_interval, last: None, missing: 0, disorder: 0 }
    }

    /// Takes the next chunk's numbers.
    pub fn take(&mut self, segment: u32, chunk: u32) {
        let number = u64::from(segment) * u64::from(self.key_interval) + u64::from(chunk);
        match self.last {
            Some(last) if number <= last => self.disorder += 1,
            Some(last) => {
                self.missing += number - last - 1;
                self.last = Some(number);
            }
            None => self.last = Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[(u32, u32)]) -> (u64, u64) {
        let mut order = Order::new(3);
        for (segment, chunk) in numbers {
            order.take(*segment, *chunk);
        }
        (order.missing, order.disorder)
    }

    #[test]
    fn a_complete_stream_from_any_key_chunk_is_in_order() {
        assert_eq!(seen(&[(4, 0), (4, 1), (4, 2), (5, 0)]), (0, 0));
    }

    #[test]
    fn a_jump_to_the_next_key_chunk_misses_what_lies_between() {
        assert_eq!(seen(&[(4, 0), (5, 0), (7, 0)]), (2 + 5, 0));
    }

    #[test]
    fn a_chunk_that_comes_late_or_twice_is_disorder() {
        assert_eq!(seen(&[(0, 0), (0, 2), (0, 1), (0, 2), (1, 0)]), (1, 2));
    }
}
