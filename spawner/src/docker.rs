//! Relays as containers of a Docker Engine. Only containers that bear this fleet's label are ever touched.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    ClientVersion,
    models::{
        ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum as State, HostConfig, HostConfigLogConfig,
        Mount, MountType, PortBinding, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        StopContainerOptionsBuilder,
    },
};
use protocol::RelayName;
use tokio::task::JoinSet;
use tracing::warn;

use crate::{Join, Phase, PortRange, PublicUrl, SpawnError, Spawned, Spawner};

/// Says whose containers these are.
const LABEL_FLEET: &str = "dead-streaming.fleet";

/// Says which relay it is.
const LABEL_RELAY: &str = "dead-streaming.relay";

/// Says which port of the host it has.
const LABEL_PORT: &str = "dead-streaming.port";

/// Where a relay listens within its container.
const PORT_INSIDE: u16 = 5001;

/// The version of the Engine's API that is meant: engines since early 2024 know it, and newer ones still do. Calls go without a
/// version before their paths, which the Engine takes as its own newest; nothing that is used here has changed since.
const API_VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 44 };

/// Longest a call may take, besides the stop of a container.
const CALL_SECONDS_MAX: u64 = 30;

/// How often the Engine starts a relay again that has failed by itself.
const RESTARTS_MAX: i64 = 5;

/// How many ports are tried when others hold the first ones.
const PORT_TRIES_MAX: usize = 8;

/// How containers are made.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// The Engine: `unix:///var/run/docker.sock`, or http://HOST:PORT of one that is reachable without TLS.
    pub host: String,
    /// Whose containers these are: two directories at one Engine have two names.
    pub fleet: String,
    /// The image, which holds the `relay` command.
    pub image: String,
    /// The network that containers join, on which the directory is reachable.
    pub network: Option<String>,
    /// Ports of the host that relays are published at.
    pub ports: PortRange,
    /// How people reach them.
    pub public_url: PublicUrl,
    /// Settings for every relay, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// How long a relay may take to end before the Engine kills it.
    pub stop_time_max: Duration,
    /// What they join with.
    pub join: Join,
}

/// Runs relays as containers.
#[derive(Debug)]
pub struct Docker {
    config: DockerConfig,
    engine: bollard::Docker,
    stops: Mutex<Stops>,
}

/// Stops under way: the Engine answers them when the container has ended.
#[derive(Debug, Default)]
struct Stops {
    names: BTreeSet<RelayName>,
    tasks: JoinSet<RelayName>,
}

impl Docker {
    /// Finds the Engine; nothing is asked of it yet.
    ///
    /// # Errors
    /// When `config.host` is no address of an Engine.
    pub fn new(config: DockerConfig) -> Result<Self, SpawnError> {
        // A stop is answered when it is done.
        let seconds_max = CALL_SECONDS_MAX + config.stop_time_max.as_secs();
        let host = config.host.as_str();
        let engine = if host.starts_with("unix://") || host.starts_with('/') {
            bollard::Docker::connect_with_socket(host, seconds_max, &API_VERSION)
        } else {
            bollard::Docker::connect_with_http(host, seconds_max, &API_VERSION)
        }
        .map_err(SpawnError::api(format!("the Docker Engine at {host}")))?;
        Ok(Self { config, engine, stops: Mutex::default() })
    }

    /// Own containers. The Engine filters by label, and what it answers is checked again.
    async fn own(&self) -> Result<Vec<Own>, SpawnError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL_FLEET}={}", self.config.fleet)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers =
            self.engine.list_containers(Some(options)).await.map_err(SpawnError::api("listing own containers"))?;
        Ok(containers.into_iter().filter_map(|container| Own::new(container, &self.config.fleet)).collect())
    }

    async fn create(&self, name: &RelayName, port: u16) -> Result<(), SpawnError> {
        let container = format!("dead-streaming-{}-{name}", self.config.fleet);
        let options = CreateContainerOptionsBuilder::default().name(&container).build();
        let body = self.body(name, port)?;
        let made = self
            .engine
            .create_container(Some(options), body)
            .await
            .map_err(SpawnError::api(format!("making the container {container}")))?;
        if let Err(error) = self.engine.start_container(&made.id, None).await {
            self.remove(&made.id).await?;
            return Err(SpawnError::api(format!("starting the container {container}"))(error));
        }
        Ok(())
    }

    fn body(&self, name: &RelayName, port: u16) -> Result<ContainerCreateBody, SpawnError> {
        let config = &self.config;
        let refused = |error| SpawnError::Refused { what: "the public address".into(), said: format!("{error}") };
        let public_url = config.public_url.of(name, port).map_err(refused)?;
        let mut environment = config.environment.clone();
        environment.extend(config.join.environment(name).map(|(key, value)| format!("{key}={value}")));
        environment.extend([
            format!("RELAY_LISTEN=0.0.0.0:{PORT_INSIDE}"),
            format!("RELAY_PUBLIC_URL={public_url}"),
            "RELAY_DATA_DIR=/data".into(),
            "LOG_FORMAT=json".into(),
        ]);
        // By UDP for WebTransport.
        let inside = ["tcp", "udp"].map(|protocol| format!("{PORT_INSIDE}/{protocol}"));
        let published = PortBinding { host_ip: None, host_port: Some(port.to_string()) };
        // The volume holds the key that the relay's name belongs to: it outlives the container.
        let volume = Mount {
            typ: Some(MountType::VOLUME),
            source: Some(format!("dead-streaming-{}-{name}", config.fleet)),
            target: Some("/data".into()),
            ..Mount::default()
        };
        Ok(ContainerCreateBody {
            image: Some(config.image.clone()),
            cmd: Some(vec!["relay".into()]),
            env: Some(environment),
            labels: Some(HashMap::from([
                (LABEL_FLEET.into(), config.fleet.clone()),
                (LABEL_RELAY.into(), name.to_string()),
                (LABEL_PORT.into(), port.to_string()),
            ])),
            exposed_ports: Some(inside.to_vec()),
            stop_timeout: i64::try_from(config.stop_time_max.as_secs()).ok(),
            host_config: Some(HostConfig {
                network_mode: config.network.clone(),
                port_bindings: Some(inside.map(|inside| (inside, Some(vec![published.clone()]))).into()),
                restart_policy: Some(RestartPolicy {
                    name: Some(RestartPolicyNameEnum::ON_FAILURE),
                    maximum_retry_count: Some(RESTARTS_MAX),
                }),
                mounts: Some(vec![volume]),
                init: Some(true),
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".into()]),
                security_opt: Some(vec!["no-new-privileges:true".into()]),
                log_config: Some(HostConfigLogConfig {
                    typ: Some("json-file".into()),
                    config: Some(HashMap::from([("max-size".into(), "16m".into()), ("max-file".into(), "2".into())])),
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        })
    }

    async fn remove(&self, id: &str) -> Result<(), SpawnError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = self.engine.remove_container(id, Some(options)).await;
        gone_is_good(removed).map_err(SpawnError::api("removing a container"))
    }

    fn stops(&self) -> std::sync::MutexGuard<'_, Stops> {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(done) = stops.tasks.try_join_next() {
            if let Ok(name) = done {
                stops.names.remove(&name);
            }
        }
        stops
    }
}

