//! What the operator of a system's directory does.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::System;
use crate::{eventually, process::binary};

/// Time between two of the operator's calls: the directory takes 300 a minute from one address, and whoever waits for something may
/// ask for long.
const CALL_INTERVAL: Duration = Duration::from_millis(200);

/// When the operator may make the next call.
#[derive(Debug, Default)]
pub(super) struct Pace(tokio::sync::Mutex<Option<Instant>>);

impl Pace {
    async fn wait(&self) {
        let mut next = self.0.lock().await;
        if let Some(next) = *next {
            sleep_until(next).await;
        }
        *next = Some(Instant::now() + CALL_INTERVAL);
    }
}

impl System {
    /// Waits until the directory gives this relay work: it has found the relay's key at its address.
    pub async fn is_assigned(&self, name: &str) {
        eventually(&format!("work for {name}"), async || {
            let token = std::fs::read_to_string(self.directory.data.join("operator-token")).ok()?;
            let url = format!("http://{}/operator/relays", self.internal());
            self.operators_pace.wait().await;
            let list: Value = self.http.get(url).bearer_auth(token.trim()).send().await.ok()?.json().await.ok()?;
            let relay = list["relays"].as_array()?.iter().find(|relay| relay["name"] == name)?.clone();
            (relay["state"] == "ready").then_some(())
        })
        .await;
    }

    /// Runs a subcommand of the directory as its operator would; what it printed.
    pub async fn operator(&self, arguments: &[&str]) -> String {
        self.try_operator(arguments).await.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// The same; what it complained about when it failed.
    pub async fn try_operator(&self, arguments: &[&str]) -> Result<String, String> {
        self.operators_pace.wait().await;
        let output = tokio::process::Command::new(binary("directory"))
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.directory.data)
            .args(["--internal-listen", &self.directory.internal.to_string()])
            .env_clear()
            .output()
            .await
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
