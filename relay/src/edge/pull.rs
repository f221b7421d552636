//! One stream that is pulled from another relay: at most one upstream that sends it, and one beside it that may take its place. Where
//! the next one is, is decided in `upstreams`; whether one is needed in `need`; what viewers get of two, by `handover` and the window.

use std::sync::Arc;

use protocol::{RelayName, StreamId, control::FromRelay, limits::EDGE_IDLE_TIME_MAX};
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, Instant, MissedTickBehavior, interval},
};
use tracing::{debug, info};

use super::{Wish, link::Failure, renewal::Renewals, upstreams::Upstreams};
use crate::{
    house::House,
    stream::demand::{Demand, Wanted},
};

mod feed;
mod hearing;
mod moving;
mod need;
mod told;

use feed::{Candidate, Feed, Main, next};
use need::Need;

/// How often it is looked at what time brings: silence, pauses that are over, viewers that have gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often the directory is asked at most for a newer ticket.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// One stream.
#[derive(Debug)]
pub(super) struct Pull {
    house: Arc<House>,
    stream: StreamId,
    demand: Demand,
    upstreams: Upstreams,
    wishes: mpsc::Receiver<Wish>,
    main: Option<Main>,
    beside: Option<Candidate>,
    /// Since when nobody watches.
    idle_since: Option<Instant>,
    asked_at: Option<Instant>,
    /// Changes when relays are shut out.
    revoked: watch::Receiver<u64>,
}

impl Pull {
    /// A pull for the viewer of `wish`.
    pub(super) fn new(
        house: Arc<House>,
        stream: StreamId,
        demand: Demand,
        wishes: mpsc::Receiver<Wish>,
        wish: Wish,
    ) -> Self {
        let upstreams = Upstreams::new(house.name.clone());
        let revoked = house.edges.revoked.news();
        let mut pull = Self {
            house,
            stream,
            demand,
            upstreams,
            wishes,
            main: None,
            beside: None,
            idle_since: None,
            asked_at: None,
            revoked,
        };
        pull.learn(&wish);
        pull
    }

