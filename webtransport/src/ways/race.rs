//! Which of two ways to a relay is taken: WebTransport gets a head start, and the first that opens wins. Pure: what happens goes in,
//! what to do comes out. The page decides the same (`ui/src/transport/race.ts`).

use std::time::Duration;

use crate::transport::{Transport, TransportChoice};

/// How long WebTransport may take before a WebSocket is tried beside it: its handshake over 80 ms there and back, and some.
pub(super) const HEAD_START: Duration = Duration::from_millis(300);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RaceEvent {
    /// It begins.
    Begun,
    /// [`HEAD_START`] is over.
    HeadStartOver,
    /// A way is open.
    Opened(Transport),
    /// A way can't be opened.
    Failed(Transport),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RaceAction {
    /// Open a way.
    Open(Transport),
    /// The race is over; what else is opening is closed.
    Take(Transport),
    /// Over, too: there is no way.
    GiveUp,
    /// WebTransport could not be opened where a WebSocket could.
    Blame {
        /// Nobody has refused it.
        silent: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Waits,
    Runs,
    Out,
}

/// One race.
#[derive(Debug)]
pub(super) struct Race {
    websocket: Runner,
    webtransport: Runner,
    /// Both take part.
    rivals: bool,
    over: bool,
}

impl Race {
    /// `may_try`: WebTransport is offered, and worth trying.
    pub(super) const fn new(choice: TransportChoice, may_try: bool) -> Self {
        let webtransport = match choice {
            TransportChoice::Auto => may_try,
            TransportChoice::Websocket => false,
            TransportChoice::Webtransport => true,
        };
        let websocket = !matches!(choice, TransportChoice::Webtransport);
        Self {
            websocket: if websocket { Runner::Waits } else { Runner::Out },
            webtransport: if webtransport { Runner::Waits } else { Runner::Out },
            rivals: websocket && webtransport,
            over: false,
        }
    }

    /// What to do about it.
    pub(super) fn tell(&mut self, event: RaceEvent) -> Vec<RaceAction> {
        match event {
            _ if self.over => Vec::new(),
            RaceEvent::Begun if self.webtransport == Runner::Waits => self.open(Transport::Webtransport),
            RaceEvent::Begun | RaceEvent::HeadStartOver => self.open(Transport::Websocket),
            RaceEvent::Opened(way) => {
                self.over = true;
                let is_second = self.rivals && way == Transport::Websocket;
                let blame = is_second.then(|| RaceAction::Blame { silent: self.webtransport == Runner::Runs });
                blame.into_iter().chain([RaceAction::Take(way)]).collect()
            }
            RaceEvent::Failed(way) => {
                *self.runner(way) = Runner::Out;
                self.over = [self.websocket, self.webtransport] == [Runner::Out; 2];
                if self.over { vec![RaceAction::GiveUp] } else { self.open(Transport::Websocket) }
            }
        }
    }

    fn open(&mut self, way: Transport) -> Vec<RaceAction> {
        let runner = self.runner(way);
        if *runner != Runner::Waits {
            return Vec::new();
        }
        *runner = Runner::Runs;
        vec![RaceAction::Open(way)]
    }

    const fn runner(&mut self, way: Transport) -> &mut Runner {
        match way {
            Transport::Websocket => &mut self.websocket,
            Transport::Webtransport => &mut self.webtransport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        RaceAction::{Blame, GiveUp, Open, Take},
        RaceEvent::{Begun, Failed, HeadStartOver, Opened},
        *,
    };
    use Transport::{Websocket, Webtransport};

    fn run(choice: TransportChoice, may_try: bool, events: &[RaceEvent]) -> Vec<RaceAction> {
        let mut race = Race::new(choice, may_try);
        events.iter().flat_map(|event| race.tell(*event)).collect()
    }

    fn with_both(events: &[RaceEvent]) -> Vec<RaceAction> {
        run(TransportChoice::Auto, true, events)
    }

    #[test]
    fn nothing_else_is_opened_when_webtransport_is_open_in_time() {
        let actions = with_both(&[Begun, Opened(Webtransport), HeadStartOver]);
        assert_eq!(actions, [Open(Webtransport), Take(Webtransport)]);
    }

    #[test]
    fn websocket_is_taken_where_webtransport_is_silent_and_that_is_blamed() {
        let actions = with_both(&[Begun, HeadStartOver, Opened(Websocket), Failed(Webtransport)]);
        assert_eq!(actions, [Open(Webtransport), Open(Websocket), Blame { silent: true }, Take(Websocket)]);
    }

    #[test]
    fn webtransport_is_taken_where_it_is_late_but_not_too_late() {
        let actions = with_both(&[Begun, HeadStartOver, Opened(Webtransport), Opened(Websocket)]);
        assert_eq!(actions, [Open(Webtransport), Open(Websocket), Take(Webtransport)]);
    }

    #[test]
    fn websocket_is_opened_at_once_where_webtransport_is_refused() {
        let actions = with_both(&[Begun, Failed(Webtransport), HeadStartOver, Opened(Websocket)]);
        assert_eq!(actions, [Open(Webtransport), Open(Websocket), Blame { silent: false }, Take(Websocket)]);
    }

    #[test]
    fn nobody_is_blamed_where_the_relay_is_gone() {
        let actions = with_both(&[Begun, HeadStartOver, Failed(Websocket), Failed(Webtransport)]);
        assert_eq!(actions, [Open(Webtransport), Open(Websocket), GiveUp]);
    }

    #[test]
    fn webtransport_is_waited_for_where_a_websocket_has_failed() {
        let actions = with_both(&[Begun, HeadStartOver, Failed(Websocket), Opened(Webtransport)]);
        assert_eq!(actions, [Open(Webtransport), Open(Websocket), Take(Webtransport)]);
    }

    #[test]
    fn without_webtransport_there_is_a_websocket_and_nothing_to_blame() {
        for (choice, may_try) in [(TransportChoice::Auto, false), (TransportChoice::Websocket, true)] {
            let opened = run(choice, may_try, &[Begun, HeadStartOver, Opened(Websocket)]);
            assert_eq!(opened, [Open(Websocket), Take(Websocket)]);
            assert_eq!(run(choice, may_try, &[Begun, Failed(Websocket)]), [Open(Websocket), GiveUp]);
        }
    }

    #[test]
    fn who_wants_webtransport_alone_gets_nothing_else() {
        let actions = run(TransportChoice::Webtransport, false, &[Begun, HeadStartOver, Failed(Webtransport)]);
        assert_eq!(actions, [Open(Webtransport), GiveUp]);
    }
}
