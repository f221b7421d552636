//! The directory: the control plane. Knows streams and relays, assigns the one to the other, tells the open lists, and serves
//! the pages. Never touches media.

mod allowances;
mod app;
pub mod command;
pub mod config;
mod connections;
mod data_folder;
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
mod sharing;
mod spawning;
mod state_file;
pub mod store;
mod ticket_key;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use protocol::signing::PublicKey;
use service::{Clock, Door, Lifecycle, internal_listener, listener};
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use self::{
    allowances::Allowances,
    app::{App, Parts},
    data_folder::DataFolder,
    registry::{Registry, Rules},
    relay_check::Dialler,
    sharing::{Link, Problem},
    store::{RedisStore, Store, StoreAddress},
};
pub use self::{config::Config, metrics::Metrics};

/// How often the registry is told that time passes: a silent relay or an ended stream is noticed this late at most.
const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// A directory that listens, but does not answer yet.
pub struct Directory {
    config: Config,
    clock: Clock,
    data: DataFolder,
    dialler: Dialler,
    store: Option<Arc<dyn Store>>,
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
        let data = DataFolder::open(&config.data_dir)?;
        let door = Arc::new(Door::open(&config.door, &config.data_dir, None)?);
        // After the door, which may have made the very certificate that the relays are known by.
        let tls = service::tls::client_config(config.ca.as_deref().filter(|file| !file.as_os_str().is_empty()))
            .context("--ca can't be used")?;
        let dialler = Dialler::new(tls, config.connect_to.clone());
        let store = open_store(&config, data.signer.public_key()).await?;
        let public = listener::listen(config.listen, "--listen").await?;
        let internal = listener::listen(config.internal_listen, "--internal-listen").await?;
        let clock = Clock::system();
        Ok(Self { config, clock, data, dialler, store, door, public, internal })
    }

    /// The same directory with another clock, for tests.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same directory with what it shares with others in the same process, for tests.
    #[must_use]
    pub fn with_store(self, store: Arc<dyn Store>) -> Self {
        Self { store: Some(store), ..self }
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
        let Self { config, clock, data, dialler, store, door, public, internal } = self;
        let metrics = Metrics::default();
        let mut exposed = prometheus_client::registry::Registry::default();
        metrics.register(&mut exposed);
        door.register(exposed.sub_registry_with_prefix("directory"));
        door.keep(public.local_addr()?.ip(), &life);
        let doors = Arc::clone(&door);
        let link = store.map(|store| Arc::new(Link::new(store, clock.clone(), metrics.clone())));
        let looked = link.clone();
        let ready = move || doors.ready().and_then(|()| looked.as_ref().map_or(Ok(()), |link| link.ready()));
        let remark = link.clone().map(|link| -> internal_listener::Remark { Arc::new(move || link.words()) });
        let seed =
            app::random().map(u64::from_le_bytes).map_err(|_| anyhow!("the system has no randomness to give"))?;
        let (streams_max, assign) = (config.streams_max, config.assign);
        let rules = Rules { streams_max, assign, seed, begun_at_us: clock.now_us() };
        let app = App::new(Parts {
            registry: Registry::new(rules),
            clock,
            data,
            join_secret: Some(config.join_secret.clone()).filter(|secret| !secret.is_empty()),
            broadcast: config.broadcast_policy(),
            region_header: config.region_header(),
            dialler,
            allowances: Allowances::new(&config.allowances),
            metrics,
            life: life.clone(),
            link: link.clone(),
        });
        let operators = routes::operator::router(app.clone());
        internal_listener::serve_with(internal, exposed, Arc::new(ready), remark, operators, &life);

        spawning::start(&config, &app, public.local_addr()?).await?;
        let grace = config.grace();
        life.spawn(keep_time(app.clone()));
        life.spawn(app.clone().dial_those_who_join());
        if let Some(link) = link {
            life.spawn(sharing::share(app.clone(), link));
        }
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

/// What several directories share, where there may be several. One that is away comes back; one of other directories does not fit.
async fn open_store(config: &Config, ticket_key: PublicKey) -> Result<Option<Arc<dyn Store>>> {
    let StoreAddress::Redis(address) = &config.store else { return Ok(None) };
    let ca = config.ca.as_deref().filter(|file| !file.as_os_str().is_empty());
    let ca =
        ca.map(|file| std::fs::read(file).with_context(|| format!("can't read {}", file.display()))).transpose()?;
    let store: Arc<dyn Store> = Arc::new(RedisStore::new(address, ca)?);
    match sharing::check(&*store, ticket_key).await {
        Err(stranger @ Problem::Stranger) => Err(anyhow!("--store {} can't be used: {stranger}", store.shown())),
        Err(Problem::Away(away)) => {
            warn!(store = store.shown(), "the store is away: this directory begins with what it knows itself ({away})");
            Ok(Some(store))
        }
        Ok(()) => Ok(Some(store)),
    }
}
