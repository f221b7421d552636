//! The real binary.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use protocol::{ErrorCode, ticket::Action};
use relay::data_dir::DataDir;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::driver::{Peer, grant, new_key, stream, tracks};

/// The binary, which is to find no directory, and where it listens.
async fn start(folder: &std::path::Path) -> (Child, SocketAddr) {
    start_with(folder, &[]).await
}

/// The binary with more arguments.
pub(crate) async fn start_with(folder: &std::path::Path, arguments: &[&str]) -> (Child, SocketAddr) {
    let (process, address, mut log) = start_logging(folder, arguments).await;
    // Read on, so that the process never blocks on its log.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    (process, address)
}

/// The binary, and what it still logs.
async fn start_logging(
    folder: &std::path::Path,
    arguments: &[&str],
) -> (Child, SocketAddr, Lines<BufReader<ChildStderr>>) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_relay"))
        .args(["--name", "relay-1", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0"])
        .args(["--directory", "http://127.0.0.1:9", "--log-format", "json", "--data-dir"])
        .arg(folder)
        .args(arguments)
        .env("JOIN_SECRET", "secret-of-tests")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("the relay has ended");
        assert!(!line.contains("secret-of-tests"), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "serving" {
            return (process, line["listen"].as_str().unwrap().parse().unwrap(), lines);
        }
    }
}

/// The binary with a broadcaster; no directory is to be found.
#[cfg(unix)]
async fn start_with_broadcaster(folder: &std::path::Path) -> (Child, Peer) {
    let signer = new_key();
    DataDir::open(folder.into()).unwrap().keep_ticket_key(&signer.public_key()).unwrap();
    let (process, address) = start(folder).await;
    let mut broadcaster = Peer::connect(address, None).await;
    let ticket = signer.sign(&grant(Action::Publish, stream(1), 1)).unwrap();
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks()})).await;
    broadcaster.text("stream_registered").await;
    (process, broadcaster)
}

#[cfg(unix)]
async fn terminate(process: &Child) {
    let pid = process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_without_a_directory_to_be_found_sends_everybody_away_soon_and_ends_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, mut broadcaster) = start_with_broadcaster(folder.path()).await;
    terminate(&process).await;
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    drop(broadcaster);
    assert!(timeout(Duration::from_secs(8), process.wait()).await.unwrap().unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn relay_whose_log_nobody_reads_any_more_serves_on_and_ends_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, address, log) = start_logging(folder.path(), &[]).await;
    drop(log);
    // It logs that this one is refused, and that the next one is.
    for _ in 0..2 {
        let mut stranger = Peer::connect(address, None).await;
        stranger.say(json!({"type": "watch_stream", "protocol": 1, "ticket": "none"})).await;
        stranger.ends_with(ErrorCode::NoRelay).await;
    }
    terminate(&process).await;
    assert!(timeout(Duration::from_secs(8), process.wait()).await.unwrap().unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn second_sigterm_ends_at_once_and_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, mut broadcaster) = start_with_broadcaster(folder.path()).await;
    let begun = std::time::Instant::now();
    terminate(&process).await;
    // Signals that come together are one; the second is sent when the first was worked on.
    broadcaster.text("received").await;
    broadcaster.text("received").await;
    terminate(&process).await;
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    drop(broadcaster);
    assert!(timeout(Duration::from_secs(8), process.wait()).await.unwrap().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_without_a_stream_ends_at_once_and_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, _) = start(folder.path()).await;
    let begun = std::time::Instant::now();
    terminate(&process).await;
    assert!(timeout(Duration::from_secs(8), process.wait()).await.unwrap().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn restarted_relay_has_the_same_key_in_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut process, _) = start(&data).await;
    let first = DataDir::open(data.clone()).unwrap().key().unwrap().public_key();
    process.kill().await.unwrap();
    start(&data).await;
    assert_eq!(DataDir::open(data.clone()).unwrap().key().unwrap().public_key(), first);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("relay-key.pk8"))), (0o700, 0o600));
    }
}

#[tokio::test]
async fn wrong_settings_end_with_a_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_relay"))
        .args(["--name", "No Name", "--join-secret", "x"])
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("a relay name is"));
}
