//! Processes on this machine, for real.

use std::{collections::BTreeSet, net::TcpListener, path::Path, time::Duration};

use spawner::{Local, LocalConfig, Phase, Spawner};

use crate::{PATIENCE, file_holds, join, listed, name, phase, script, until};

/// Says where it listens as the relay does, and drains when it is asked to end.
pub(crate) const STAND_IN: &str = r#"
echo '{"level":"INFO","message":"serving","listen":"'"$RELAY_LISTEN"'"}' >&2
env > "$RELAY_DATA_DIR/env"
trap 'echo drained > "$RELAY_DATA_DIR/drained"; exit 0' TERM
echo $$ > "$RELAY_DATA_DIR/pid"
while :; do sleep 0.05; done
"#;

pub(crate) fn config(folder: &Path, program: &str) -> LocalConfig {
    LocalConfig {
        program: script(folder, program),
        folder: folder.to_owned(),
        listen: [127, 0, 0, 1].into(),
        ports: None,
        public_url: None,
        environment: vec!["RELAY_STREAMS_MAX=7".into()],
        stop_time_max: PATIENCE,
        alone_time_max: Duration::ZERO,
        join: join(),
    }
}

pub(crate) fn lives(pid: &str) -> bool {
    // What has ended and was not waited for is no process any more.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn relay_gets_what_it_needs_and_no_more_and_drains_when_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::open(config(folder.path(), STAND_IN)).unwrap();
    local.start(&name("spawned-0")).await.unwrap();
    local.start(&name("spawned-0")).await.unwrap();
    let home = folder.path().join("spawned-0");
    let pid = file_holds(&home.join("pid")).await;
    let environment = std::fs::read_to_string(home.join("env")).unwrap();
    let data_dir = format!("RELAY_DATA_DIR={}", home.display());
    for setting in [
        "RELAY_NAME=spawned-0",
        "DIRECTORY_URL=http://directory.test:5000/",
        "JOIN_TOKEN=token-spawned-0-0",
        "RELAY_LISTEN=127.0.0.1:0",
        "RELAY_INTERNAL_LISTEN=127.0.0.1:0",
        "RELAY_STREAMS_MAX=7",
        "LOG_FORMAT=json",
        &data_dir,
    ] {
        assert!(environment.lines().any(|line| line == setting), "{setting} is not in\n{environment}");
    }
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!environment.contains("CARGO_MANIFEST_DIR"), "the environment of this process stays here");
    let spawned = listed(&local, "spawned-0").await.unwrap();
    assert_eq!((spawned.phase, spawned.restarts, spawned.address.as_deref()), (Phase::Running, 0, Some("127.0.0.1:0")));

    local.stop(&name("spawned-0")).await.unwrap();
    local.stop(&name("spawned-0")).await.unwrap();
    until("it is gone", async || listed(&local, "spawned-0").await.is_none().then_some(())).await;
    assert_eq!(file_holds(&home.join("drained")).await, "drained\n");
    assert!(!lives(&pid));
}

#[tokio::test]
async fn each_relay_has_a_port_that_was_free_and_an_address_of_its_own() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = taken.local_addr().unwrap().port().min(u16::MAX - 40);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), STAND_IN);
    let range = format!("{first}-{}", first + 40);
    config.ports = Some(range.parse().unwrap());
    config.public_url = Some("ws://relays.test:{port}/ws".parse().unwrap());
    let local = Local::open(config).unwrap();
    let mut ports = BTreeSet::from([first]);
    for relay in ["spawned-0", "spawned-1", "spawned-2"] {
        local.start(&name(relay)).await.unwrap();
        let address = until("its address is told", async || listed(&local, relay).await?.address).await;
        let port: u16 = address.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
        assert!(ports.insert(port) && (first..=first + 40).contains(&port), "{port} of {range}");
        file_holds(&folder.path().join(relay).join("pid")).await;
        let environment = std::fs::read_to_string(folder.path().join(relay).join("env")).unwrap();
        assert!(environment.contains(&format!("RELAY_PUBLIC_URL=ws://relays.test:{port}/ws\n")), "{environment}");
    }
    local.close().await;
    assert!(local.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn range_without_a_free_port_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), STAND_IN);
    config.ports = Some(format!("{port}-{port}").parse().unwrap());
    let error = Local::open(config).unwrap().start(&name("spawned-0")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no port of {port}-{port} is free"));
}

#[tokio::test]
async fn relay_that_ends_by_itself_is_started_again_with_a_new_token_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let program = format!("[ -e \"$RELAY_DATA_DIR/once\" ] || {{ : > \"$RELAY_DATA_DIR/once\"; exit 3; }}\n{STAND_IN}");
    let local = Local::open(config(folder.path(), &program)).unwrap();
    local.start(&name("spawned-0")).await.unwrap();
    file_holds(&folder.path().join("spawned-0/pid")).await;
    let spawned = listed(&local, "spawned-0").await.unwrap();
    assert_eq!((spawned.phase, spawned.restarts), (Phase::Running, 1));
    let environment = std::fs::read_to_string(folder.path().join("spawned-0/env")).unwrap();
    assert!(environment.contains("JOIN_TOKEN=token-spawned-0-1\n"), "{environment}");
    local.close().await;
}

#[tokio::test(start_paused = true)]
async fn relay_that_ends_again_and_again_is_given_up_and_can_be_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::open(config(folder.path(), "echo no >&2; exit 1")).unwrap();
    local.start(&name("spawned-0")).await.unwrap();
    let spawned = loop {
        // Paused time runs on as soon as nothing else does; a process that ends wakes this by itself.
        tokio::time::sleep(Duration::from_millis(100)).await;
        match listed(&local, "spawned-0").await {
            Some(spawned) if spawned.phase == Phase::Ended => break spawned,
            _ => {}
        }
    };
    assert_eq!(spawned.restarts, 5);
    let log = std::fs::read_to_string(folder.path().join("spawned-0/relay.log")).unwrap();
    assert_eq!(log, "no\n".repeat(6));
    local.stop(&name("spawned-0")).await.unwrap();
    assert_eq!(listed(&local, "spawned-0").await, None);
}

#[tokio::test]
async fn relay_that_does_not_end_in_its_time_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let program = "trap '' TERM\necho $$ > \"$RELAY_DATA_DIR/pid\"\nwhile :; do sleep 0.05; done";
    let mut config = config(folder.path(), program);
    config.stop_time_max = Duration::from_secs(1);
    let local = Local::open(config).unwrap();
    local.start(&name("spawned-0")).await.unwrap();
    let pid = file_holds(&folder.path().join("spawned-0/pid")).await;
    local.stop(&name("spawned-0")).await.unwrap();
    assert_eq!(phase(&local, "spawned-0").await, Some(Phase::Stopping));
    assert!(lives(&pid));
    until("it is killed", async || listed(&local, "spawned-0").await.is_none().then_some(())).await;
    assert!(!lives(&pid));
}

#[tokio::test]
async fn relay_that_ends_well_was_to_end_and_is_not_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = ": > \"$RELAY_DATA_DIR/drained\"; exit 0";
    let local = Local::open(config(folder.path(), program)).unwrap();
    local.start(&name("spawned-0")).await.unwrap();
    until("it is gone", async || listed(&local, "spawned-0").await.is_none().then_some(())).await;
    assert!(folder.path().join("spawned-0/drained").exists());
}
