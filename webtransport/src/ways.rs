//! The way to a relay that is open first: WebTransport raced against a WebSocket. What is decided is in `race`, what is remembered in
//! `known_ways`; what a way is, and how it is opened, is the caller's affair.

mod known_ways;
mod race;

use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol::{WebTransportAddress, http::RelayAddress, limits::CLIENT_PATIENCE};
use tokio::task::JoinSet;

use self::{
    known_ways::KnownWays,
    race::{HEAD_START, Race, RaceAction, RaceEvent},
};
use crate::transport::{Transport, TransportChoice};

/// How long an attempt that was too late goes on, to tell a lost packet of the handshake, which costs a second, from a network that lets
/// none through.
const LATE_TIME_MAX: Duration = Duration::from_secs(3);

/// A session that was silent for longer when it ended, of a relay that speaks four times a second, is not worth trying again soon. Less than
/// what a connection is left for.
const SILENT_TIME_MAX: Duration = CLIENT_PATIENCE.saturating_sub(Duration::from_millis(100));

/// How the relays of one client are reached. Clones share what is remembered.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    choice: TransportChoice,
    known: Arc<Mutex<KnownWays>>,
    /// Attempts that were too late: one for each race of the last seconds.
    late: Arc<Mutex<JoinSet<()>>>,
}

impl Ways {
    /// Nothing is known of the network yet.
    #[must_use]
    pub fn new(choice: TransportChoice) -> Self {
        Self { choice, ..Self::default() }
    }

    /// Opens a way to `relay`: what `session` makes of its WebTransport address, or `websocket`. Takes as long as it takes.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open<T, S>(
        &self,
        relay: &RelayAddress,
        session: impl FnOnce(WebTransportAddress) -> S,
        websocket: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String>
    where
        T: Send + 'static,
        S: Future<Output = Result<T, String>> + Send + 'static,
    {
        let address = relay.webtransport.clone().filter(|address| address.is_well_formed(&relay.url));
        let may_try =
            address.as_ref().is_some_and(|address| self.known(|known| known.may_try(address, Instant::now())));
        let webtransport = self.clone().note(address.clone().map(session));
        let blame = |silent: bool| {
            let Some(address) = &address else { return };
            let now = Instant::now();
            self.known(|known| if silent { known.was_silent(address, now) } else { known.refused(address, now) });
        };
        let race = Race::new(self.choice, may_try);
        let (way, late) = fastest(race, Box::pin(webtransport), websocket, blame).await;
        if let Some(late) = late {
            self.watch(late);
        }
        way
    }

    /// Takes note of a session that comes about.
    async fn note<T>(self, opening: Option<impl Future<Output = Result<T, String>>>) -> Result<T, String> {
        let session = opening.ok_or("it offers no WebTransport")?.await?;
        self.known(|known| known.opened(Instant::now()));
        Ok(session)
    }

