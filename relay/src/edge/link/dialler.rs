//! The ways to other relays: whom to trust there, and where they are really dialled.

use std::{fmt, sync::Arc};

use ::webtransport::{Client, TransportChoice, Trust, Ways, client::DialTo};
use protocol::http::RelayAddress;
use service::ConnectTo;
use tokio::net::TcpStream;
use tokio_tungstenite::Connector;

use super::{line::Line, websocket::WebSocketLine, webtransport::WebTransportLine};

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
            let host = relay.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let port = relay.url.port_or_known_default().unwrap_or_default();
            let place = self.dial_to()(host, port);
            let connection = TcpStream::connect(place).await.map_err(|error| error.kind().to_string())?;
            let connector = Connector::Rustls(Arc::clone(&self.tls));
            Ok(Line::from(WebSocketLine::open(&relay.url, connection, connector).await?))
        };
        self.ways.open(relay, session, websocket).await
    }

    fn dial_to(&self) -> DialTo {
        let rules = Arc::clone(&self.connect_to);
        Arc::new(move |host, port| {
            rules.iter().find_map(|rule| rule.apply(host, port)).unwrap_or_else(|| (host.to_owned(), port))
        })
    }
}
