//! The directory: the control plane. Knows streams and relays, assigns the one to the other, tells the open lists, and serves
//! the pages. Never touches media.

mod allowances;
mod app;
pub mod command;
pub mod config;
mod connections;
mod ended_streams;
mod extract;
mod failure;
mod members;
pub mod metrics;
mod operator;
mod operator_token;
mod passes;
pub mod password;
mod password_gate;
mod password_guesses;
mod private_file;
mod rates;
pub mod registry;
pub mod relay_check;
mod routes;
mod spawning;
mod state_file;
mod ticket_key;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use protocol::{Secret, signing::SigningKey};
use service::{Clock, Door, Lifecycle, internal_listener, listener};
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};
use tracing::info;

use self::{
    allowances::Allowances,
    app::{App, Parts},
    ended_streams::EndedStreams,
    members::Members,
    passes::Passes,
    registry::Registry,
    relay_check::Dialler,
    state_file::Kept,
};
pub use self::{config::Config, metrics::Metrics};

/// How often the registry is told that time passes: a silent relay or an ended stream is noticed this late at most.
const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// A directory that listens, but does not answer yet.
pub struct Directory {
    config: Config,
    clock: Clock,
    signer: SigningKey,
    operator_token: Secret,
    members: Kept<Members>,
    passes: Kept<Passes>,
    ended_streams: Kept<EndedStreams>,
    dialler: Dialler,
    door: Arc<Door>,
    public: TcpListener,
    internal: TcpListener,
}

impl Directory {
    /// Checks the configuration, reads or makes the ticket key, and listens.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub async fn bind(config: Config) -> Result<Self> {
        config.check()?;
        let signer = ticket_key::load_or_make(&config.data_dir)?;
        let operator_token = operator_token::load_or_make(&config.data_dir)?;
        let (members, passes) = (Kept::load(&config.data_dir)?, Kept::load(&config.data_dir)?);
        let ended_streams = Kept::load(&config.data_dir)?;
        let door = Arc::new(Door::open(&config.door, &config.data_dir, None)?);
        // After the door, which may have made the very certificate that the relays are known by.
        let tls = service::tls::client_config(config.ca.as_deref().filter(|file| !file.as_os_str().is_empty()))
            .context("--ca can't be used")?;
        let dialler = Dialler::new(tls, config.connect_to.clone());
        let public = listener::listen(config.listen, "--listen").await?;
        let internal = listener::listen(config.internal_listen, "--internal-listen").await?;
        let clock = Clock::system();
        Ok(Self {
            config,
            clock,
            signer,
            operator_token,
            members,
            passes,
            ended_streams,
            dialler,
            door,
            public,
            internal,
        })
    }

    /// The same directory with another clock, for tests.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Where the pages and the API are.
    ///
    /// # Errors
    /// When the system won't tell.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        listener::local_addr(&self.public)
    }

    /// Where health and metrics are.
    ///
    /// # Errors
    /// When the system won't tell.
    pub fn internal_addr(&self) -> Result<SocketAddr> {
        listener::local_addr(&self.internal)
    }

    /// Serves until `life` is asked to stop, then ends within the grace.
    ///
    /// # Errors
    /// When the addresses can't be told.
    pub async fn run(self, life: Lifecycle) -> Result<()> {
        info!(listen = %self.local_addr()?, internal_listen = %self.internal_addr()?, "the directory is up");
        let Self {
            config,
            clock,
            signer,
            operator_token,
            members,
            passes,
            ended_streams,
            dialler,
            door,
            public,
            internal,
        } = self;
        let metrics = Metrics::default();
        let mut exposed = prometheus_client::registry::Registry::default();
        metrics.register(&mut exposed);
        door.register(exposed.sub_registry_with_prefix("directory"));
        door.keep(public.local_addr()?.ip(), &life);
        let ready = Arc::clone(&door);
        let app = App::new(Parts {
            registry: Registry::new(config.streams_max),
            clock,
            signer,
            join_secret: Some(config.join_secret.clone()).filter(|secret| !secret.is_empty()),
            operator_token,
            broadcast: config.broadcast_policy(),
            members,
            passes,
            ended_streams,
            dialler,
            allowances: Allowances::new(&config.allowances),
            metrics,
            life: life.clone(),
        });
        let operators = routes::operator::router(app.clone());
        internal_listener::serve_with(internal, exposed, Arc::new(move || ready.ready()), operators, &life);

        spawning::start(&config, &app, public.local_addr()?).await?;
        let grace = config.grace();
        life.spawn(keep_time(app.clone()));
        life.spawn(app.clone().dial_those_who_join());
        life.spawn(connections::serve(public, routes::router(app), door, life.clone()));
        life.ended(grace).await;
        info!("the directory has ended");
        Ok(())
    }
}

async fn keep_time(app: App) {
    let stopping = app.life().stopping();
    let mut ticks = interval(TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        app.tick();
    }
}
