//! One of the product's binaries, its log, and its end.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::PATIENCE;

/// A running server. Killed when it is dropped.
pub(crate) struct Process {
    log: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Process {
    /// Starts a binary of this build with JSON logs.
    pub(crate) fn start(name: &str, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(binary(name));
        command.env_clear().env("LOG_FORMAT", "json").env("RUST_LOG", "debug").stdout(Stdio::null());
        change(&mut command);
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        Self { log, child }
    }

    /// Every line of the log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Two addresses of the first line that says `message`: of the public and of the internal listener.
    pub(crate) async fn addresses(&mut self, message: &str) -> (SocketAddr, SocketAddr) {
        let found = async {
            loop {
                let line = self.log().iter().find_map(|line| addresses_in(line, message));
                if let Some(addresses) = line {
                    return addresses;
                }
                assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", self.log().join("\n"));
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, found).await.expect("the server never came up")
    }
}

fn addresses_in(line: &str, message: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    (line["message"] == message).then(|| Some((address("listen")?, address("internal_listen")?)))?
}

/// The path of a binary of this build, which lies beside the test's own.
pub(crate) fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: cargo build -p directory -p relay", path.display());
    path
}
