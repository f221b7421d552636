//! Relays that start and stop by themselves, as real processes: under a load that rises and falls, when one of them is killed, and
//! when the directory that has started them is.

use std::time::Duration;

use chaos::{
    directory::Directory,
    now_us,
    player::{Player, Tempo},
    show::began,
    source::{Programme, Source},
    tape::{Event, Outcome, Tape},
};
use stage::{Plan, System, eventually};

/// Streams that fill a relay.
const STREAMS_MAX: usize = 4;

/// Streams that need a third relay.
const STREAMS: usize = 2 * STREAMS_MAX + 1;

/// Pictures that are shown so much later were made later.
const ON_THE_WAY_US: u64 = 200_000;

/// A stream with somebody who watches it.
struct Stream {
    source: Source,
    viewer: Player,
    from_us: u64,
}

impl Stream {
    async fn begin(directory: &Directory) -> Self {
        let source = began(directory.clone(), Programme { sound: false, ..Programme::default() }).await;
        let viewer = Player::open(directory.clone(), source.id(), Tempo::default());
        eventually("a picture", async || (viewer.sight().last_shown_us() > 0).then_some(())).await;
        Self { source, viewer, from_us: now_us() }
    }

    fn relay(&self) -> Option<String> {
        self.source.standing().relay
    }

    async fn end(self) -> Outcome {
        let to_us = now_us();
        // What was made before is on its way to the viewer for a moment.
        eventually("later pictures", async || {
            (self.viewer.sight().last_shown_us() > to_us + ON_THE_WAY_US).then_some(())
        })
        .await;
        let (report, log) = (self.viewer.close().await, self.source.end().await);
        Tape::new(vec![report], log.made, log.diary, to_us).outcome(&[Event { from_us: self.from_us, to_us }])
    }
}

async fn system(folder: &std::path::Path) -> System {
    let mut plan = Plan::of_relays(0, false);
    let folder = folder.to_str().unwrap_or_default();
    let flags = format!(
        "--spawn local --spawn-data-dir {folder} --relays-min 1 --relays-max 3 --spawn-env \
         RELAY_STREAMS_MAX={STREAMS_MAX} --spawn-cool-down-seconds 1 --spawn-calm-seconds 2 --spawn-alone-seconds 20"
    );
    plan.directory_flags = flags.split_whitespace().map(str::to_owned).collect();
    System::start_plan(&plan).await
}

/// Waits until so many relays serve that were started.
async fn serving(system: &System, count: usize) {
    eventually(&format!("{count} relays that serve"), async || {
        let list = system.operator(&["relays"]).await;
        // A relay with as many streams as it may have serves as well as any.
        let serves = |line: &&str| line.contains("spawned-") && (line.contains(" ready ") || line.contains(" full "));
        (list.lines().filter(serves).count() == count).then_some(())
    })
    .await;
}

/// The number of a started relay's process.
async fn process_of(system: &System, relay: &str) -> u32 {
    let of_this_directory = format!("DIRECTORY_URL=http://{}/", system.public());
    let name = format!("RELAY_NAME={relay}");
    eventually(&format!("the process of {relay}"), async || {
        std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let is_relay = std::fs::read_link(entry.path().join("exe")).ok()?.ends_with("relay");
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            let has = |setting: &str| environment.split(|&byte| byte == 0).any(|given| given == setting.as_bytes());
            (is_relay && has(&name) && has(&of_this_directory)).then(|| entry.file_name().to_str()?.parse().ok())?
        })
    })
    .await
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_come_and_go_with_the_load_and_outlive_their_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut system = system(folder.path()).await;
    let directory = Directory::at(system.at(""));
    serving(&system, 1).await;

    // The load rises.
    let mut streams = vec![];
    for _ in 0..STREAMS {
        streams.push(Stream::begin(&directory).await);
    }
    serving(&system, 3).await;
    assert_eq!(system.metric("directory", "directory_spawn_starts_total").await, Some(3.0));

    // One of them is killed: it is there again, and its streams go on.
    let last = streams.last().expect("there are some");
    let killed = eventually("its relay", async || last.relay()).await;
    let hit: Vec<_> = streams.iter().map(|stream| stream.relay().as_ref() == Some(&killed)).collect();
    let before = process_of(&system, &killed).await;
    let process = rustix::process::Pid::from_raw(before.cast_signed()).expect("a process");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it runs");
    eventually("a new process", async || (process_of(&system, &killed).await != before).then_some(())).await;
    // The list may name it as it was for a moment.
    eventually("a restart", async || {
        (system.metric("directory", "directory_spawn_restarts_total").await == Some(1.0)).then_some(())
    })
    .await;
    serving(&system, 3).await;

    // The directory is killed: its relays serve on, and the next one has them.
    system.kill("directory").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    system.restart("directory").await;
    serving(&system, 3).await;
    assert_eq!(system.metric("directory", "directory_spawn_starts_total").await, Some(0.0));

    // The load falls.
    let kept = streams.remove(0);
    let kept_was_hit = hit[0];
    let mut outcomes: Vec<_> = vec![];
    for (stream, hit) in streams.into_iter().zip(&hit[1..]) {
        outcomes.push((stream.end().await, *hit));
    }
    // One leaves after the other, and each has to send its people away first.
    serving(&system, 2).await;
    serving(&system, 1).await;
    outcomes.push((kept.end().await, kept_was_hit));

    for (outcome, hit) in outcomes {
        assert_eq!((outcome.lost, outcome.reloads, outcome.repeated), (0, 0, 0), "{outcome:?}");
        assert!(hit || outcome.missing == 0, "a stream that was on another relay: {outcome:?}");
    }
    let ended = system.terminate("directory", Duration::from_secs(20)).await.expect("it ends");
    assert!(ended.success());
}
