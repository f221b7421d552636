//! A Redis server on a free port, that ends with the test.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpListener, time::sleep};

/// Far above what its start takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub(crate) struct RedisServer {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl RedisServer {
    /// An empty one.
    pub(crate) async fn start() -> Self {
        // Between the look for a free port and its use somebody else may take it.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let folder = tempfile::tempdir().unwrap();
            let child = run(port, &folder);
            let mut server = Self { port, folder, child };
            if server.answers().await {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, with all that it knows.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it once more, empty, at the same address.
    pub(crate) async fn start_again(&mut self) {
        self.child = run(self.port, &self.folder);
        assert!(self.answers().await, "redis-server does not start again");
    }

    async fn answers(&mut self) -> bool {
        let client = redis::Client::open(self.url()).unwrap();
        let ready = async {
            while self.child.try_wait().unwrap().is_none() {
                if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                    && redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
                {
                    return true;
                }
                sleep(Duration::from_millis(10)).await;
            }
            false
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(port: u16, folder: &TempDir) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string(), "--dir"]);
    let started = command.arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.expect("redis-server can't be started; `scripts/system_packages test` installs it")
}
