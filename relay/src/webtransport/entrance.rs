//! The UDP listener: those who arrive there, as many as may, and what others are told of it.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use protocol::{WebTransportAddress, control::ClientHello, webtransport::PATH};
use rustls::crypto::aws_lc_rs;
use service::{ClientAddress, Door, Lifecycle};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::interval,
};
use tracing::{Instrument as _, debug, info_span};
use url::Url;
use webtransport::{Arrival, Control, Listener, Request, Session, tuning};

use super::{
    certificate::{LOOK_INTERVAL, OwnCertificates},
    flags::WebTransportFlags,
    line,
    publisher::Publishing,
    viewer::Watching,
};
use crate::{
    admission::{Admission, Admitted},
    connection::{End, parse, text_of},
    data_dir::DataDir,
    house::House,
    listener::Open,
    rate::Chatter,
};

/// Handshakes at a time. Each costs a signature and some kilobytes; more wait for their client's next attempt.
const HANDSHAKES_MAX: usize = 512;

/// Handshakes from which on those who arrive have to prove their address first, which costs them a round trip.
const HANDSHAKES_UNPROVED_MAX: usize = HANDSHAKES_MAX / 4;

/// A UDP listener that is open, and that is not served yet.
#[derive(Debug)]
pub struct Entrance {
    listener: Listener,
    own: Option<Arc<OwnCertificates>>,
    /// The port to tell of, where it is not that of the WebSocket address.
    port: Option<u16>,
    url: Option<Url>,
}

/// Where WebTransport is offered, and with which certificates.
#[derive(Debug)]
pub struct Offer {
    url: Url,
    /// None with a certificate that everybody trusts.
    own: Option<Arc<OwnCertificates>>,
}

impl Offer {
    /// What others are told now.
    #[must_use]
    pub fn address(&self) -> WebTransportAddress {
        let certificate_hashes = self.own.as_ref().map(|own| own.hashes()).unwrap_or_default();
        WebTransportAddress { url: self.url.clone(), certificate_hashes }
    }
}

impl Entrance {
    /// Listens as `flags` say beside the TCP listener at `public`; none when it is not wanted.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn open(
        flags: &WebTransportFlags,
        (asked, public): (SocketAddr, SocketAddr),
        door: &Door,
        data_dir: &DataDir,
        (host, now_s): (&str, u64),
    ) -> Result<Option<Self>> {
        let Some(address) = flags.listen(public, door.is_behind_proxy()) else { return Ok(None) };
        let (tls, own) = match door.quic_tls()? {
            Some(tls) => (tls, None),
            None => {
                let own = Arc::new(OwnCertificates::open(data_dir.clone(), host, now_s)?);
                (own_tls(&own)?, Some(own))
            }
        };
        let is_given = flags.webtransport_listen.is_some();
        let mut bound = tuning::socket(address);
        // The free port that the TCP listener got may be taken for UDP.
        if bound.is_err() && !is_given && asked.port() == 0 {
            bound = tuning::socket(SocketAddr::new(address.ip(), 0));
        }
        let socket = bound.map_err(|error| {
            anyhow!(
                "can't listen on {address} by UDP ({error}); choose another address with --webtransport-listen, or leave it with \
                 --no-webtransport"
            )
        })?;
        let listener = Listener::new(socket, tls).context("WebTransport can't be set up")?;
        let port = listener.local_addr()?.port();
        let port = (is_given || port != public.port()).then_some(port);
        Ok(Some(Self { listener, own, port, url: flags.webtransport_url.clone() }))
    }

    /// What is offered by a relay that is reached at `url`.
    ///
    /// # Errors
    /// When there is no such address.
    pub fn offer(&self, url: &Url) -> Result<Offer> {
        let own = self.own.clone();
        if let Some(url) = &self.url {
            return Ok(Offer { url: url.clone(), own });
        }
        let port = self.port.or_else(|| url.port_or_known_default()).context("the public URL has no port")?;
        let host = url.host_str().context("the public URL has no host")?;
        let url = Url::parse(&format!("https://{host}:{port}{PATH}")).context("WebTransport has no address")?;
        Ok(Offer { url, own })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system won't tell.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves those who arrive until the stop, as many as there are `places`, shared with the other listener, and as `door` lets in from
    /// one address.
    pub async fn serve(self, house: Arc<House>, door: Arc<Door>, places: Arc<Semaphore>, life: Lifecycle) {
        let Self { listener, own, .. } = self;
        if let Some(own) = own {
            life.spawn(keep_fresh(own, Arc::clone(&house)));
        }
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let mut arrived_total = 0_u64;
        loop {
            let arrival = tokio::select! {
                () = house.stopping.cancelled() => return,
                arrival = listener.accept() => arrival,
            };
            let Some(arrival) = arrival else { return };
            if !arrival.is_proved() && handshakes.available_permits() < HANDSHAKES_MAX - HANDSHAKES_UNPROVED_MAX {
                arrival.ask_for_proof();
                continue;
            }
            let Ok(handshake) = Arc::clone(&handshakes).try_acquire_owned() else {
                arrival.ignore();
                continue;
            };
            arrived_total += 1;
            let span = info_span!("webtransport", id = arrived_total, stream.id = tracing::field::Empty);
            let visitor = Visitor { house: Arc::clone(&house), door: Arc::clone(&door), places: Arc::clone(&places) };
            span.in_scope(|| life.spawn(visitor.enter(arrival, handshake).in_current_span()));
        }
    }
}

