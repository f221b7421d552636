//! The ways to other relays: whom to trust there, and where they are really dialled.

use std::{fmt, io, sync::Arc};

use ::webtransport::{Client, TransportChoice, Trust, Ways, client::DialTo};
use protocol::http::RelayAddress;
use service::ConnectTo;
use tokio::{
    net::TcpStream,
    time::{Duration, Instant, sleep_until, timeout},
};
use tokio_tungstenite::Connector;
use url::Url;

use super::{super::SESSION_WORD_INTERVAL, line::Line, websocket::WebSocketLine, webtransport::WebTransportLine};

/// How long a session is silent before it is looked whether its relay is dead: an upstream is silent for two thirds of that at most.
const PROBE_AFTER: Duration = SESSION_WORD_INTERVAL.saturating_mul(3);

/// How often that is looked at most, on a line where silences are frequent as well.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// How long one look may take: a slow network's round trip, and a retransmission of the first packet.
const PROBE_TIME_MAX: Duration = Duration::from_millis(1_500);

/// The ways to other relays. Clones share what is remembered of them.
#[derive(Clone)]
pub struct Dialler {
    tls: Arc<rustls::ClientConfig>,
    connect_to: Arc<[ConnectTo]>,
    pub(super) ways: Ways,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("connect_to", &self.connect_to).finish_non_exhaustive()
    }
}

impl Dialler {
    /// One that verifies certificates as `tls` says, really dials where `connect_to` says, and goes by the ways of `choice`.
    #[must_use]
    pub fn new(tls: Arc<rustls::ClientConfig>, connect_to: Vec<ConnectTo>, choice: TransportChoice) -> Self {
        Self { tls, connect_to: connect_to.into(), ways: Ways::new(choice) }
    }

    /// Opens a line to a relay. Takes as long as it takes; an error says why there is none.
    pub(super) async fn open(&self, relay: &RelayAddress) -> Result<Line, String> {
        let dialler = self.clone();
        let session = |address: protocol::WebTransportAddress| async move {
            let client = Client::dialling(&Trust::of(&address, &dialler.tls), Some(dialler.dial_to()));
            let client = client.map_err(|error| error.kind().to_string())?;
            Ok(Line::from(WebTransportLine::open(client, &address.url).await?))
        };
        let websocket = async {
            let connecting = TcpStream::connect(self.place_of(&relay.url)).await;
            let connection = connecting.map_err(|error| error.kind().to_string())?;
            let connector = Connector::Rustls(Arc::clone(&self.tls));
            Ok(Line::from(WebSocketLine::open(&relay.url, connection, connector).await?))
        };
        tokio::select! {
            line = self.ways.open(relay, session, websocket) => line,
            // Nobody says so by UDP.
            () = self.refuses(relay), if relay.webtransport.is_some() => Err("connection refused".to_owned()),
        }
    }

    /// Returns when nobody is there: the system says so to whoever connects by TCP, which every relay listens for.
    async fn refuses(&self, relay: &RelayAddress) {
        if !self.is_refused(relay).await {
            std::future::pending::<()>().await;
        }
    }

    async fn is_refused(&self, relay: &RelayAddress) -> bool {
        let connecting = timeout(PROBE_TIME_MAX, TcpStream::connect(self.place_of(&relay.url))).await;
        matches!(connecting, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Returns once a relay that was heard last at `heard_at` has turned out to be dead. By UDP nobody tells of that; whoever tries to connect
    /// by TCP is refused then, by its system, which does so for no relay that is only slow. `probed_at`: when that was tried last. Can be
    /// cancelled.
    pub(super) async fn finds_dead(&self, relay: &RelayAddress, heard_at: Instant, probed_at: &mut Option<Instant>) {
        loop {
            let silent_at = heard_at + PROBE_AFTER;
            sleep_until(probed_at.map_or(silent_at, |at| silent_at.max(at + PROBE_INTERVAL))).await;
            *probed_at = Some(Instant::now());
            if self.is_refused(relay).await {
                return;
            }
        }
    }

    /// Where the WebSocket of this address is really dialled.
    fn place_of(&self, url: &Url) -> (String, u16) {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        self.dial_to()(host, url.port_or_known_default().unwrap_or_default())
    }

    fn dial_to(&self) -> DialTo {
        let rules = Arc::clone(&self.connect_to);
        Arc::new(move |host, port| {
            rules.iter().find_map(|rule| rule.apply(host, port)).unwrap_or_else(|| (host.to_owned(), port))
        })
    }
}
