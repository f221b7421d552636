//! A directory with relays, as real processes.

mod calls;
mod operator;
mod servers;

use std::net::SocketAddr;

use reqwest::Client;
use tempfile::TempDir;

pub use self::calls::{Answer, Created, tracks};
use self::operator::Pace;
use crate::{
    Proxy, Store,
    plan::{Plan, RelayPlan},
    server::{Cable, Server, fixed_port},
};

/// What relays join with here.
pub const JOIN_SECRET: &str = "join-secret-of-the-attacks";

/// A directory, and relays that have joined it.
pub struct System {
    directory: Server,
    shared: Option<Shared>,
    relays: Vec<Server>,
    folder: TempDir,
    http: Client,
    operators_pace: Pace,
    log: &'static str,
}

/// What a system has with which two directories are one.
struct Shared {
    store: Store,
    second: Server,
    /// The address before both.
    front: Proxy,
}

impl System {
    /// A directory and two relays, `relay-1` and `relay-2`.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more flags for the directory.
    pub async fn start_with(flags: &[&str]) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut system = Self::open(flags.iter().map(|&flag| flag.to_owned()).collect(), &[], "debug", any).await;
        for name in ["relay-1", "relay-2"] {
            system.add_relay(name, &[("JOIN_SECRET", JOIN_SECRET)]).await;
        }
        // A relay gets work once the directory has found it at its address.
        for name in ["relay-1", "relay-2"] {
            system.is_assigned(name).await;
        }
        system
    }

    /// A directory and relays as planned, all of which are ready and get work. Their ports stay theirs while they are down.
    pub async fn start_plan(plan: &Plan) -> Self {
        let mut system = if plan.shared {
            Self::open_shared(plan).await
        } else {
            Self::open(plan.directory_flags.clone(), &plan.environment, plan.log, fixed_port()).await
        };
        for relay in &plan.relays {
            system.add_planned(relay, &plan.environment).await;
        }
        for relay in &plan.relays {
            system.is_ready(&relay.name).await;
        }
        let second = system.shared.is_some().then_some("directory-2");
        for directory in ["directory"].into_iter().chain(second) {
            system.gives_work_to(directory, plan.relays.len()).await;
        }
        system
    }

    async fn open(flags: Vec<String>, environment: &[(String, String)], log: &'static str, listen: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = environment.to_vec();
        environment.push(("JOIN_SECRET".into(), JOIN_SECRET.into()));
        environment.push(("RUST_LOG".into(), log.into()));
        let mut directory = Server {
            name: "directory".into(),
            binary: "directory",
            up: "the directory is up",
            arguments: flags.into_iter().map(Into::into).collect(),
            environment,
            data: folder.path().join("directory"),
            listen,
            internal: if listen.port() == 0 { listen } else { fixed_port() },
            cable: None,
            process: None,
            past_log: vec![],
        };
        directory.start().await;
        Self {
            directory,
            shared: None,
            relays: vec![],
            folder,
            http: Client::new(),
            operators_pace: Pace::default(),
            log,
        }
    }

    async fn open_shared(plan: &Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::start(folder.path()).await;
        let mut flags = plan.directory_flags.clone();
        flags.extend(["--store".into(), store.url()]);
        let mut system = Self::open(flags, &plan.environment, plan.log, fixed_port()).await;
        // Both sign with one key, and know the same operator.
        let data = system.folder.path().join("directory-2");
        std::fs::create_dir(&data).unwrap();
        for file in ["ticket-key.der", "operator-token"] {
            std::fs::copy(system.directory.data.join(file), data.join(file)).unwrap();
        }
        let first = &system.directory;
        let (arguments, environment) = (first.arguments.clone(), first.environment.clone());
        let (listen, internal) = (fixed_port(), fixed_port());
        let mut second = Server {
            name: "directory-2".into(),
            binary: "directory",
            up: first.up,
            arguments,
            environment,
            data,
            listen,
            internal,
            cable: None,
            process: None,
            past_log: vec![],
        };
        second.start().await;
        let front = Proxy::before_all(vec![first.listen, listen]).await;
        system.shared = Some(Shared { store, second, front });
        system
    }

    /// Starts a relay process; gives its public address, ws://.../ws.
    pub async fn add_relay(&mut self, name: &str, environment: &[(&str, &str)]) -> String {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let environment = environment.iter().map(owned).collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut relay = self.relay(name, environment, any, self.public());
        relay.start().await;
        let url = format!("ws://{}/ws", relay.listen);
        self.relays.push(relay);
        url
    }

    /// Starts one more relay as planned, whose ports stay its own while it is down.
    pub async fn add(&mut self, plan: &RelayPlan) {
        self.add_planned(plan, &[]).await;
    }

    async fn add_planned(&mut self, plan: &RelayPlan, environment: &[(String, String)]) {
        let listen = fixed_port();
        let mut environment = environment.to_vec();
        environment.push(("JOIN_SECRET".into(), JOIN_SECRET.into()));
        environment.extend(plan.environment.iter().cloned());
        let mut relay = if plan.cable {
            let cable = Cable { public: Proxy::before(listen).await, to_directory: Proxy::before(self.public()).await };
            let url = format!("ws://{}/ws", cable.public.address());
            let mut relay = self.relay(&plan.name, environment, listen, cable.to_directory.address());
            relay.arguments.extend(["--public-url".into(), url.into()]);
            // The cable carries TCP alone: sessions by UDP would go past it.
            match plan.webtransport_beside {
                true => relay.arguments.extend(["--webtransport-listen".into(), listen.to_string().into()]),
                false => relay.arguments.push("--no-webtransport".into()),
            }
            relay.cable = Some(cable);
            relay
        } else {
            self.relay(&plan.name, environment, listen, self.public())
        };
        relay.internal = fixed_port();
        relay.start().await;
        self.relays.push(relay);
    }

    fn relay(
        &self,
        name: &str,
        mut environment: Vec<(String, String)>,
        listen: SocketAddr,
        directory: SocketAddr,
    ) -> Server {
        environment.push(("RUST_LOG".into(), self.log.into()));
        let directory = format!("http://{directory}");
        Server {
            name: name.to_owned(),
            binary: "relay",
            up: "serving",
            arguments: ["--name", name, "--directory", &directory].map(Into::into).to_vec(),
            environment,
            data: self.folder.path().join(format!("{name}-{}", self.relays.len())),
            listen,
            internal: listen,
            cable: None,
            process: None,
            past_log: vec![],
        }
    }
}
