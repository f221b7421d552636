//! One stream on many relays, before a crowd that grows; late joiners; then a relay that only hands on dies, and then the one that
//! takes the stream in.

use std::time::Duration;

use stage::Plan;

use super::mended;
use crate::{
    now_us,
    player::{Player, Tempo},
    progress::say,
    scenes::share::{Share, measure},
    show::{Sender, Show},
    source::Programme,
    stalls::Distribution,
    tape::{Event, Tape},
};

/// How often one of many players looks at its clocks: not so often that it is the load.
const TEMPO: Tempo = Tempo(Duration::from_millis(200));

/// New viewers go to relays that are less full than this, as long as there are any.
const FULL_SHARE: f64 = 0.7;

/// Longest wait for late joiners.
const JOIN_TIME_MAX: Duration = Duration::from_secs(20);

/// How many there are.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Relays, which together have room for the viewers and a little more.
    pub relays: usize,
    /// Viewers: a third of them at first.
    pub viewers: usize,
    /// Viewers that come when all is running.
    pub late: usize,
    /// What they watch.
    pub programme: Programme,
    /// How long the cost is measured.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Crowded {
    /// All relays before a third of the viewers.
    pub few: Vec<Share>,
    /// All relays before all of them.
    pub many: Vec<Share>,
    /// The relay that took the stream in.
    pub origin: String,
    /// From opening the stream to the first picture, of those who came late.
    pub late: Distribution,
    /// How many of them watched at a relay that only hands on.
    pub late_at_edges: usize,
    /// What everybody saw.
    pub tape: Tape,
    /// An edge was killed, when there was one.
    pub edge_killed: Option<Event>,
    /// The origin was killed.
    pub origin_killed: Event,
}

/// Plays it.
pub async fn edges(crowd: &Crowd) -> Crowded {
    let mut plan = Plan::of_relays(crowd.relays, false);
    let room = (crowd.viewers as f64 / crowd.relays as f64 / FULL_SHARE).ceil();
    plan.environment.push(("RELAY_VIEWERS_MAX".into(), room.to_string()));
    let sender = Sender::Source(crowd.programme.clone());
    let mut show = Show::begin(&plan, sender, crowd.viewers / 3, TEMPO).await;
    show.calm().await;
    let few = measure(&show, crowd.programme.rate, crowd.measured).await;
    show.admit(crowd.viewers - crowd.viewers / 3, TEMPO).await;
    show.calm().await;
    let many = measure(&show, crowd.programme.rate, crowd.measured).await;
    let origin = show.origin().await;
    let (late, late_at_edges) = join_late(&show, crowd.late, &origin).await;
    let busiest = show.spread().into_iter().filter(|(name, _)| *name != origin).max_by_key(|&(_, viewers)| viewers);
    let mut edge_killed = None;
    if let Some((name, 1..)) = busiest {
        say(&format!("kill -9 of {name}, an edge"));
        let at = now_us();
        show.system.kill(&name).await;
        edge_killed = Some(mended(&show, at).await);
        show.system.restart(&name).await;
        show.system.is_ready(&name).await;
        show.calm().await;
    }
    let dies = show.origin().await;
    say(&format!("kill -9 of {dies}, the origin"));
    let at = now_us();
    show.system.kill(&dies).await;
    let origin_killed = mended(&show, at).await;
    Crowded { few, many, origin, late, late_at_edges, tape: show.end().await, edge_killed, origin_killed }
}

/// How soon new viewers show something, and how many of them do at edges.
async fn join_late(show: &Show, count: usize, origin: &str) -> (Distribution, usize) {
    let mut times = vec![];
    let mut at_edges = 0;
    for _ in 0..count {
        let opened = now_us();
        let player = Player::open(show.directory(), show.id(), Tempo::default());
        let until = opened + JOIN_TIME_MAX.as_micros() as u64;
        while player.sight().first_shown_us() == 0 && now_us() < until {
            tokio::time::sleep(Tempo::default().0).await;
        }
        let shown = player.sight().first_shown_us();
        times.push(if shown == 0 { JOIN_TIME_MAX.as_micros() as u64 } else { shown - opened });
        at_edges += usize::from(player.sight().relay().is_some_and(|relay| relay != origin));
        player.close().await;
    }
    (Distribution::of(times), at_edges)
}
