//! What becomes of processes on this machine when who has started them ends.

use std::{path::Path, process::Stdio, time::Duration};

use spawner::{Local, Phase, Spawner};
use tempfile::TempDir;

use crate::{
    file_holds, listed,
    local::{STAND_IN, config, lives},
    name, phase, until,
};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

fn open(folder: &Path, alone_time_max: Duration) -> Local {
    let mut config = config(folder, STAND_IN);
    config.alone_time_max = alone_time_max;
    Local::open(config).unwrap()
}

/// The process that is killed by tests below: it holds a relay and does nothing else.
#[tokio::test]
#[ignore = "is run by the tests of a killed parent"]
async fn parent_that_is_killed() {
    let given = |variable: &str| std::env::var(variable).expect("it is given by the test that runs this one");
    let alone = Duration::from_secs(given("PARENT_ALONE").parse().unwrap());
    let local = open(Path::new(&given("PARENT_FOLDER")), alone);
    local.start(&name("spawned-0")).await.unwrap();
    std::future::pending::<()>().await;
}

/// A relay that another process has started, which was killed then; its process number.
async fn orphan(folder: &TempDir, alone: &str) -> String {
    let mut parent = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "outliving::parent_that_is_killed"])
        .env("PARENT_FOLDER", folder.path())
        .env("PARENT_ALONE", alone)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = file_holds(&folder.path().join("spawned-0/pid")).await;
    assert!(lives(&pid));
    parent.kill().await.unwrap();
    pid
}

async fn drained(folder: &TempDir, pid: &str) {
    assert_eq!(file_holds(&folder.path().join("spawned-0/drained")).await, "drained\n");
    until("it ends", async || (!lives(pid)).then_some(())).await;
}

#[tokio::test]
async fn relay_drains_and_ends_with_a_killed_parent_when_it_is_not_to_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let pid = orphan(&folder, "0").await;
    drained(&folder, &pid).await;
}

#[tokio::test]
async fn relay_that_nobody_takes_over_in_its_time_drains_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let pid = orphan(&folder, "1").await;
    drained(&folder, &pid).await;
    let next = open(folder.path(), LONG);
    assert!(next.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn relay_outlives_its_killed_parent_and_is_taken_over_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let pid = orphan(&folder, "3600").await;
    let next = open(folder.path(), LONG);
    assert_eq!(phase(&next, "spawned-0").await, Some(Phase::Running));
    next.start(&name("spawned-0")).await.unwrap();
    assert!(lives(&pid), "it runs already");
    next.stop(&name("spawned-0")).await.unwrap();
    assert_ne!(phase(&next, "spawned-0").await, Some(Phase::Running));
    drained(&folder, &pid).await;
    until("it is gone", async || listed(&next, "spawned-0").await.is_none().then_some(())).await;
}

#[tokio::test]
async fn relays_are_handed_from_one_to_the_next_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), LONG);
    first.start(&name("spawned-0")).await.unwrap();
    let pid = file_holds(&folder.path().join("spawned-0/pid")).await;
    first.close().await;
    drop(first);
    for _ in 0..3 {
        let next = open(folder.path(), LONG);
        assert_eq!(phase(&next, "spawned-0").await, Some(Phase::Running));
        next.close().await;
        assert!(lives(&pid));
    }
    let last = open(folder.path(), Duration::ZERO);
    last.close().await;
    assert!(!lives(&pid), "the last one takes it along");
    assert!(folder.path().join("spawned-0/drained").exists());
}

#[tokio::test]
async fn relay_that_was_taken_over_and_ends_makes_room_for_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let pid = orphan(&folder, "3600").await;
    let next = open(folder.path(), Duration::ZERO);
    let process = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    until("it is gone", async || listed(&next, "spawned-0").await.is_none().then_some(())).await;
    std::fs::remove_file(folder.path().join("spawned-0/pid")).unwrap();
    next.start(&name("spawned-0")).await.unwrap();
    assert_ne!(file_holds(&folder.path().join("spawned-0/pid")).await, pid);
    next.close().await;
}

#[tokio::test]
async fn second_one_in_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), LONG);
    let error = Local::open(config(folder.path(), STAND_IN)).unwrap_err().to_string();
    assert!(error.contains("another process starts relays there"), "{error}");
}
