//! Opens the way to a relay that is open first (`webtransport::ways`), and trusts relays as the operator says.

use protocol::http::RelayAddress;
use webtransport::Ways;

use super::line::{Line, WebSocketLine, WebTransportLine};
use crate::{authorities::Authorities, transport::TransportChoice};

/// How the relays of one broadcast are reached. Clones share what is remembered.
#[derive(Debug, Clone)]
pub(crate) struct RelayWays {
    pub(super) ways: Ways,
    authorities: Authorities,
}

impl RelayWays {
    /// Nothing is known of the network yet.
    pub(crate) fn new(choice: TransportChoice, authorities: Authorities) -> Self {
        Self { ways: Ways::new(choice), authorities }
    }

    /// Opens a way to `relay`. Takes as long as it takes; an error says why there is none.
    pub(super) async fn open(&self, relay: &RelayAddress) -> Result<Line, String> {
        let authorities = self.authorities.clone();
        let session = |address| async move {
            let line = WebTransportLine::open(&address, &authorities).await?;
            Ok(Line::WebTransport(Box::new(line)))
        };
        let websocket = async {
            let line = WebSocketLine::open(relay, self.authorities.websocket()).await;
            line.map(|line| Line::WebSocket(Box::new(line))).map_err(|error| error.to_string())
        };
        self.ways.open(relay, session, websocket).await
    }
}
