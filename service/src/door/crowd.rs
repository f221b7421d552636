//! How many connections each network has. The map holds networks with connections alone, so that it is as bounded as they are.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;

use crate::Network;

/// A network has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there are too many connections from this address")]
pub struct Crowded;

/// Counts connections by network.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    most: u32,
    counts: Counts,
}

type Counts = Arc<Mutex<HashMap<Network, u32>>>;

impl Crowd {
    /// At most `most` connections of each network; 0 for any number.
    pub(super) fn new(most: u32) -> Self {
        Self { most, counts: Counts::default() }
    }

    pub(super) fn admit(&self, network: Network) -> Result<Place, Crowded> {
        if self.most == 0 {
            return Ok(Place::uncounted());
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= self.most {
            return Err(Crowded);
        }
        *count += 1;
        Ok(Place(Some((network, Arc::clone(&self.counts)))))
    }
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Place(Option<(Network, Counts)>);

impl Place {
    pub(super) const fn uncounted() -> Self {
        Self(None)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((network, counts)) = self.0.take() else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(network) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn network_gets_its_places_back_and_is_forgotten_with_the_last() {
        let crowd = Crowd::new(2);
        let first = crowd.admit(network("203.0.113.5")).unwrap();
        let second = crowd.admit(network("203.0.113.5")).unwrap();
        assert_eq!(crowd.admit(network("203.0.113.5")).unwrap_err(), Crowded);
        let other = crowd.admit(network("203.0.113.6")).unwrap();
        drop(first);
        let third = crowd.admit(network("203.0.113.5")).unwrap();
        drop((second, third, other));
        assert!(crowd.counts.lock().unwrap().is_empty());
    }

    #[test]
    fn ipv6_network_counts_as_one() {
        let crowd = Crowd::new(1);
        let _place = crowd.admit(network("2001:db8::1")).unwrap();
        assert!(crowd.admit(network("2001:db8::2")).is_err());
    }

    #[test]
    fn zero_is_any_number_and_nothing_is_counted() {
        let crowd = Crowd::new(0);
        let places: Vec<_> = (0..1000).map(|_| crowd.admit(network("203.0.113.5")).unwrap()).collect();
        assert!(crowd.counts.lock().unwrap().is_empty());
        drop(places);
    }
}
