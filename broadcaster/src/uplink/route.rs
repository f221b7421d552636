//! Which relay is tried next.

use protocol::{
    RelayName,
    http::{Assignment, RelayAddress},
};

/// The relays of the newest assignment, each of which is tried once per round.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) assignment: Assignment,
    next: usize,
    tried: Vec<RelayName>,
}

impl Route {
    /// The way that an assignment names, from its first relay on.
    pub(super) const fn new(assignment: Assignment) -> Self {
        Self { assignment, next: 0, tried: Vec::new() }
    }

    /// The next relay of this round that is not among `taken`; `None` at the round's end.
    pub(super) fn next(&mut self, taken: impl Fn(&RelayName) -> bool) -> Option<RelayAddress> {
        let relays = &self.assignment.relays;
        let is_open = |relay: &&RelayAddress| !self.tried.contains(&relay.name) && !taken(&relay.name);
        let in_turn = relays.iter().cycle().skip(self.next).take(relays.len());
        let relay = in_turn.clone().find(is_open)?.clone();
        self.next = relays.iter().position(|other| other.name == relay.name).map_or(0, |position| position + 1);
        Some(relay)
    }

    /// A relay is not to be tried again in this round.
    pub(super) fn failed(&mut self, relay: &RelayName) {
        self.tried.push(relay.clone());
    }

    /// No relay is worth trying with this ticket.
    pub(super) fn give_up(&mut self) {
        self.tried = self.assignment.relays.iter().map(|relay| relay.name.clone()).collect();
    }

    /// Every relay may be tried again.
    pub(super) fn begin_round(&mut self) {
        self.tried.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        let relay = |n| {
            let url = format!("ws://localhost:{n}/ws").parse().unwrap();
            RelayAddress::new(format!("relay-{n}").parse().unwrap(), url)
        };
        let relays = (1..=3).map(relay).collect();
        Route::new(Assignment { relays, ticket: "ticket".into(), epoch: 1, record: None })
    }

    fn next(route: &mut Route, taken: &str) -> Option<String> {
        route.next(|name| name.as_str() == taken).map(|relay| relay.name.to_string())
    }

    #[test]
    fn each_relay_is_tried_once_in_a_round_beginning_behind_the_last() {
        let mut route = route();
        assert_eq!(next(&mut route, ""), Some("relay-1".to_owned()));
        assert_eq!(next(&mut route, "relay-1"), Some("relay-2".to_owned()));
        // The second one served for a while before it failed.
        route.begin_round();
        route.failed(&"relay-2".parse().unwrap());
        assert_eq!(next(&mut route, ""), Some("relay-3".to_owned()));
        route.failed(&"relay-3".parse().unwrap());
        assert_eq!(next(&mut route, ""), Some("relay-1".to_owned()));
        route.failed(&"relay-1".parse().unwrap());
        assert_eq!(next(&mut route, ""), None);
        route.begin_round();
        assert_eq!(next(&mut route, ""), Some("relay-2".to_owned()));
    }

    #[test]
    fn ticket_that_is_refused_ends_the_round() {
        let mut route = route();
        assert!(next(&mut route, "").is_some());
        route.give_up();
        assert_eq!(next(&mut route, ""), None);
    }

    #[test]
    fn assignment_without_relays_leads_nowhere() {
        let mut route = Route::new(Assignment { relays: Vec::new(), ..route().assignment });
        assert_eq!(next(&mut route, ""), None);
    }
}