    /// Sees whether what was too late comes about after all. It is closed then: another way was taken.
    fn watch<T: Send + 'static>(&self, late: Opening<T>) {
        let mut watched = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        while watched.try_join_next().is_some() {}
        watched.spawn(async { drop(tokio::time::timeout(LATE_TIME_MAX, late).await) });
    }

    /// A way to `relay` is over, which was heard last at `heard_at`. A session that fell silent is not tried again soon.
    pub fn over(&self, relay: &RelayAddress, way: Transport, heard_at: Instant) {
        let now = Instant::now();
        let is_silent = now.saturating_duration_since(heard_at) > SILENT_TIME_MAX;
        if let (Transport::Webtransport, true, Some(address)) = (way, is_silent, &relay.webtransport) {
            self.known(|known| known.refused(address, now));
        }
    }

    /// The network may be another one.
    pub fn forget(&self) {
        self.known(KnownWays::forget);
    }

    fn known<T>(&self, look: impl FnOnce(&mut KnownWays) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// WebTransport that is being opened.
type Opening<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Runs a race. A WebSocket that loses is dropped; WebTransport that does is handed back.
async fn fastest<T>(
    mut race: Race,
    mut webtransport: Opening<T>,
    websocket: impl Future<Output = Result<T, String>>,
    blame: impl Fn(bool),
) -> (Result<T, String>, Option<Opening<T>>) {
    let mut websocket = pin!(websocket);
    let mut head_start = pin!(tokio::time::sleep(HEAD_START));
    let (mut webtransport_runs, mut websocket_runs, mut has_head_start) = (false, false, true);
    let (mut opened, mut reason) = (None, String::new());
    let mut event = RaceEvent::Begun;
    loop {
        for action in race.tell(event) {
            match action {
                RaceAction::Open(Transport::Webtransport) => webtransport_runs = true,
                RaceAction::Open(Transport::Websocket) => websocket_runs = true,
                RaceAction::Blame { silent } => {
                    tracing::debug!(silent, %reason, "WebTransport can't be had");
                    blame(silent);
                }
                RaceAction::Take(_) => return (opened.ok_or(reason), webtransport_runs.then_some(webtransport)),
                RaceAction::GiveUp => return (Err(reason), None),
            }
        }
        let (way, outcome) = tokio::select! {
            outcome = &mut webtransport, if webtransport_runs => {
                webtransport_runs = false;
                (Transport::Webtransport, outcome)
            }
            outcome = &mut websocket, if websocket_runs => {
                websocket_runs = false;
                (Transport::Websocket, outcome)
            }
            () = &mut head_start, if has_head_start => {
                has_head_start = false;
                event = RaceEvent::HeadStartOver;
                continue;
            }
            else => return (Err(reason), None),
        };
        event = match outcome {
            Ok(line) => {
                opened = Some(line);
                RaceEvent::Opened(way)
            }
            Err(error) => {
                reason = error;
                RaceEvent::Failed(way)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending, time::Duration};

    use tokio::time::{Instant, sleep};

    use super::*;

    async fn never() -> Result<Transport, String> {
        pending().await
    }

    async fn after(ms: u64, outcome: Result<Transport, &str>) -> Result<Transport, String> {
        sleep(Duration::from_millis(ms)).await;
        outcome.map_err(str::to_owned)
    }

    fn both() -> Race {
        Race::new(TransportChoice::Auto, true)
    }

    #[tokio::test(start_paused = true)]
    async fn network_that_swallows_udp_costs_one_head_start() {
        let (began, blamed) = (Instant::now(), Cell::new(None));
        let websocket = after(20, Ok(Transport::Websocket));
        let (taken, late) = fastest(both(), Box::pin(never()), websocket, |silent| blamed.set(Some(silent))).await;
        assert_eq!(taken, Ok(Transport::Websocket));
        assert_eq!(began.elapsed(), HEAD_START + Duration::from_millis(20));
        assert!(late.is_some(), "it may come about after all");
        assert_eq!(blamed.get(), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn relay_that_refuses_webtransport_is_reached_at_once() {
        let (began, blamed) = (Instant::now(), Cell::new(None));
        let websocket = after(20, Ok(Transport::Websocket));
        let webtransport = Box::pin(after(10, Err("no")));
        let (taken, late) = fastest(both(), webtransport, websocket, |silent| blamed.set(Some(silent))).await;
        assert_eq!((taken, late.is_some()), (Ok(Transport::Websocket), false));
        assert_eq!((began.elapsed(), blamed.get()), (Duration::from_millis(30), Some(false)));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_session_still_wins_against_a_slower_socket() {
        let blame = |_| panic!("nobody is to blame");
        let webtransport = Box::pin(after(400, Ok(Transport::Webtransport)));
        let (taken, _) = fastest(both(), webtransport, after(200, Ok(Transport::Websocket)), blame).await;
        assert_eq!(taken, Ok(Transport::Webtransport));
    }

    #[tokio::test(start_paused = true)]
    async fn relay_that_is_gone_is_told_with_the_reason() {
        let (webtransport, websocket) = (after(400, Err("no session")), after(10, Err("refused")));
        let (taken, _) = fastest(both(), Box::pin(webtransport), websocket, |_| panic!("nobody is to blame")).await;
        assert_eq!(taken, Err("no session".to_owned()));
    }
}
