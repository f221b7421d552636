//! A Redis that directories share: it can die and come back empty, or be out of reach and come back as it was.

use std::{net::SocketAddr, path::Path, process::Stdio};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::{Proxy, eventually, server::fixed_port};

/// Debian's own, which keeps nothing on disk here.
const PROGRAM: &str = "redis-server";

/// A running store. Killed when it is dropped.
pub struct Store {
    address: SocketAddr,
    way: Proxy,
    child: Option<Child>,
}

impl Store {
    pub(crate) async fn start(folder: &Path) -> Self {
        let address = fixed_port();
        let mut store = Self { address, way: Proxy::before(address).await, child: None };
        store.begin(folder).await;
        store
    }

    async fn begin(&mut self, folder: &Path) {
        let mut command = Command::new(PROGRAM);
        command.args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{PROGRAM} has to be installed: {error}")));
        eventually("the store", async || TcpStream::connect(self.address).await.ok()).await;
    }

    /// What directories are told.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.way.address())
    }

    /// The way to it, which weather may come over.
    #[must_use]
    pub const fn way(&self) -> &Proxy {
        &self.way
    }

    /// Ends it by force: what it held is gone.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("the store runs");
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    pub(crate) async fn restart(&mut self, folder: &Path) {
        self.begin(folder).await;
    }
}
