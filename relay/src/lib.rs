//! A relay: takes streams from broadcasters, or from other relays, and hands them on to viewers and other relays, as they are. It
//! never looks into media; who may do what is said by tickets, which it verifies with the directory's public key alone.

pub mod admission;
pub mod config;
pub mod connection;
pub mod data_dir;
pub mod directory_link;
pub mod drain;
pub mod edge;
pub mod house;
pub mod listener;
pub mod load;
pub mod metrics;
pub mod publisher;
pub mod rate;
pub mod session;
pub mod standing;
pub mod stream;
pub mod transport;
pub mod viewer;
pub mod webtransport;

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use self::webtransport::Entrance;
use ::webtransport::TransportChoice;
use anyhow::{Context as _, Result, ensure};
pub use config::{Config, Flags};
use data_dir::DataDir;
use directory_link::{DirectoryLink, Terms};
use drain::Drain;
use edge::{Edges, link::Dialler, renewal::Renewals};
use house::House;
use metrics::Metrics;
use prometheus_client::registry::Registry;
use protocol::{WebTransportAddress, signing::SigningKey};
use rate::Attempts;
use service::{Door, DoorFlags, Lifecycle, internal_listener, tls::TlsMode};
use standing::Standing;
use stream::streams::{Streams, TICK_INTERVAL};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::info;
use url::Url;

/// A relay whose listeners are open, and that does not serve yet.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    public: TcpListener,
    internal: TcpListener,
    webtransport: Option<Entrance>,
    data_dir: DataDir,
    key: SigningKey,
    url: Url,
    door: Arc<Door>,
    drain: Drain,
}

impl Relay {
    /// Opens the listeners and the data folder.
    ///
    /// # Errors
    /// One sentence for an operator when something can't be opened.
    pub async fn bind(config: Config) -> Result<Self> {
        let data_dir = DataDir::open(config.data_dir.clone())?;
        let key = data_dir.key()?;
        ensure!(
            !config.credentials.is_empty() || data_dir.membership().is_some(),
            "nothing to join with: set JOIN_TOKEN to what `directory relay-token` prints, or JOIN_SECRET to the directory's"
        );
        let public_host = config.public_url.as_ref().and_then(Url::host_str);
        let door = Arc::new(Door::open(&config.door, &config.data_dir, public_host)?);
        let public = listener::listen(config.listen).await?;
        let address = service::listener::local_addr(&public)?;
        let url = match &config.public_url {
            Some(url) => url.clone(),
            None => own_url(&config.door, address.port())?,
        };
        let internal = service::listener::listen(config.internal_listen, "--internal-listen").await?;
        let about = (url.host_str().unwrap_or("localhost"), config.clock.now_s());
        let webtransport = Entrance::open(&config.webtransport, (config.listen, address), &door, &data_dir, about)?;
        Ok(Self { config, public, internal, webtransport, data_dir, key, url, door, drain: Drain::default() })
    }

