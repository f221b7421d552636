//! One of the product's commands beside the servers, such as `broadcast`.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    PATIENCE, eventually,
    process::{ask_to_end, binary},
};

/// A running command. Killed when it is dropped.
pub struct Program {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    complained: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it with these arguments, and an environment of nothing but the way to other programs.
    #[must_use]
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary(name));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let said = lines(child.stdout.take().unwrap());
        let complained = lines(child.stderr.take().unwrap());
        Self { child, said, complained }
    }

    /// The first line of its standard output.
    pub async fn first_line(&self) -> String {
        eventually("the command's first line", async || self.said.lock().unwrap().first().cloned()).await
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.complained.lock().unwrap().clone()
    }

    /// Asks it to end, and waits until it has.
    pub async fn end(mut self) {
        ask_to_end(&mut self.child);
        let status = timeout(PATIENCE, self.child.wait()).await;
        assert!(status.is_ok(), "the command does not end: {:?}", self.complaints());
    }
}

fn lines(from: impl AsyncRead + Unpin + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let kept = Arc::<Mutex<Vec<String>>>::default();
    let into = Arc::clone(&kept);
    let mut lines = BufReader::new(from).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().unwrap().push(line);
        }
    });
    kept
}
