//! The load rises and falls, and relays come and go with it: started and drained by the directory itself, as processes of this machine.

use std::time::Duration;

use stage::Plan;
use tokio::time::{Instant, sleep, timeout};

use super::{AFTERMATH, LOOK_INTERVAL};
use crate::{
    now_us,
    player::Tempo,
    progress::say,
    show::{Sender, Show},
    source::Programme,
    tape::{Event, Tape},
};

/// Viewers that one relay takes.
const ROOM: usize = 20;

/// Viewers that come together.
const PARTY: usize = 3;

/// Between two parties: a relay is up before the next ones have filled what there is.
const PARTY_INTERVAL: Duration = Duration::from_millis(1500);

/// Longest wait for relays to go again, from when the viewers have left.
const FALL_TIME_MAX: Duration = Duration::from_secs(90);

/// What came of it.
#[derive(Debug)]
pub struct Breathed {
    /// What everybody saw.
    pub tape: Tape,
    /// While viewers came, and relays with them.
    pub rising: Event,
    /// While viewers left, and relays after them.
    pub falling: Event,
    /// Relays at the beginning, at the most, and at the end.
    pub relays: [usize; 3],
    /// How long after the viewers the last superfluous relay had left; none when it stayed.
    pub fallen_after: Option<Duration>,
    /// Starts that failed, as the directory has counted them.
    pub failures: f64,
}

/// Plays it: viewers come until there are as many as fill `relays` relays to three quarters, and leave until `stay` are left.
pub async fn breathing(relays: usize, stay: usize) -> Breathed {
    let mut plan = Plan::of_relays(0, false);
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder for relays: {error}"));
    let (most, folder_name) = ((relays + 1).to_string(), folder.path().display().to_string());
    // They end with the directory: nothing is left of the scene.
    let environment = format!("RELAY_VIEWERS_MAX={ROOM},CONNECTIONS_PER_ADDRESS=0,DRAIN_SECONDS=8,RUST_LOG=info");
    let flags = [
        ["--spawn", "local"],
        ["--relays-min", "1"],
        ["--relays-max", &most],
        ["--spawn-data-dir", &folder_name],
        ["--spawn-calm-seconds", "5"],
        ["--spawn-cool-down-seconds", "1"],
        ["--spawn-alone-seconds", "0"],
        ["--spawn-env", &environment],
    ];
    plan.directory_flags = flags.concat().into_iter().map(str::to_owned).collect();
    let sender = Sender::Source(Programme { sound: false, ..Programme::default() });
    let mut show = Show::begin(&plan, sender, stay, Tempo::default()).await;
    show.calm().await;
    let begin = running(&show).await;
    let from_us = now_us();
    let wanted = relays * ROOM * 3 / 4;
    let mut most = begin;
    while show.viewers() < wanted {
        show.admit(PARTY.min(wanted - show.viewers()), Tempo::default()).await;
        sleep(PARTY_INTERVAL).await;
        most = most.max(running(&show).await);
    }
    show.calm().await;
    most = most.max(running(&show).await);
    say(&format!("{most} relays run; all viewers but {stay} leave"));
    let rising = Event { from_us, to_us: now_us() };
    show.dismiss(show.viewers() - stay).await;
    let (from_us, begun) = (now_us(), Instant::now());
    let fallen = async {
        while running(&show).await > begin {
            sleep(LOOK_INTERVAL).await;
        }
        begun.elapsed()
    };
    let fallen_after = timeout(FALL_TIME_MAX, fallen).await.ok();
    sleep(AFTERMATH).await;
    show.calm().await;
    let falling = Event { from_us, to_us: now_us() };
    let relays = [begin, most, running(&show).await];
    let failures = show.system.metric("directory", "directory_spawn_failures").await.unwrap_or_default();
    let tape = show.end_all().await;
    Breathed { tape, rising, falling, relays, fallen_after, failures }
}

/// Relays that the directory has started, and that run.
async fn running(show: &Show) -> usize {
    let phase = Some(r#"phase="running""#);
    show.system.metric_where("directory", "directory_spawned_relays", phase).await.unwrap_or_default() as usize
}
