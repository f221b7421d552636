//! What the real binary writes to its log, at the most talkative: no ticket, secret, key or address of anybody.

use std::{process::Stdio, sync::Arc, time::Duration};

use protocol::{ErrorCode, Secret, ticket::Action};
use relay::data_dir::DataDir;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::Mutex,
    time::timeout,
};

use crate::driver::{PATIENCE, PICTURE, Peer, grant, new_key, stream, tracks};

#[tokio::test]
async fn most_talkative_log_tells_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let signer = new_key();
    let data_dir = DataDir::open(folder.path().into()).unwrap();
    data_dir.keep_ticket_key(&signer.public_key()).unwrap();
    data_dir.keep_membership(&"membership-of-tests".into()).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_relay"))
        .args(["--name", "relay-1", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0"])
        .args(["--directory", "http://127.0.0.1:9", "--data-dir"])
        .arg(folder.path())
        .env("JOIN_SECRET", "secret-of-tests")
        .env("JOIN_TOKEN", "token-of-tests")
        .env("RUST_LOG", "trace")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut log = String::new();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("the relay has ended");
        log.push_str(&line);
        if let Some((_, rest)) = line.split_once(" listen=") {
            break rest.split(' ').next().unwrap().parse().unwrap();
        }
    };
    let log = Arc::new(Mutex::new(log));
    let reading = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = log.lock().await;
                log.push_str(&line);
                log.push('\n');
            }
        }
    });

    let publish = signer.sign(&grant(Action::Publish, stream(1), 1)).unwrap();
    let watch = signer.sign(&grant(Action::Watch, stream(1), 1)).unwrap();
    let forged = new_key().sign(&grant(Action::Watch, stream(1), 1)).unwrap();
    let mut broadcaster = Peer::connect(address, None).await;
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": publish, "tracks": tracks()})).await;
    broadcaster.text("stream_registered").await;
    let mut viewer = Peer::connect(address, None).await;
    viewer.say(json!({"type": "watch_stream", "protocol": 1, "ticket": watch})).await;
    viewer.text("watching").await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    viewer.payloads(2).await;
    broadcaster.renew(&publish).await;
    viewer.renew(&forged).await;
    viewer.ends_with(ErrorCode::TicketInvalid).await;
    let mut directory = Peer::connect(address, None).await;
    directory.say(json!({"type": "identify", "protocol": 1, "challenge": "challenge-of-tests"})).await;
    let identity = directory.text("identity").await["identity"].as_str().unwrap().to_owned();
    let addresses = [&broadcaster, &viewer, &directory].map(|peer| peer.address().to_string());
    drop(broadcaster);
    drop(directory);
    let told = async {
        while !log.lock().await.contains("a broadcaster left") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    process.kill().await.unwrap();
    reading.await.unwrap();

    let log = log.lock().await;
    assert!(log.contains("TRACE"), "the log is as talkative as it can be");
    let texts = ["secret-of-tests", "token-of-tests", "membership-of-tests", &identity].map(Secret::from);
    for secret in [publish, watch, forged].iter().chain(&texts) {
        // The signature alone is as good as a name for it; hexadecimal is how frames are written.
        let text = secret.expose().rsplit('.').next().unwrap();
        for shown in [text.to_owned(), hex::encode(text)] {
            assert!(!log.contains(&shown), "the log has {shown}:\n{}", line_with(&log, &shown));
        }
    }
    for address in addresses {
        assert!(!log.contains(&address), "the log has the address of a peer:\n{}", line_with(&log, &address));
    }
}

fn line_with<'log>(log: &'log str, text: &str) -> &'log str {
    log.lines().find(|line| line.contains(text)).unwrap_or_default()
}
