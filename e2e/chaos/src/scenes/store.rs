//! Two directories behind one address share a store: it goes and comes back as it was, it dies and comes back empty, and one of the
//! directories dies.

use std::time::Duration;

use stage::Plan;
use tokio::time::{Instant, sleep, timeout};

use super::{LOOK_INTERVAL, Size, mended};
use crate::{
    directory::Directory,
    now_us,
    player::Tempo,
    progress::say,
    show::{Show, began},
    source::Programme,
    tape::{Event, Tape},
};

/// The directories.
const DIRECTORIES: [&str; 2] = ["directory", "directory-2"];

/// How long the store is away each time.
const AWAY: Duration = Duration::from_secs(5);

/// Longest wait for both directories to know the same again.
const CONVERGED_TIME_MAX: Duration = Duration::from_secs(20);

/// How often lists are read while a change is waited for.
const READ_INTERVAL: Duration = Duration::from_millis(5);

/// Longest that a directory may take to notice that the store is away.
const NOTICED_TIME_MAX: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub struct Shared {
    /// What everybody saw.
    pub tape: Tape,
    /// The origin was killed while the store was away.
    pub killed: Event,
    /// A directory was killed.
    pub directory_killed: Event,
    /// How long a new stream was in one directory's list before it was in the other's, each time.
    pub told_after: Vec<Duration>,
    /// How long both took to know the same again, after the store was back as it was, and then empty; none when they did not.
    pub converged_after: [Option<Duration>; 2],
    /// What a directory said of its readiness while the store was away: the HTTP status and the words.
    pub readiness: (u16, String),
}

/// Plays it; `size.events` new streams are told.
pub async fn store(size: &Size) -> Shared {
    let mut plan = Plan::of_relays(3, false);
    plan.shared = true;
    let mut show = Show::begin(&plan, size.sender.clone(), size.viewers, Tempo::default()).await;
    show.calm().await;
    let mut told_after = vec![];
    for _ in 0..size.events {
        told_after.push(told(&show).await);
    }

    say("the store is out of reach");
    show.system.store().way().change(|weather| weather.refusing = true);
    show.system.store().way().cut();
    let begun = Instant::now();
    joined(&show, 0.0, NOTICED_TIME_MAX).await;
    let readiness = show.system.readiness(DIRECTORIES[0]).await.unwrap_or_default();
    let origin = show.origin().await;
    say(&format!("kill -9 of {origin}"));
    let at = now_us();
    show.system.kill(&origin).await;
    let killed = mended(&show, at).await;
    sleep(AWAY.saturating_sub(begun.elapsed())).await;
    show.system.store().way().change(|weather| weather.refusing = false);
    let as_it_was = converged(&show).await;
    show.system.restart(&origin).await;
    show.system.is_ready(&origin).await;

    say("kill -9 of the store");
    show.system.store_dies(true).await;
    sleep(AWAY).await;
    show.system.store_dies(false).await;
    let empty = converged(&show).await;

    show.calm().await;
    say("kill -9 of a directory");
    let at = now_us();
    show.system.kill(DIRECTORIES[0]).await;
    let directory_killed = mended(&show, at).await;
    show.system.restart(DIRECTORIES[0]).await;
    Shared {
        tape: show.end().await,
        killed,
        directory_killed,
        told_after,
        converged_after: [as_it_was, empty],
        readiness,
    }
}

/// How long after the one list a new stream is in the other.
async fn told(show: &Show) -> Duration {
    let programme = Programme { title: "News".into(), rate: 5, key_interval: 10, sound: false, ..Programme::default() };
    let news = began(show.directory(), programme).await;
    let id = news.id().to_string();
    let listed = async |name: &str| {
        let directory = Directory::at(show.system.directory_at(name));
        let until = Instant::now() + CONVERGED_TIME_MAX;
        while Instant::now() < until {
            let list = directory.streams().await.unwrap_or_default();
            let mut streams = list["streams"].as_array().into_iter().flatten();
            if streams.any(|stream| stream["id"] == id.as_str()) {
                break;
            }
            sleep(READ_INTERVAL).await;
        }
        Instant::now()
    };
    let (first, second) = tokio::join!(listed(DIRECTORIES[0]), listed(DIRECTORIES[1]));
    news.end().await;
    first.max(second) - first.min(second)
}

/// Waits until every directory says whether what it knows is shared.
async fn joined(show: &Show, wanted: f64, patience: Duration) -> bool {
    let all = async {
        for name in DIRECTORIES {
            while show.system.metric(name, "directory_store_joined").await != Some(wanted) {
                sleep(LOOK_INTERVAL).await;
            }
        }
    };
    timeout(patience, all).await.is_ok()
}

/// How long it takes until both directories share again, list the stream, and send viewers to it.
async fn converged(show: &Show) -> Option<Duration> {
    let begun = Instant::now();
    joined(show, 1.0, CONVERGED_TIME_MAX).await;
    let id = show.id().to_string();
    for name in DIRECTORIES {
        let directory = Directory::at(show.system.directory_at(name));
        loop {
            if begun.elapsed() > CONVERGED_TIME_MAX {
                return None;
            }
            let list = directory.streams().await.unwrap_or_default();
            let mut streams = list["streams"].as_array().into_iter().flatten();
            let live = streams.any(|stream| stream["id"] == id.as_str() && stream["state"] == "live");
            if live && directory.clone().watch(show.id(), None, None).await.is_ok() {
                break;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
    Some(begun.elapsed())
}
