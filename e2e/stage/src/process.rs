//! One of the product's binaries, its log, and its end.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
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

    /// Its number, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Every line of the log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Ends it by force, as a power cut would, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Vec<String> {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        self.log()
    }

    /// Asks it to end, as an operator would.
    pub(crate) fn ask_to_end(&mut self) {
        ask_to_end(&mut self.child);
    }

    /// Waits for its end. None when it does not come within `patience`; it is killed then.
    pub(crate) async fn ended(mut self, patience: Duration) -> (Option<ExitStatus>, Vec<String>) {
        let status = timeout(patience, self.child.wait()).await;
        (status.ok().map(Result::unwrap), self.log())
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
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, found).await.expect("the server never came up")
    }
}

/// Asks a process to end, as an operator would.
#[cfg(unix)]
pub(crate) fn ask_to_end(child: &mut Child) {
    let id = child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().unwrap()));
    rustix::process::kill_process(id.expect("it runs"), rustix::process::Signal::TERM).unwrap();
}

/// Ends a process by force: there is no signal to ask it with here.
#[cfg(not(unix))]
pub(crate) fn ask_to_end(child: &mut Child) {
    child.start_kill().unwrap();
}

fn addresses_in(line: &str, message: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    (line["message"] == message).then(|| Some((address("listen")?, address("internal_listen")?)))?
}

/// The path of a binary: in the folder `BINARIES` where it is set, else of this build, or of the one that `PROFILE` names
/// (`release`), which lie beside the test's own.
pub(crate) fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("BINARIES").map_or_else(own_folder, PathBuf::from);
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: cargo build -p directory -p relay -p broadcaster", path.display());
    path
}

fn own_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap();
    // Tests lie one deeper than programs.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    match std::env::var_os("PROFILE") {
        Some(profile) => folder.parent().unwrap().join(profile),
        None => folder.to_owned(),
    }
}
