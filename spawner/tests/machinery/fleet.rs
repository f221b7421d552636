//! A fleet of processes under a load that rises and falls.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use protocol::RelayName;
use spawner::{
    Fleet, Local, Names, Phase, Relays, Spawner,
    scale::{Bounds, Decision, Need, RelaySeen},
};
use tokio_util::sync::CancellationToken;

use crate::{
    listed,
    local::{STAND_IN, config},
    until,
};

/// A directory that sees a relay as soon as its process has said that it serves.
struct Directory {
    folder: std::path::PathBuf,
    load: Mutex<f64>,
    drained: Mutex<Vec<RelayName>>,
}

impl Directory {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), load: Mutex::default(), drained: Mutex::default() }
    }
}

impl Relays for Directory {
    fn seen(&self) -> Vec<RelaySeen> {
        let serves = |number: &u32| {
            let home = self.folder.join(format!("spawned-{number}"));
            home.join("pid").exists() && !home.join("drained").exists()
        };
        let serving: Vec<_> = (0..10).filter(serves).collect();
        let head_room = (1.0 - *self.load.lock().unwrap() / serving.len().max(1) as f64).max(0.0);
        let relay = |number: &u32| RelaySeen {
            name: format!("spawned-{number}").parse().unwrap(),
            head_room,
            streams: 1,
            viewers: *number,
            draining: false,
            healthy: true,
            ours: false,
        };
        serving.iter().map(relay).collect()
    }

    fn drain(&self, name: &RelayName) {
        self.drained.lock().unwrap().push(name.clone());
    }
}

#[tokio::test]
async fn processes_come_with_the_load_and_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(Local::open(config(folder.path(), STAND_IN)).unwrap());
    let mut fleet = Fleet::new(Arc::clone(&local) as Arc<dyn Spawner>, Bounds::between(1, 3), Names::new("spawned"));
    let directory = Directory::new(folder.path());
    let mut now = Instant::now();
    let mut most = 0;
    for (load, relays) in [(0.1, 1), (2.0, 3), (9.0, 3), (0.1, 1)] {
        *directory.load.lock().unwrap() = load;
        for _ in 0..200 {
            now += Duration::from_secs(1);
            match fleet.step(now, &directory).await {
                // What was asked for is waited for, so that a second of the test is long enough for it.
                Decision::Start(_) => {
                    let count = local.list().await.unwrap().len();
                    until("it serves", async || (directory.seen().len() == count).then_some(())).await;
                }
                Decision::Drain(name, _) => {
                    until("it is gone", async || listed(local.as_ref(), name.as_str()).await.is_none().then_some(()))
                        .await;
                }
                Decision::Stop(name) => panic!("{name} was stopped"),
                Decision::Nothing => {}
            }
            most = most.max(local.list().await.unwrap().len());
        }
        let running = local.list().await.unwrap();
        assert_eq!(running.len(), relays, "at a load of {load}: {running:?}");
        assert!(running.iter().all(|spawned| spawned.phase == Phase::Running));
    }
    assert_eq!(most, 3);
    let drained: Vec<_> = directory.drained.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(drained, ["spawned-0", "spawned-1"], "the emptiest first");
    let status = fleet.status().borrow().clone();
    assert_eq!((status.running, status.starting, status.failures, status.problem), (1, 0, 0, None));
    assert_eq!((status.starts_total, status.stops_total), (3, 2));
    local.close().await;
}

#[tokio::test(start_paused = true)]
async fn relay_that_ends_before_it_serves_is_told_and_another_name_is_tried_later() {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(Local::open(config(folder.path(), "exit 1")).unwrap());
    let mut fleet = Fleet::new(Arc::clone(&local) as Arc<dyn Spawner>, Bounds::between(1, 3), Names::new("spawned"));
    let directory = Directory::new(folder.path());
    let now = Instant::now();
    assert_eq!(fleet.step(now, &directory).await, Decision::Start(Need::Minimum));
    until("it is given up", async || {
        listed(local.as_ref(), "spawned-0").await.filter(|spawned| spawned.phase == Phase::Ended)
    })
    .await;
    assert_eq!(fleet.step(now, &directory).await, Decision::Nothing, "not again at once");
    let status = fleet.status().borrow().clone();
    assert_eq!(
        (status.failures, status.problem.as_deref()),
        (1, Some("spawned-0 ended before it served; its log says why"))
    );
    assert_eq!(fleet.step(now + Duration::from_secs(1), &directory).await, Decision::Start(Need::Minimum));
    assert_eq!(local.list().await.unwrap()[0].name.as_str(), "spawned-1");
    local.close().await;
}

#[tokio::test]
async fn end_of_the_fleet_is_the_end_of_its_processes() {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(Local::open(config(folder.path(), STAND_IN)).unwrap());
    let fleet = Fleet::new(Arc::clone(&local) as Arc<dyn Spawner>, Bounds::between(2, 2), Names::new("spawned"));
    let mut status = fleet.status();
    let stopping = CancellationToken::new();
    let directory = Arc::new(Directory::new(folder.path()));
    let run = tokio::spawn(fleet.run(Arc::clone(&directory) as Arc<dyn Relays>, stopping.clone()));
    status.wait_for(|status| status.running == 2 && status.starting == 0).await.unwrap();
    stopping.cancel();
    run.await.unwrap();
    assert!(local.list().await.unwrap().is_empty());
    for relay in ["spawned-0", "spawned-1"] {
        assert!(folder.path().join(relay).join("drained").exists());
    }
}
