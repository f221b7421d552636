//! The flags of whoever runs a fleet, and the sentences for those that can't be.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use protocol::RelayName;
use url::Url;

use crate::{
    Command, CommandConfig, Fleet, Join, Local, LocalConfig, Names, PortRange, PublicUrl, Spawner, TokenSource,
    names::PREFIX_CHARS_MAX, scale::Bounds,
};

/// Most relays that may be allowed: as many names are at hand, and more than a directory looks after.
const RELAYS_MAX_MAX: u32 = 1000;

/// How far the bound for fewer relays has to be above the one for more: what a drained relay's people weigh elsewhere is known
/// roughly only.
const HEAD_ROOM_GAP_MIN: f64 = 0.1;

/// Longest of all times that can be set.
const SECONDS_MAX: u64 = 3600;

/// Longest that relays go on without a directory: a day, after which no stream can be brought back to one.
const ALONE_SECONDS_MAX: u64 = 24 * 3600;

/// How much longer than its own time a stop may take before it is asked for once more.
const LEAVE_TIME_MORE: Duration = Duration::from_secs(30);

/// By which machinery relays are started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// None: relays are started by people
    #[default]
    None,
    /// Processes on this machine
    Local,
    /// Containers of a Docker Engine
    Docker,
    /// Pods of a StatefulSet
    Kubernetes,
    /// Whatever --spawn-command does
    Command,
}

/// What relays on the directory's own machine have in common with it.
#[derive(Debug, Clone)]
pub struct OwnMachine {
    /// Where the directory is reached on this machine.
    pub directory: Url,
    /// The address it listens at.
    pub listen: IpAddr,
    /// Settings for relays that are started there, `NAME=VALUE`, such as the directory's certificate.
    pub relays: Vec<String>,
}

/// How relays start and stop by themselves.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Relays that start by themselves")]
pub struct Flags {
    /// By which machinery relays are started and stopped as they are needed
    #[arg(long, env = "SPAWN", value_enum, default_value_t)]
    pub spawn: Kind,

    /// Fewest relays that serve, whoever has started them
    #[arg(long, env = "RELAYS_MIN", default_value_t = 1, value_name = "COUNT")]
    pub relays_min: u32,

    /// Most relays that are started; with --spawn local it is one for each core unless set
    #[arg(long, env = "RELAYS_MAX", value_name = "COUNT")]
    pub relays_max: Option<u32>,

    /// A relay is started when the best one has less head-room than this, 0 to 1
    #[arg(long, env = "SPAWN_HEAD_ROOM_MIN", default_value_t = 0.25, value_name = "SHARE")]
    pub spawn_head_room_min: f64,

    /// A relay is drained when the others would keep this head-room on average, 0 to 1
    #[arg(long, env = "SPAWN_HEAD_ROOM_KEPT", default_value_t = 0.5, value_name = "SHARE")]
    pub spawn_head_room_kept: f64,

    /// Seconds between one change and the next
    #[arg(long, env = "SPAWN_COOL_DOWN_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    pub spawn_cool_down_seconds: u64,

    /// Seconds there has to be too much head-room before a relay is drained
    #[arg(long, env = "SPAWN_CALM_SECONDS", default_value_t = 60, value_name = "SECONDS")]
    pub spawn_calm_seconds: u64,

    /// Seconds a relay may take from its start until it serves; after that it is stopped, and the next try waits longer
    #[arg(long, env = "SPAWN_START_SECONDS", default_value_t = 60, value_name = "SECONDS")]
    pub spawn_start_seconds: u64,

    /// Seconds a relay may take to send its people away before it is killed; more than the relay's own time for that
    #[arg(long, env = "SPAWN_STOP_SECONDS", default_value_t = 30, value_name = "SECONDS")]
    pub spawn_stop_seconds: u64,

    /// What the names of started relays begin with (with --spawn kubernetes they are those of the StatefulSet)
    #[arg(long, env = "SPAWN_PREFIX", default_value = "spawned", value_name = "NAME")]
    pub spawn_prefix: String,

    /// Where started relays reach the directory [default: where it listens on this machine, with --spawn local]
    #[arg(long, env = "SPAWN_DIRECTORY_URL", value_name = "URL")]
    pub spawn_directory_url: Option<Url>,