/// TLS that shows certificates of the relay's own making.
fn own_tls(own: &Arc<OwnCertificates>) -> Result<rustls::ServerConfig> {
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("TLS 1.3 is missing")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<OwnCertificates>::clone(own));
    Ok(tls)
}

async fn keep_fresh(own: Arc<OwnCertificates>, house: Arc<House>) {
    let mut look = interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = house.stopping.cancelled() => return,
            _ = look.tick() => own.try_turn(house.clock.now_s()),
        }
    }
}

/// Somebody who arrives.
struct Visitor {
    house: Arc<House>,
    door: Arc<Door>,
    places: Arc<Semaphore>,
}

impl Visitor {
    async fn enter(self, arrival: Arrival, handshake: OwnedSemaphorePermit) {
        let is_stopping = self.house.stopping.clone();
        let (proved, peer) = (arrival.is_proved(), arrival.peer().ip());
        // One who has not proved its address would take the places of whose it is.
        let early = proved.then(|| self.door.admit_direct(peer));
        if matches!(early, Some(Err(_))) {
            arrival.refuse();
            return;
        }
        let request = match is_stopping.run_until_cancelled(arrival.enter()).await {
            None => return,
            Some(Ok(request)) => request,
            Some(Err(error)) => {
                self.house.metrics.webtransport_failures.inc();
                debug!(%error, "no session came about");
                return;
            }
        };
        drop(early);
        let Ok(_own) = self.door.admit_direct(request.peer().ip()) else {
            return self.turn_away(request).await;
        };
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.turn_away(request).await;
        };
        if request.path() != PATH {
            self.house.metrics.refused(protocol::ErrorCode::NotFound);
            return request.not_found().await;
        }
        let network = ClientAddress::of_peer(request.peer().ip(), true).network();
        let Ok(session) = request.accept().await else { return };
        drop(handshake);
        let _open = Open::new(&self.house);
        let _counted = Counted::new(&self.house);
        receive(session, Admission::new(network, self.house)).await;
    }

    async fn turn_away(&self, request: Request) {
        self.house.metrics.refused(protocol::ErrorCode::TooManyRequests);
        request.too_many().await;
    }
}

/// Hears who it is, and serves it.
async fn receive(session: Session, admission: Admission) {
    let house = Arc::clone(admission.house());
    let chatter = Chatter::default();
    let mut control = None;
    let admitted = match admission.in_time(hello(&session, &mut control, &chatter)).await {
        Ok(hello) => admission.admit(hello),
        Err(end) => Err(end),
    };
    let Some(control) = control else {
        let end = admitted.err().unwrap_or(End::Left);
        admission.note(&end);
        // Without a control stream there is nothing to say it on.
        return line::close(&session, &end);
    };
    let (end, words) = match admitted {
        Ok(Admitted::Publisher(seat, permission)) => {
            return Box::pin(Publishing::new(session, control, seat, permission, house).serve()).await;
        }
        Ok(Admitted::Viewer(seat, permission)) => {
            return Box::pin(Watching::new(session, control, seat, permission, house).serve()).await;
        }
        Ok(Admitted::Asked(identity)) => (End::Answered, vec![text_of(&identity)]),
        Err(end) => (end, vec![]),
    };
    admission.note(&end);
    line::farewell(&session, control, &end, words).await;
}

async fn hello(session: &Session, control: &mut Option<Control>, chatter: &Chatter) -> Result<ClientHello, End> {
    let control = control.insert(session.accept_control().await.map_err(line::end_of_control)?);
    chatter.heard()?;
    parse(&control.receive().await.map_err(line::end_of_control)?)
}

/// Counts an open session.
struct Counted(Arc<House>);

impl Counted {
    fn new(house: &Arc<House>) -> Self {
        house.metrics.webtransport_sessions.inc();
        Self(Arc::clone(house))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.webtransport_sessions.dec();
    }
}