    /// Runs until nobody needs the stream from another relay any more.
    pub(super) async fn run(mut self) {
        let stopping = self.house.stopping.clone();
        let pulling = async {
            let mut looks = interval(LOOK_INTERVAL);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    news = next(self.main.as_mut().map(|main| &mut main.feed)) => self.hear(news),
                    news = next(self.beside.as_mut().map(|beside| &mut beside.feed)) => self.hear_beside(news),
                    Some(wish) = self.wishes.recv() => self.learn(&wish),
                    () = self.demand.changed() => self.ask_for_keys(),
                    Ok(()) = self.revoked.changed() => self.shun(),
                    _ = looks.tick() => if self.look() { return },
                }
            }
        };
        stopping.run_until_cancelled(pulling).await;
    }

    fn learn(&mut self, wish: &Wish) {
        let (revoked, issued_at_s) = (&self.house.edges.revoked, wish.grant.issued_at_s);
        let is_out = |relay: &RelayName| revoked.is_meant(relay, issued_at_s);
        self.upstreams.learn(&wish.grant, &wish.ticket, is_out, Instant::now());
        let Some(Main { feed, .. }) = &mut self.main else { return };
        if let Some((ticket, permit)) = self.upstreams.ticket_for(&feed.upstream)
            && feed.permit.is_outlived_by(&permit)
        {
            feed.permit = permit;
            feed.link.renew(ticket);
        }
    }

    /// Leaves relays that were shut out.
    fn shun(&mut self) {
        let revoked = &self.house.edges.revoked;
        self.upstreams.forget(|relay, permit| revoked.is_meant(relay, permit.issued_at_s));
        let is_out = |feed: &Feed| revoked.is_meant(&feed.upstream, feed.permit.issued_at_s);
        let beside_is_out = self.beside.as_ref().is_some_and(|beside| is_out(&beside.feed));
        let main_is_out = self.main.as_ref().is_some_and(|main| is_out(&main.feed));
        if beside_is_out {
            self.fail_beside(Failure::Revoked);
        }
        if main_is_out {
            self.lose(&Failure::Revoked);
        }
    }

    /// Looks at what time brings; whether the pull is over.
    fn look(&mut self) -> bool {
        let now = Instant::now();
        let wanted = self.demand.now();
        if wanted != Wanted::LettingGo {
            self.idle_since = None;
        }
        match wanted {
            Wanted::Gone => {
                (self.main, self.beside) = (None, None);
                return self.house.edges.finish(&self.house, self.stream, &mut self.wishes, false);
            }
            Wanted::Nothing => (self.main, self.beside) = (None, None),
            Wanted::LettingGo => {
                let idle = now.duration_since(*self.idle_since.get_or_insert(now));
                return idle >= EDGE_IDLE_TIME_MAX && self.let_go();
            }
            Wanted::Pulled => {
                self.ask_for_keys();
                self.bear_with_main(now);
                self.seek(now);
            }
        }
        false
    }

    fn let_go(&mut self) -> bool {
        let is_over = self.house.edges.finish(&self.house, self.stream, &mut self.wishes, true);
        if is_over {
            info!("nobody watches the stream here any more; letting go of it");
        }
        is_over
    }

    /// Keeps an upstream.
    fn seek(&mut self, now: Instant) {
        self.bear_with_beside(now);
        self.take_over_when_due(now);
        let Some(need) = self.need(now) else {
            self.beside = None;
            self.keep_ticket(now);
            return;
        };
        if self.beside.is_some() || (need == Need::Lost && self.house.drain.is_draining()) {
            return;
        }
        let avoided = self.main.as_ref().map(|main| main.feed.upstream.clone()).filter(|upstream| {
            // Where there is no other only the connection may be dead.
            need == Need::Handover || self.upstreams.has_others_than(upstream)
        });
        if let Some(attempt) = self.upstreams.next(avoided.as_ref(), now) {
            debug!(upstream = %attempt.upstream.name, "asking another relay for the stream");
            self.beside = Candidate::open(&self.house, self.stream, attempt, now);
        } else if avoided.is_some() || self.upstreams.none_found() {
            self.ask(now);
        }
        self.send_viewers_after(now);
    }

    fn need(&self, now: Instant) -> Option<Need> {
        let Some(main) = &self.main else { return Some(Need::Lost) };
        main.sight(self.upstreams.know_newer(main.origin.epoch, &main.feed.upstream)).need(now)
    }

    /// An upstream that says nothing any more is lost: viewers are to know, where no other one is found.
    fn bear_with_main(&mut self, now: Instant) {
        if self.main.as_ref().is_some_and(|main| main.sight(false).is_dead(now)) {
            self.lose(&Failure::Silent);
        }
    }

    fn bear_with_beside(&mut self, now: Instant) {
        if self.beside.as_ref().is_some_and(|beside| beside.has_failed(now)) {
            self.fail_beside(Failure::Silent);
        }
    }

    fn keep_ticket(&mut self, now: Instant) {
        let now_s = self.house.clock.now_s();
        if self.main.as_ref().is_some_and(|main| main.feed.permit.ends_soon(now_s)) {
            self.ask(now);
        }
    }

    /// Asks the directory for a newer ticket, and with it for upstreams that hold now.
    fn ask(&mut self, now: Instant) {
        let asked_lately = self.asked_at.is_some_and(|at| now.duration_since(at) < ASK_INTERVAL);
        let Some(ticket) = self.upstreams.ticket().cloned().filter(|_| !asked_lately) else { return };
        self.asked_at = Some(now);
        self.house.edges.life.spawn(Renewals::ask(Arc::clone(&self.house), self.stream, ticket));
    }

    /// A stream that goes on where this relay can't follow it: its viewers are told.
    fn send_viewers_after(&mut self, now: Instant) {
        let Some(Main { moving: Some(moving), seat, .. }) = &mut self.main else { return };
        if let Some(relays) = moving.viewers_are_due(now) {
            info!("the stream moves where this relay can't follow; its viewers are told");
            // Whether they are still this upstream's to tell is seen with the next media.
            let _ = seat.move_to(relays, now);
        }
    }

    fn ask_for_keys(&self) {
        let Some(main) = &self.main else { return };
        for track in main.seat.keys_wanted(Instant::now()) {
            main.feed.link.say(FromRelay::KeyFrameWanted { track });
        }
    }
}
