//! How often one address, or the holder of one ticket or key, may ask for something. They fall into a fixed number of buckets by a hash that nobody outside can
//! foresee: the memory is bounded whoever asks, and holds no address. Two that share a bucket share an allowance.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};
use service::Network;

/// Buckets: so many that it takes tens of thousands of addresses at once until people notice each other.
const BUCKETS: u64 = 1 << 16;

type Bucket = u16;

/// An allowance for each of them.
pub(crate) struct Rate {
    buckets: RandomState,
    limiter: RateLimiter<Bucket, HashMapStateStore<Bucket>, DefaultClock>,
    clock: DefaultClock,
}

/// Too often: when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften(pub(crate) Duration);

impl Rate {
    /// So many in a minute, all of them at once if need be.
    pub(crate) fn per_minute(count: NonZeroU32) -> Self {
        let limiter = RateLimiter::hashmap(Quota::per_minute(count));
        Self { buckets: RandomState::new(), limiter, clock: DefaultClock::default() }
    }

    /// Uses one up, of whoever `asks`: a network, or the holder of something.
    pub(crate) fn take(&self, asks: impl Hash) -> Result<(), TooOften> {
        let taken = self.limiter.check_key(&bucket(&self.buckets, asks));
        taken.map_err(|refused| TooOften(refused.wait_time_from(self.clock.now())))
    }

    /// Forgets those whose allowance is whole again. To be called now and then.
    pub(crate) fn forget_old(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// Counts what each address holds at the same time.
#[derive(Clone)]
pub(crate) struct Held {
    buckets: Arc<RandomState>,
    counts: Arc<Mutex<HashMap<Bucket, u32>>>,
    max: u32,
}

/// Something that is held, until this is dropped.
pub(crate) struct Holding {
    held: Held,
    bucket: Bucket,
}

impl Held {
    /// At most so many by each address.
    pub(crate) fn at_most(max: u32) -> Self {
        Self { buckets: Arc::default(), counts: Arc::default(), max }
    }

    /// One more; none when the address has as many as it may.
    pub(crate) fn take(&self, network: Network) -> Option<Holding> {
        let bucket = bucket(&self.buckets, network);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(bucket).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Holding { held: self.clone(), bucket })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut counts = self.held.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.bucket) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.bucket);
            }
        }
    }
}

fn bucket(buckets: &RandomState, asks: impl Hash) -> Bucket {
    // What is left of a number below 2^16 is all of it.
    (buckets.hash_one(asks) % BUCKETS) as Bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn allowance_is_each_addresss_own_and_comes_back() {
        let rate = Rate::per_minute(NonZeroU32::new(3).unwrap());
        for _ in 0..3 {
            rate.take(network(1)).unwrap();
        }
        let TooOften(wait) = rate.take(network(1)).unwrap_err();
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        rate.take(network(2)).unwrap();
    }

    #[test]
    fn memory_is_bounded_whoever_asks() {
        let rate = Rate::per_minute(NonZeroU32::new(1).unwrap());
        for number in 0..300_000 {
            let _ = rate.take(network(number));
        }
        assert!(rate.limiter.len() <= BUCKETS as usize, "{}", rate.limiter.len());
        let fast = Rate::per_minute(NonZeroU32::new(u32::MAX).unwrap());
        fast.take(network(1)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        fast.forget_old();
        assert_eq!(fast.limiter.len(), 0);
    }

    #[test]
    fn what_is_held_is_given_back() {
        let held = Held::at_most(2);
        let first = held.take(network(1)).unwrap();
        let _second = held.take(network(1)).unwrap();
        assert!(held.take(network(1)).is_none());
        drop(first);
        assert!(held.take(network(1)).is_some());
        drop(_second);
        assert!(held.counts.lock().unwrap().is_empty());
    }
}