    /// What has it drain and then end.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Where the public is listened for.
    ///
    /// # Errors
    /// When the system won't tell.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        service::listener::local_addr(&self.public)
    }

    /// Where operators are listened for.
    ///
    /// # Errors
    /// When the system won't tell.
    pub fn internal_addr(&self) -> Result<SocketAddr> {
        service::listener::local_addr(&self.internal)
    }

    /// Where it is reached by WebTransport; none when it is not.
    ///
    /// # Errors
    /// When there is no such address.
    pub fn webtransport(&self) -> Result<Option<WebTransportAddress>> {
        let offer = self.webtransport.as_ref().map(|entrance| entrance.offer(&self.url)).transpose()?;
        Ok(offer.map(|offer| offer.address()))
    }

    /// Serves until `life` is asked to stop, or until it has drained, and ends within the grace.
    ///
    /// # Errors
    /// When the relay can't begin to serve.
    pub async fn run(self, life: Lifecycle) -> Result<()> {
        let Self { config, public, internal, webtransport, data_dir, key, url, door, drain } = self;
        let address = service::listener::local_addr(&public)?;
        let internal_address = service::listener::local_addr(&internal)?;
        let metrics = Arc::new(Metrics::default());
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        door.register(registry.sub_registry_with_prefix("relay"));
        door.keep(address.ip(), &life);
        let offer = webtransport.as_ref().map(|entrance| entrance.offer(&url)).transpose()?;
        let client =
            directory_link::client(config.ca.as_deref()).context("the link to the directory can't be set up")?;
        let choice =
            if config.webtransport.no_webtransport { TransportChoice::Websocket } else { TransportChoice::Auto };
        let dialler = Dialler::new(service::tls::client_config(config.ca.as_deref())?, config.connect_to, choice);
        let renewals = Renewals::new(client.clone(), config.directory.clone());
        let house = Arc::new(House {
            name: config.name,
            url,
            key,
            ticket_key: RwLock::new(data_dir.ticket_key()),
            membership: RwLock::new(data_dir.membership()),
            webtransport: offer,
            edges: Edges::new(dialler, renewals, life.clone()),
            standing: Standing::new(config.clock.now_s(), life.stopping()),
            streams: Streams::new(config.capacity, Arc::clone(&metrics)),
            clock: config.clock,
            metrics,
            attempts: Attempts::default(),
            first_message_time_max: config.first_message_time_max,
            publisher_bytes_per_s_max: config.publisher_bytes_per_s_max,
            drain: drain.clone(),
            stopping: life.stopping(),
        });
        let (streams_max, viewers_max) = (config.capacity.streams_max, config.capacity.viewers_max);
        let terms = Terms {
            directory: config.directory,
            credentials: config.credentials,
            capacity: config.capacity,
            egress_bytes_per_s_max: config.egress_bytes_per_s_max,
            region: config.region,
            revoked_pause: config.revoked_pause,
        };
        let link = DirectoryLink::new(client, terms, data_dir, Arc::clone(&house));
        life.spawn(link.run(life.stopping()));
        life.spawn(tick(Arc::clone(&house)));
        life.spawn(drain.keep(Arc::clone(&house), config.drain_time_max, life.clone()));
        internal_listener::serve(internal, registry, readiness(&house, &door), &life);
        let places = listener::places(streams_max, viewers_max);
        info!(relay = %house.name, listen = %address, internal_listen = %internal_address, "serving");
        if let Some(entrance) = webtransport {
            info!(listen = %entrance.local_addr()?, "WebTransport is offered");
            life.spawn(entrance.serve(Arc::clone(&house), Arc::clone(&door), Arc::clone(&places), life.clone()));
        }
        life.spawn(listener::serve(public, house, door, places, life.clone()));
        life.ended(config.grace).await;
        info!("stopped");
        Ok(())
    }
}

/// The address of a relay that was told none: of use on its own machine, or with a domain.
fn own_url(door: &DoorFlags, port: u16) -> Result<Url> {
    let (scheme, host) = match door.check()? {
        TlsMode::Off => ("ws", "127.0.0.1".to_owned()),
        TlsMode::Acme(acme) => ("wss", acme.acme_domain.first().cloned().unwrap_or_default()),
        TlsMode::Files { .. } | TlsMode::SelfSigned { .. } => ("wss", "127.0.0.1".to_owned()),
    };
    Url::parse(&format!("{scheme}://{host}:{port}/ws")).context("no public URL")
}

fn readiness(house: &Arc<House>, door: &Arc<Door>) -> internal_listener::Readiness {
    let (house, door) = (Arc::clone(house), Arc::clone(door));
    Arc::new(move || {
        door.ready()?;
        house.drain.judged()?;
        house.standing.judged()?;
        let has_joined = house.ticket_key.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if has_joined { Ok(()) } else { Err("the directory has not let this relay join yet".to_owned()) }
    })
}

async fn tick(house: Arc<House>) {
    let mut ticks = interval(TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = house.stopping.cancelled() => return,
            _ = ticks.tick() => {
                house.streams.tick(Instant::now());
                house.attempts.forget();
                house.edges.forget(house.clock.now_us() / 1000);
            }
        }
    }
}
