//! Relays as processes beside this one, on the same machine. Streams must not end because a directory is restarted: relays outlive
//! this process, also when it is killed, and the next one that is given the same folder takes them over. When none comes in time,
//! they end.

mod child;
mod guard;
mod log_file;
mod pipe;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use protocol::RelayName;
use tokio::task::JoinSet;
use tracing::info;

use self::{
    child::{Child, Process},
    guard::Plan,
    log_file::LogFile,
    pipe::Pipe,
};
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
    /// How long relays go on when this process has ended, unless another takes them over; zero: they end with it.
    pub alone_time_max: Duration,
    /// What they join with.
    pub join: Join,
}

/// What relays that run get as settings for one core: as many as there are cores serve side by side, and each says how much of its
/// own it uses.
const ONE_CORE: (&str, &str) = ("TOKIO_WORKER_THREADS", "1");

/// Runs relays as processes.
#[derive(Debug)]
pub struct Local {
    house: Arc<House>,
    keepers: Mutex<JoinSet<()>>,
    /// Held as long as this lives: two processes that look after the same relays would start and stop them against each other.
    _lock: File,
}

/// What the children share.
#[derive(Debug)]
struct House {
    config: LocalConfig,
    children: Mutex<BTreeMap<RelayName, Child>>,
}

impl Local {
    /// Begins with the relays that an earlier process has started in the same folder and that still run. To be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// When the folder can't be used, or another process uses it.
    pub fn open(config: LocalConfig) -> Result<Self, SpawnError> {
        let folder = &config.folder;
        fs::create_dir_all(folder).map_err(SpawnError::io(format!("making the folder {}", folder.display())))?;
        let lock = lock(folder)?;
        let running = running(folder).map_err(SpawnError::io(format!("looking for relays in {}", folder.display())))?;
        let names: Vec<_> = running.keys().cloned().collect();
        let house = Arc::new(House { config, children: Mutex::new(running) });
        let mut keepers = JoinSet::new();
        for name in names {
            info!(relay = %name, "a local relay has gone on, and is taken over");
            keepers.spawn(child::keep(Arc::clone(&house), name, Process::Adopted));
        }
        Ok(Self { house, keepers: Mutex::new(keepers), _lock: lock })
    }
}

fn lock(folder: &Path) -> Result<File, SpawnError> {
    let path = folder.join("lock");
    let tried = || format!("locking {}", path.display());
    let file = File::create(&path).map_err(SpawnError::io(tried()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpawnError::Refused {
            what: format!("the folder {}", folder.display()),
            said: "another process starts relays there: give this one another".to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(SpawnError::io(tried())(error)),
    }
}

/// The relays in this folder that run.
fn running(folder: &Path) -> io::Result<BTreeMap<RelayName, Child>> {
    let mut running = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(name) = name.filter(|_| entry.path().is_dir()) else { continue };
        let files = Files::of(&entry.path());
        if let Some(log) = LogFile::of_running(&files.log)? {
            running.insert(name, Child::adopt(log, Pipe::open(&files.pipe)?));
        }
    }
    Ok(running)
}

/// What is in a relay's folder besides its own keys.
struct Files {
    log: PathBuf,
    pipe: PathBuf,
}

impl Files {
    fn of(folder: &Path) -> Self {
        Self { log: folder.join("relay.log"), pipe: folder.join("guard") }
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
        fs::create_dir_all(&folder).map_err(SpawnError::io(format!("making the folder {}", folder.display())))?;
        let port = self.free_port(name)?;
        let pair = |setting: &String| setting.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut environment = vec![(ONE_CORE.0.to_owned(), ONE_CORE.1.to_owned())];
        environment.extend(config.environment.iter().filter_map(pair));
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
        let Files { log, pipe } = Files::of(&folder);
        Ok(Plan {
            program: config.program.clone(),
            environment,
            log,
            pipe,
            port,
            grace: config.stop_time_max,
            alone_time_max: config.alone_time_max,
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
            Some(child) => child.stop().map_err(SpawnError::io(format!("telling {name} to stop")))?,
            None => {}
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Spawned>, SpawnError> {
        Ok(self.house.children().iter_mut().map(|(name, child)| child.describe(name)).collect())
    }

    async fn close(&self) {
        let mut keepers = std::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        let alone = self.house.config.alone_time_max;
        if alone.is_zero() {
            // One that can't be told learns it by the end of its pipe.
            self.house.children().values_mut().for_each(|child| drop(child.stop()));
            while keepers.join_next().await.is_some() {}
            return;
        }
        keepers.shutdown().await;
        let left = std::mem::take(&mut *self.house.children());
        let relays = left.values().filter(|child| child.phase() == Phase::Running).count();
        if relays > 0 {
            let (seconds, folder) = (alone.as_secs(), self.house.config.folder.display());
            info!(relays, seconds, %folder, "local relays go on for a time, until they are taken over");
        }
    }
}
