//! A relay has to send more than it can: the smallest stream that helps goes to a relay with room, by itself, and stays there.

use std::time::Duration;

use stage::{Plan, RelayPlan};
use tokio::time::{Instant, sleep, timeout};

use super::{LOOK_INTERVAL, mended};
use crate::{
    now_us,
    player::{Player, Tempo},
    progress::say,
    show::{Sender, Show, began},
    source::Programme,
    tape::{Event, Tape},
};

/// Bytes of a chunk at first, with which two streams need half of what the relay can send, and then, with which they need more than all.
const CHUNK_BYTES: (usize, usize) = (500, 1100);

/// Longest wait for the move: it has to be hot for some seconds first, and a heartbeat has to say so.
const MOVE_TIME_MAX: Duration = Duration::from_secs(40);

/// What came of it.
#[derive(Debug)]
pub struct Cooled {
    /// What the smaller stream's viewers saw.
    pub tape: Tape,
    /// From the load to the end of the move.
    pub event: Event,
    /// How long the load had lasted when the stream was elsewhere; none when it never was.
    pub moved_after: Option<Duration>,
    /// How often streams changed relays in all.
    pub moves: u64,
}

/// Two streams on one relay, the one with `viewers`, the other with twice as many; then a second relay, then the load.
/// It is watched for `stay` whether the stream stays where it has gone.
pub async fn hot(viewers: usize, stay: Duration) -> Cooled {
    let mut plan = Plan::of_relays(1, false);
    // A stream sends 40 chunks a second to each viewer: pictures and sound.
    plan.environment.push(("RELAY_EGRESS_MBIT_MAX".into(), viewers.to_string()));
    let programme = Programme { chunk_bytes: CHUNK_BYTES.0, ..Programme::default() };
    let sender = Sender::Source(programme.clone());
    let mut show = Show::begin(&plan, sender, viewers, Tempo::default()).await;
    let large = began(show.directory(), Programme { title: "Large".into(), ..programme }).await;
    let open = || Player::open(show.directory(), large.id(), Tempo::default());
    let crowd: Vec<_> = (0..2 * viewers).map(|_| open()).collect();
    let second = RelayPlan { name: "relay-2".into(), environment: plan.environment.clone(), ..plan.relays[0].clone() };
    show.system.add(&second).await;
    show.system.is_ready("relay-2").await;
    show.calm().await;
    let source = || show.source().unwrap_or_else(|| panic!("a source"));
    let epochs = || source().standing().epoch + large.standing().epoch;
    let (origin, epochs_before) = (show.origin().await, epochs());
    say(&format!("two streams at {origin} need more than it can send"));
    let (at, begun) = (now_us(), Instant::now());
    source().resize(CHUNK_BYTES.1);
    large.resize(CHUNK_BYTES.1);
    let moved = async {
        while epochs() == epochs_before {
            sleep(LOOK_INTERVAL).await;
        }
        begun.elapsed()
    };
    let moved_after = timeout(MOVE_TIME_MAX, moved).await.ok();
    let event = mended(&show, at).await;
    sleep(stay).await;
    let moves = epochs() - epochs_before;
    for player in crowd {
        player.close().await;
    }
    large.end().await;
    Cooled { tape: show.end().await, event, moved_after, moves }
}