#[async_trait]
impl Spawner for Docker {
    async fn start(&self, name: &RelayName) -> Result<(), SpawnError> {
        let own = self.own().await?;
        if let Some(old) = own.iter().find(|own| own.name == *name) {
            if old.phase != Phase::Ended {
                return Ok(());
            }
            self.remove(&old.id).await?;
        }
        let taken: BTreeSet<u16> = own.iter().filter_map(|own| own.port).collect();
        let mut problem = SpawnError::NoPort(self.config.ports);
        for port in self.config.ports.ports().filter(|port| !taken.contains(port)).take(PORT_TRIES_MAX) {
            match self.create(name, port).await {
                Err(error) if is_port_taken(&error) => problem = error,
                done => return done,
            }
        }
        Err(problem)
    }

    async fn stop(&self, name: &RelayName) -> Result<(), SpawnError> {
        let Some(own) = self.own().await?.into_iter().find(|own| own.name == *name) else {
            return Ok(());
        };
        if own.phase == Phase::Ended {
            return self.remove(&own.id).await;
        }
        let (engine, name, time_max) = (self.engine.clone(), name.clone(), self.config.stop_time_max);
        let mut stops = self.stops();
        if stops.names.insert(name.clone()) {
            stops.tasks.spawn(stop(engine, own.id, name, time_max));
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Spawned>, SpawnError> {
        let own = self.own().await?;
        let stops = self.stops();
        let describe = |own: Own| {
            let stopping = stops.names.contains(&own.name);
            let phase = if stopping { Phase::Stopping } else { own.phase };
            let address = own.port.map(|port| format!("0.0.0.0:{port}"));
            Spawned { name: own.name, phase, restarts: 0, address }
        };
        Ok(own.into_iter().map(describe).collect())
    }
}

/// Stops a container and clears it away; its volume stays.
async fn stop(engine: bollard::Docker, id: String, name: RelayName, time_max: Duration) -> RelayName {
    let seconds = i32::try_from(time_max.as_secs()).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::default().t(seconds).build();
    let stopped = gone_is_good(engine.stop_container(&id, Some(options)).await);
    let removed = match stopped {
        Ok(()) => gone_is_good(engine.remove_container(&id, None).await),
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        warn!(relay = %name, %error, "a relay's container was not stopped");
    }
    name
}

/// One of our containers.
struct Own {
    id: String,
    name: RelayName,
    port: Option<u16>,
    phase: Phase,
}

impl Own {
    fn new(container: ContainerSummary, fleet: &str) -> Option<Self> {
        let labels = container.labels?;
        if labels.get(LABEL_FLEET).map(String::as_str) != Some(fleet) {
            return None;
        }
        Some(Self {
            id: container.id?,
            name: labels.get(LABEL_RELAY)?.parse().ok()?,
            port: labels.get(LABEL_PORT).and_then(|port| port.parse().ok()),
            phase: match container.state {
                Some(State::EXITED | State::DEAD | State::CREATED) => Phase::Ended,
                Some(State::REMOVING | State::STOPPING) => Phase::Stopping,
                _ => Phase::Running,
            },
        })
    }
}

/// What was to go and is not there any more has gone; 304 says that it had ended before.
fn gone_is_good(done: Result<(), bollard::errors::Error>) -> Result<(), bollard::errors::Error> {
    match done {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 304 | 404, .. }) => Ok(()),
        done => done,
    }
}

fn is_port_taken(error: &SpawnError) -> bool {
    let SpawnError::Api { source, .. } = error else {
        return false;
    };
    let words = source.to_string();
    words.contains("port is already allocated") || words.contains("address already in use")
}
