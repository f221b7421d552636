//! The machinery that starts relays: processes for real, with a small stand-in for the relay; the APIs of Docker and Kubernetes
//! against servers that check requests and answer as the real ones do.
#![expect(clippy::unwrap_used, reason = "what helps a test may fail like one")]

mod command;
mod docker;
mod fleet;
mod kubernetes;
mod local;
mod manifests;
mod outliving;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use protocol::RelayName;
use spawner::{Join, Phase, Spawned, Spawner};

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn name(text: &str) -> RelayName {
    text.parse().unwrap()
}

/// Tokens that tell for whom and the how manieth they are.
fn join() -> Join {
    let count = AtomicU32::new(0);
    Join {
        directory: "http://directory.test:5000".parse().unwrap(),
        token: Arc::new(move |name| format!("token-{name}-{}", count.fetch_add(1, Ordering::Relaxed)).into()),
    }
}

/// Writes a program.
fn script(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("program");
    // Moved to its place when it is whole and closed: a file that is open for writing can't be run.
    let draft = folder.join("program.draft");
    std::fs::write(&draft, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&draft, &file).unwrap();
    file
}

/// Looks again and again until it is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn file_holds(file: &Path) -> String {
    until(&format!("{} is written", file.display()), async || {
        std::fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'))
    })
    .await
}

async fn listed(spawner: &dyn Spawner, relay: &str) -> Option<Spawned> {
    spawner.list().await.unwrap().into_iter().find(|spawned| spawned.name.as_str() == relay)
}

async fn phase(spawner: &dyn Spawner, relay: &str) -> Option<Phase> {
    listed(spawner, relay).await.map(|spawned| spawned.phase)
}
