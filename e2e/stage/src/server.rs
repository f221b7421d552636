//! One directory or relay, which may be started, killed, asked to end and started again: with the same name, addresses and folder.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitStatus, time::Duration};

use crate::{Proxy, process::Process};

/// Everything a server needs to be started again.
pub(crate) struct Server {
    /// As a relay holds it; `directory` for the directory.
    pub(crate) name: String,
    pub(crate) binary: &'static str,
    /// What it logs when it is up.
    pub(crate) up: &'static str,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) internal: SocketAddr,
    pub(crate) cable: Option<Cable>,
    pub(crate) process: Option<Process>,
    pub(crate) past_log: Vec<String>,
}

/// The ways to and from a relay, which weather may come over.
#[derive(Debug)]
pub struct Cable {
    /// How people, and the directory that checks it, reach the relay.
    pub public: Proxy,
    /// How the relay reaches the directory.
    pub to_directory: Proxy,
}

impl Cable {
    /// Pulls the cable, or puts it back.
    pub fn pulled(&self, pulled: bool) {
        self.public.black_hole(pulled);
        self.to_directory.black_hole(pulled);
    }
}

impl Server {
    /// Starts it, and waits until it listens. From then on its addresses are fixed.
    pub(crate) async fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        let mut process = Process::start(self.binary, |command| {
            command.args(["--listen", &self.listen.to_string(), "--internal-listen", &self.internal.to_string()]);
            command.arg("--data-dir").arg(&self.data).args(&self.arguments);
            command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        });
        (self.listen, self.internal) = process.addresses(self.up).await;
        self.process = Some(process);
    }

    /// Ends it by force.
    pub(crate) async fn kill(&mut self) {
        let log = self.running().kill().await;
        self.past_log.extend(log);
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&mut self) {
        self.process.iter_mut().for_each(Process::ask_to_end);
    }

    /// Waits for its end; its exit status, or none when it took longer than `patience` and was killed.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let (status, log) = self.running().ended(patience).await;
        self.past_log.extend(log);
        status
    }

    fn running(&mut self) -> Process {
        self.process.take().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    pub(crate) fn log(&self) -> Vec<String> {
        let now = self.process.iter().flat_map(Process::log);
        self.past_log.iter().cloned().chain(now).collect()
    }
}

/// A port of loopback that is free now, and that the system gives to nobody who asks for any: a server that is down keeps it.
pub(crate) fn fixed_port() -> SocketAddr {
    // Processes that run at the same time begin apart from each other.
    let begin = 10_000 + (std::process::id() % 200) * 100;
    static GIVEN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    loop {
        let port = 10_000 + (begin - 10_000 + GIVEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
