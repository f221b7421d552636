//! Relays as processes beside this one, on the same machine. They end when this process does, also when it is killed.

mod child;
mod log_file;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use protocol::RelayName;
use tokio::task::JoinSet;

use self::child::{Child, Plan};
use crate::{Join, Phase, PortRange, PublicUrl, SpawnError, Spawned, Spawner};

/// How local relays are run.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The relay's program.
    pub program: PathBuf,
    /// The folder that holds a folder for each relay: its keys and its log.
    pub folder: PathBuf,
    /// The address that relays listen at.
    pub listen: IpAddr,
    /// Ports they may have; `None`: the system gives them one.
    pub ports: Option<PortRange>,
    /// How people reach them; `None`: at this machine's own address.
    pub public_url: Option<PublicUrl>,
    /// Settings for every relay, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// How long a relay may take to end before it is killed.
    pub stop_time_max: Duration,
    /// What they join with.
    pub join: Join,
}

/// Runs relays as child processes.
#[derive(Debug)]
pub struct Local {
    house: Arc<House>,
    keepers: Mutex<JoinSet<()>>,
}

/// What the children share.
#[derive(Debug)]
struct House {
    config: LocalConfig,
    children: Mutex<BTreeMap<RelayName, Child>>,
}

impl Local {
    /// A machine with no relays yet.
    #[must_use]
    pub fn new(config: LocalConfig) -> Self {
        Self { house: Arc::new(House { config, children: Mutex::default() }), keepers: Mutex::default() }
    }
}

impl House {
    /// Nothing that holds this lock waits or panics half-way, so that what it guards is good in any case.
    fn children(&self) -> MutexGuard<'_, BTreeMap<RelayName, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next process of this relay is started with: its port is free now, its token is new.
    fn plan(&self, name: &RelayName) -> Result<Plan, SpawnError> {
        let config = &self.config;
        let folder = config.folder.join(name.as_str());
        std::fs::create_dir_all(&folder).map_err(SpawnError::io(format!("making the folder {}", folder.display())))?;
        let port = self.free_port(name)?;
        let pair = |setting: &String| setting.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut environment: Vec<(String, String)> = config.environment.iter().filter_map(pair).collect();
        environment.extend(config.join.environment(name).map(|(key, value)| (key.to_owned(), value)));
        let mut set = |key: &str, value: String| environment.push((key.to_owned(), value));
        set("RELAY_LISTEN", SocketAddr::new(config.listen, port).to_string());
        set("RELAY_INTERNAL_LISTEN", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0).to_string());
        set("RELAY_DATA_DIR", folder.display().to_string());
        set("LOG_FORMAT", "json".to_owned());
        if let Some(public_url) = &config.public_url {
            let refused = |error| SpawnError::Refused { what: "the public address".into(), said: format!("{error}") };
            set("RELAY_PUBLIC_URL", public_url.of(name, port).map_err(refused)?.to_string());
        }
        Ok(Plan {
            program: config.program.clone(),
            environment,
            log: folder.join("relay.log"),
            port,
            grace: config.stop_time_max,
        })
    }

    /// A port that nobody listens at. Somebody may take it before the relay does; then the relay ends, and gets another one.
    fn free_port(&self, name: &RelayName) -> Result<u16, SpawnError> {
        let Some(range) = self.config.ports else {
            return Ok(0);
        };
        let given: BTreeSet<u16> =
            self.children().iter().filter(|(other, _)| *other != name).map(|(_, child)| child.port()).collect();
        let free = |port: &u16| !given.contains(port) && TcpListener::bind((self.config.listen, *port)).is_ok();
        range.ports().find(free).ok_or(SpawnError::NoPort(range))
    }
}

#[async_trait]
impl Spawner for Local {
    async fn start(&self, name: &RelayName) -> Result<(), SpawnError> {
        if self.house.children().get(name).is_some_and(|child| child.phase() != Phase::Ended) {
            return Ok(());
        }
        let plan = self.house.plan(name)?;
        let (child, process) = Child::start(&plan)?;
        self.house.children().insert(name.clone(), child);
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        while keepers.try_join_next().is_some() {}
        keepers.spawn(child::keep(Arc::clone(&self.house), name.clone(), process));
        Ok(())
    }

    async fn stop(&self, name: &RelayName) -> Result<(), SpawnError> {
        let mut children = self.house.children();
        match children.get_mut(name) {
            Some(child) if child.phase() == Phase::Ended => {
                children.remove(name);
            }
            Some(child) => child.stop(),
            None => {}
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Spawned>, SpawnError> {
        Ok(self.house.children().iter_mut().map(|(name, child)| child.describe(name)).collect())
    }

    async fn close(&self) {
        self.house.children().values_mut().for_each(Child::stop);
        let mut keepers = std::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        while keepers.join_next().await.is_some() {}
    }
}