    /// Ports that started relays get, such as 5100-5199 [default: any free one, with --spawn local]
    #[arg(long, env = "SPAWN_PORTS", value_name = "FIRST-LAST")]
    pub spawn_ports: Option<PortRange>,

    /// The address people reach a started relay at, with {port} and {name} where those belong, such as
    /// ws://relays.example:{port}/ws [default: this machine's own, with --spawn local]
    #[arg(long, env = "SPAWN_PUBLIC_URL", value_name = "URL")]
    pub spawn_public_url: Option<PublicUrl>,

    /// With --spawn local: the relay's program [default: "relay" beside this program]
    #[arg(long, env = "SPAWN_PROGRAM", value_name = "FILE")]
    pub spawn_program: Option<PathBuf>,

    /// With --spawn local: the folder for the keys and logs of started relays
    #[arg(long, env = "SPAWN_DATA_DIR", default_value = "spawned-relays", value_name = "FOLDER")]
    pub spawn_data_dir: PathBuf,

    /// With --spawn local: seconds that started relays go on when the directory has ended; one that is started again in time, with the
    /// same --spawn-data-dir, takes them over, and else they end. 0: they end with the directory
    #[arg(long, env = "SPAWN_ALONE_SECONDS", default_value_t = 3600, value_name = "SECONDS")]
    pub spawn_alone_seconds: u64,

    /// With --spawn local: the address that started relays listen at [default: the one that the directory listens at]
    #[arg(long, env = "SPAWN_LISTEN", value_name = "ADDRESS")]
    pub spawn_listen: Option<IpAddr>,

    /// With --spawn docker: the Engine, unix:///PATH or http://HOST:PORT
    #[arg(long, env = "SPAWN_DOCKER_HOST", default_value = "unix:///var/run/docker.sock", value_name = "URL")]
    pub spawn_docker_host: String,

    /// With --spawn docker: the image that holds the relay
    #[arg(long, env = "SPAWN_IMAGE", default_value = "dead-streaming", value_name = "IMAGE")]
    pub spawn_image: String,

    /// With --spawn docker: the network on which the directory is reachable
    #[arg(long, env = "SPAWN_NETWORK", value_name = "NETWORK")]
    pub spawn_network: Option<String>,

    /// With --spawn local or docker: a setting for every relay, such as RELAY_VIEWERS_MAX=500; may be given more than once
    #[arg(long, env = "SPAWN_ENV", value_delimiter = ',', value_name = "NAME=VALUE")]
    pub spawn_env: Vec<String>,

    /// With --spawn kubernetes: the namespace [default: that of this pod or of the kubeconfig]
    #[arg(long, env = "SPAWN_NAMESPACE", value_name = "NAMESPACE")]
    pub spawn_namespace: Option<String>,

    /// With --spawn kubernetes: the StatefulSet of relays
    #[arg(long, env = "SPAWN_STATEFUL_SET", default_value = "relay", value_name = "NAME")]
    pub spawn_stateful_set: String,

    /// With --spawn kubernetes: the Secret that join tokens are written to
    #[arg(long, env = "SPAWN_SECRET", default_value = "relay-join", value_name = "NAME")]
    pub spawn_secret: String,

    /// With --spawn command: the program, run with `start NAME`, `stop NAME` and `list`
    #[arg(long, env = "SPAWN_COMMAND", value_name = "FILE")]
    pub spawn_command: Option<PathBuf>,

    /// With --spawn command: seconds each of its runs may take
    #[arg(long, env = "SPAWN_COMMAND_SECONDS", default_value_t = 60, value_name = "SECONDS")]
    pub spawn_command_seconds: u64,
}

