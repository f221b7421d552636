//! How often passwords may be guessed. Pure: takes `now_us` (microseconds since the Unix epoch). A right password costs nothing.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use protocol::StreamId;
use service::Network;

/// The time that wrong guesses are counted in.
const WINDOW: Duration = Duration::from_secs(60);

/// Wrong guesses from one network at one stream: a person who mistypes, not a list of words.
pub(crate) const GUESSES_MAX: usize = 5;

/// Wrong guesses at one stream from everywhere: many networks together guess no faster than 60 a minute.
pub(crate) const STREAM_GUESSES_MAX: usize = 60;

/// Guesses that are remembered at a time, of all streams. When so many are wrong within a minute, all have to wait.
const REMEMBERED_MAX: usize = 20_000;

/// Too many wrong guesses: when the next may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

/// The guesses of the last minute.
#[derive(Debug, Default)]
pub(crate) struct PasswordGuesses {
    by_network: HashMap<(StreamId, Network), VecDeque<u64>>,
    by_stream: HashMap<StreamId, VecDeque<u64>>,
    count: usize,
    tidied_at_us: u64,
}

impl PasswordGuesses {
    /// A guess is about to be made. It counts as wrong until [`Self::was_right`], also while it is looked at: guesses made
    /// together don't slip through together.
    pub(crate) fn begin(&mut self, now_us: u64, stream: StreamId, network: Network) -> Result<(), Wait> {
        self.tidy(now_us);
        let own = self.by_network.get(&(stream, network)).and_then(|times| wait(times, GUESSES_MAX, now_us));
        let all = self.by_stream.get(&stream).and_then(|times| wait(times, STREAM_GUESSES_MAX, now_us));
        if let Some(longest) = own.max(all) {
            return Err(Wait(longest.max(Duration::from_secs(1))));
        }
        if self.count >= REMEMBERED_MAX {
            return Err(Wait(WINDOW));
        }
        self.by_network.entry((stream, network)).or_default().push_back(now_us);
        self.by_stream.entry(stream).or_default().push_back(now_us);
        self.count += 1;
        Ok(())
    }

    /// The guess that was begun at `begun_us` was the password, or was never looked at.
    pub(crate) fn was_right(&mut self, begun_us: u64, stream: StreamId, network: Network) {
        let own = self.by_network.get_mut(&(stream, network));
        if own.is_some_and(|times| take(times, begun_us)) {
            self.count -= 1;
        }
        if let Some(times) = self.by_stream.get_mut(&stream) {
            take(times, begun_us);
        }
    }

    /// Forgets what is old, once a second: those who only wait cost little.
    fn tidy(&mut self, now_us: u64) {
        if now_us.abs_diff(self.tidied_at_us) >= Duration::from_secs(1).as_micros() as u64 {
            self.tidied_at_us = now_us;
            self.forget_old(now_us);
        }
    }

    fn forget_old(&mut self, now_us: u64) {
        let fresh = |time_us: &u64| now_us.saturating_sub(*time_us) < WINDOW.as_micros() as u64;
        let keep = |times: &mut VecDeque<u64>| {
            times.retain(fresh);
            !times.is_empty()
        };
        self.by_network.retain(|_, times| keep(times));
        self.by_stream.retain(|_, times| keep(times));
        self.count = self.by_network.values().map(VecDeque::len).sum();
    }
}

fn take(times: &mut VecDeque<u64>, time_us: u64) -> bool {
    times.iter().position(|time| *time == time_us).and_then(|at| times.remove(at)).is_some()
}

/// How long to wait until fewer than `max` guesses are as young as a minute.
fn wait(times: &VecDeque<u64>, max: usize, now_us: u64) -> Option<Duration> {
    let oldest_that_counts = *times.get(times.len().checked_sub(max)?)?;
    let left = WINDOW.saturating_sub(Duration::from_micros(now_us.saturating_sub(oldest_that_counts)));
    Some(left).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn stream(number: u64) -> StreamId {
        StreamId::of(&"demo".parse().unwrap(), number)
    }

    fn network(number: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn five_wrong_ones_a_minute_and_the_next_when_the_first_is_a_minute_old() {
        let mut guesses = PasswordGuesses::default();
        for second in 0..5 {
            guesses.begin(second * S, stream(1), network(1)).unwrap();
        }
        assert_eq!(guesses.begin(10 * S, stream(1), network(1)), Err(Wait(Duration::from_secs(50))));
        guesses.begin(10 * S, stream(1), network(2)).unwrap();
        guesses.begin(10 * S, stream(2), network(1)).unwrap();
        assert!(guesses.begin(60 * S - 1, stream(1), network(1)).is_err());
        guesses.begin(60 * S, stream(1), network(1)).unwrap();
    }

    #[test]
    fn right_ones_cost_nothing() {
        let mut guesses = PasswordGuesses::default();
        for _ in 0..1000 {
            guesses.begin(S, stream(1), network(1)).unwrap();
            guesses.was_right(S, stream(1), network(1));
        }
        guesses.forget_old(2 * S);
        assert_eq!((guesses.count, guesses.by_network.len(), guesses.by_stream.len()), (0, 0, 0));
    }

    #[test]
    fn many_networks_together_guess_60_times_a_minute() {
        let mut guesses = PasswordGuesses::default();
        let let_in = (0..1000).filter(|number| guesses.begin(S, stream(1), network(*number)).is_ok()).count();
        assert_eq!(let_in, STREAM_GUESSES_MAX);
    }

    #[test]
    fn memory_is_bounded() {
        let mut guesses = PasswordGuesses::default();
        let let_in = (0..3000).flat_map(|s| (0..10).map(move |n| (s, n)));
        let let_in = let_in.filter(|(s, n)| guesses.begin(S, stream(*s), network(*n)).is_ok()).count();
        assert_eq!(let_in, REMEMBERED_MAX);
        guesses.begin(62 * S, stream(1), network(1)).unwrap();
        assert_eq!((guesses.count, guesses.by_network.len(), guesses.by_stream.len()), (1, 1, 1));
    }
}