impl Flags {
    /// Checks what the types of the flags can't.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<()> {
        if self.spawn == Kind::None {
            return Ok(());
        }
        self.check_bounds()?;
        let longest = format!("{}-{RELAYS_MAX_MAX}", self.spawn_prefix);
        ensure!(
            self.spawn_prefix.len() <= PREFIX_CHARS_MAX && longest.parse::<RelayName>().is_ok(),
            "--spawn-prefix is {:?}; give up to {PREFIX_CHARS_MAX} of a-z, 0-9 and \"-\"",
            self.spawn_prefix
        );
        if let Some(url) = &self.spawn_directory_url {
            ensure!(
                matches!(url.scheme(), "http" | "https"),
                "--spawn-directory-url is {url}; give an address that begins with http:// or https://"
            );
        } else {
            let kind = self.spawn;
            ensure!(
                matches!(kind, Kind::Local | Kind::Kubernetes),
                "--spawn-directory-url is missing: relays that are started elsewhere have to know where the directory is"
            );
        }
        if let Some(url) = &self.spawn_public_url {
            ensure!(
                url.tells_relays_apart(),
                "--spawn-public-url is {url}, the same for every relay; give one with {{port}} or {{name}} in it"
            );
        }
        if let (Some(ports), Kind::Local | Kind::Docker) = (&self.spawn_ports, self.spawn) {
            ensure!(
                ports.count() >= self.relays_max(),
                "--spawn-ports is {ports}, fewer than the {} relays of --relays-max",
                self.relays_max()
            );
        }
        for setting in &self.spawn_env {
            ensure!(setting.contains('='), "--spawn-env is {setting:?}; give NAME=VALUE");
        }
        self.check_kind()
    }

    fn check_bounds(&self) -> Result<()> {
        ensure!(
            self.spawn == Kind::Local || self.relays_max.is_some(),
            "--relays-max is missing: say how many relays may be started at most"
        );
        ensure!(
            (1..=RELAYS_MAX_MAX).contains(&self.relays_max()),
            "--relays-max is {}; give 1 to {RELAYS_MAX_MAX}",
            self.relays_max()
        );
        ensure!(
            self.relays_min <= self.relays_max(),
            "--relays-min is {}, above --relays-max, which is {}",
            self.relays_min,
            self.relays_max()
        );
        let (min, kept) = (self.spawn_head_room_min, self.spawn_head_room_kept);
        ensure!((0.0..1.0).contains(&min), "--spawn-head-room-min is {min}; give a share of at least 0 and below 1");
        ensure!(
            kept >= min + HEAD_ROOM_GAP_MIN && kept <= 1.0,
            "--spawn-head-room-kept is {kept}; give at least {HEAD_ROOM_GAP_MIN} more than --spawn-head-room-min ({min}), and \
             at most 1, or relays come and go without end"
        );
        for (flag, seconds, allowed) in [
            ("--spawn-cool-down-seconds", self.spawn_cool_down_seconds, 1..=SECONDS_MAX),
            ("--spawn-calm-seconds", self.spawn_calm_seconds, 1..=SECONDS_MAX),
            ("--spawn-start-seconds", self.spawn_start_seconds, 5..=SECONDS_MAX),
            ("--spawn-stop-seconds", self.spawn_stop_seconds, 1..=SECONDS_MAX),
            ("--spawn-command-seconds", self.spawn_command_seconds, 1..=SECONDS_MAX),
            ("--spawn-alone-seconds", self.spawn_alone_seconds, 0..=ALONE_SECONDS_MAX),
        ] {
            let (least, most) = (allowed.start(), allowed.end());
            ensure!(allowed.contains(&seconds), "{flag} is {seconds}; give {least} to {most}");
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<()> {
        match self.spawn {
            Kind::None => {}
            Kind::Local => {
                ensure!(cfg!(unix), "--spawn local needs a Unix system: start relays by hand, or with --spawn command");
                if let Some(url) = self.spawn_public_url.as_ref().filter(|url| url.names_the_port()) {
                    ensure!(
                        self.spawn_ports.is_some(),
                        "--spawn-public-url is {url}, and the port is not known before a relay runs: give --spawn-ports too"
                    );
                }
            }
            Kind::Docker => {
                ensure!(cfg!(feature = "docker"), "--spawn docker was left out when this program was built");
                ensure!(self.spawn_ports.is_some(), "--spawn-ports is missing: say which ports of the host relays get");
                let url = self.spawn_public_url.as_ref();
                ensure!(
                    url.is_some(),
                    "--spawn-public-url is missing: say how people reach a relay's port on the Engine's host"
                );
                let host = &self.spawn_docker_host;
                ensure!(
                    ["unix://", "/", "http://", "tcp://"].iter().any(|scheme| host.starts_with(scheme)),
                    "--spawn-docker-host is {host}; give unix:///PATH or http://HOST:PORT"
                );
            }
            Kind::Kubernetes => {
                ensure!(cfg!(feature = "kubernetes"), "--spawn kubernetes was left out when this program was built");
            }
            Kind::Command => {
                ensure!(
                    self.spawn_command.is_some(),
                    "--spawn-command is missing: give the program that starts relays"
                );
            }
        }
        Ok(())
    }

    /// Makes the fleet, unless there is to be none. `token` makes what a relay joins with. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// As [`Flags::check`], and when the machinery can't be found.
    pub async fn fleet(&self, own: &OwnMachine, token: TokenSource) -> Result<Option<Fleet>> {
        self.check()?;
        let directory = self.spawn_directory_url.clone().unwrap_or_else(|| own.directory.clone());
        let join = Join { directory, token };
        let stop_time_max = Duration::from_secs(self.spawn_stop_seconds);
        let spawner: Arc<dyn Spawner> = match self.spawn {
            Kind::None => return Ok(None),
            Kind::Local => Arc::new(Local::open(LocalConfig {
                program: self.program()?,
                folder: self.spawn_data_dir.clone(),
                listen: self.spawn_listen.unwrap_or(own.listen),
                ports: self.spawn_ports,
                public_url: self.spawn_public_url.clone(),
                environment: own.relays.iter().chain(&self.spawn_env).cloned().collect(),
                stop_time_max,
                alone_time_max: Duration::from_secs(self.spawn_alone_seconds),
                join,
            })?),
            Kind::Docker => self.docker(join)?,
            Kind::Kubernetes => self.kubernetes(join).await?,
            Kind::Command => Arc::new(Command::new(CommandConfig {
                program: self.spawn_command.clone().context("--spawn-command is missing")?,
                time_max: Duration::from_secs(self.spawn_command_seconds),
                join,
            })),
        };
        let prefix = if self.spawn == Kind::Kubernetes { &self.spawn_stateful_set } else { &self.spawn_prefix };
        Ok(Some(Fleet::new(spawner, self.bounds(), Names::new(prefix))))
    }

    #[cfg(feature = "docker")]
    fn docker(&self, join: Join) -> Result<Arc<dyn Spawner>> {
        Ok(Arc::new(crate::Docker::new(crate::DockerConfig {
            host: self.spawn_docker_host.clone(),
            fleet: self.spawn_prefix.clone(),
            image: self.spawn_image.clone(),
            network: self.spawn_network.clone(),
            ports: self.spawn_ports.context("--spawn-ports is missing")?,
            public_url: self.spawn_public_url.clone().context("--spawn-public-url is missing")?,
            environment: self.spawn_env.clone(),
            stop_time_max: Duration::from_secs(self.spawn_stop_seconds),
            join,
        })?))
    }

    #[cfg(not(feature = "docker"))]
    fn docker(&self, _: Join) -> Result<Arc<dyn Spawner>> {
        bail!("--spawn docker was left out when this program was built")
    }

    #[cfg(feature = "kubernetes")]
    async fn kubernetes(&self, join: Join) -> Result<Arc<dyn Spawner>> {
        let client = crate::kubernetes::client().await.context("the Kubernetes API can't be found")?;
        Ok(Arc::new(crate::Kubernetes::new(crate::KubernetesConfig {
            client,
            namespace: self.spawn_namespace.clone(),
            stateful_set: self.spawn_stateful_set.clone(),
            secret: self.spawn_secret.clone(),
            join,
        })))
    }

    #[cfg(not(feature = "kubernetes"))]
    async fn kubernetes(&self, _: Join) -> Result<Arc<dyn Spawner>> {
        bail!("--spawn kubernetes was left out when this program was built")
    }

    fn program(&self) -> Result<PathBuf> {
        let program = match &self.spawn_program {
            Some(program) => program.clone(),
            None => {
                let own =
                    std::env::current_exe().context("this program's own file can't be found; give --spawn-program")?;
                own.with_file_name(if cfg!(windows) { "relay.exe" } else { "relay" })
            }
        };
        if !program.is_file() {
            bail!("the relay's program is not at {}; give --spawn-program", program.display());
        }
        Ok(program)
    }

    fn relays_max(&self) -> u32 {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        self.relays_max.unwrap_or_else(cores)
    }

    fn bounds(&self) -> Bounds {
        let seconds = Duration::from_secs;
        Bounds {
            head_room_min: self.spawn_head_room_min,
            head_room_kept: self.spawn_head_room_kept,
            calm_time: seconds(self.spawn_calm_seconds),
            cool_down: seconds(self.spawn_cool_down_seconds),
            start_time_max: seconds(self.spawn_start_seconds),
            leave_time_max: seconds(self.spawn_stop_seconds) + LEAVE_TIME_MORE,
            ..Bounds::between(self.relays_min, self.relays_max())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    fn flags(arguments: &str) -> Flags {
        Program::try_parse_from(["program"].into_iter().chain(arguments.split_whitespace())).unwrap().flags
    }

    #[test]
    fn defaults_start_nothing_and_local_needs_nothing_more() {
        <Program as clap::CommandFactory>::command().debug_assert();
        assert_eq!(flags("").spawn, Kind::None);
        flags("").check().unwrap();
        flags("--spawn local").check().unwrap();
        assert!(flags("--spawn local").bounds().relays_max >= 1);
        assert_eq!(flags("--spawn local --relays-max 4").bounds(), Bounds::between(1, 4));
        flags("--spawn kubernetes --relays-max 3").check().unwrap();
        let docker = "--spawn docker --relays-max 3 --spawn-directory-url http://directory:5000 --spawn-ports 5100-5199 \
                      --spawn-public-url ws://localhost:{port}/ws";
        flags(docker).check().unwrap();
    }

    #[test]
    fn wrong_settings_are_sentences_that_name_the_flag() {
        for (arguments, words) in [
            ("--spawn docker", "--relays-max is missing"),
            ("--spawn local --relays-max 0", "--relays-max is 0; give 1 to"),
            ("--spawn local --relays-max 2 --relays-min 3", "--relays-min is 3, above --relays-max"),
            ("--spawn local --spawn-head-room-min 1", "--spawn-head-room-min is 1"),
            ("--spawn local --spawn-head-room-kept 0.3", "--spawn-head-room-kept is 0.3; give at least 0.1 more"),
            ("--spawn local --spawn-calm-seconds 0", "--spawn-calm-seconds is 0; give 1 to 3600"),
            ("--spawn local --spawn-alone-seconds 86401", "--spawn-alone-seconds is 86401; give 0 to 86400"),
            ("--spawn local --spawn-env A", "--spawn-env is \"A\"; give NAME=VALUE"),
            ("--spawn local --spawn-prefix No", "--spawn-prefix is \"No\""),
            ("--spawn local --spawn-public-url ws://a/ws", "the same for every relay"),
            ("--spawn local --spawn-public-url ws://a:{port}/ws", "give --spawn-ports too"),
            ("--spawn local --relays-max 3 --spawn-ports 1-2", "fewer than the 3 relays"),
            ("--spawn local --spawn-directory-url ws://a", "begins with http://"),
            ("--spawn command --relays-max 2", "--spawn-directory-url is missing"),
            ("--spawn command --relays-max 2 --spawn-directory-url http://a", "--spawn-command is missing"),
            ("--spawn docker --relays-max 2 --spawn-directory-url http://a", "--spawn-ports is missing"),
            (
                "--spawn docker --relays-max 2 --spawn-directory-url http://a --spawn-ports 1-9",
                "--spawn-public-url is missing",
            ),
            (
                "--spawn docker --relays-max 2 --spawn-directory-url http://a --spawn-ports 1-9 --spawn-public-url \
                 ws://a:{port}/ws --spawn-docker-host ssh://a",
                "--spawn-docker-host is ssh://a",
            ),
        ] {
            let said = flags(arguments).check().unwrap_err().to_string();
            assert!(said.contains(words), "{arguments}: {said}");
        }
    }
}
