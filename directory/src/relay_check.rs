//! Dials a relay's public address, as viewers will, and asks who answers there. What follows from it is the registry's to say.

mod reach;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    ErrorCode, PROTOCOL_VERSION,
    control::{ClientHello, ToDirectory},
    limits::CONTROL_BYTES_MAX,
    relay_proof::Identity,
};
use rustls::ClientConfig;
use service::ConnectTo;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use self::reach::Reach;
pub(crate) use self::reach::is_private;
use crate::registry::DueCheck;

/// How long one check may take from the first packet to the answer: a relay that viewers can use answers much faster.
const CHECK_TIME_MAX: Duration = Duration::from_secs(5);

/// Why who answers is not known to be the relay. Its operator reads it, who may be a stranger: it holds nothing of what was
/// answered by somebody else.
#[derive(Debug, Error)]
pub(crate) enum CheckError {
    #[error("nobody answers at its public address {0}: {1}")]
    Unreached(String, &'static str),
    #[error("nobody answers at its public address {0} within {limit} s", limit = CHECK_TIME_MAX.as_secs())]
    Late(String),
    #[error("its public address {0} is within a private network, and the relay is not in the directory's")]
    Private(String),
    #[error("who answers at its public address {0} has no certificate for that name that the directory trusts")]
    Certificate(String),
    #[error("who answers at its public address {0} is no relay of this protocol")]
    NoRelay(String),
    #[error("the relay at its public address {0} does not want to say who it is ({1})")]
    Refused(String, ErrorCode),
    #[error("another relay answers at its public address {0}: the answer is not signed with this relay's key")]
    OtherKey(String),
    #[error("the relay at {0} believes to be {1} at {2}; give it the same --name and --public-url that it joined with")]
    OtherName(String, String, String),
    #[error("the directory has no randomness to ask with")]
    Random,
}

impl CheckError {
    /// The word for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreached(..) => "unreached",
            Self::Late(_) => "late",
            Self::Private(_) => "private",
            Self::Certificate(_) => "certificate",
            Self::NoRelay(_) => "no_relay",
            Self::Refused(..) => "refused",
            Self::OtherKey(_) => "other_key",
            Self::OtherName(..) => "other_name",
            Self::Random => "random",
        }
    }
}

/// What dials.
pub(crate) struct Dialler {
    tls: Arc<ClientConfig>,
    reach: Reach,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Dialler {
    /// One that verifies certificates as `tls` says, and really dials where `connect_to` says.
    pub(crate) fn new(tls: Arc<ClientConfig>, connect_to: Vec<ConnectTo>) -> Self {
        Self { tls, reach: Reach::new(connect_to) }
    }

    /// Whether the relay answers at its public address, with its key.
    pub(crate) async fn check(&self, due: &DueCheck) -> Result<(), CheckError> {
        let late = || CheckError::Late(due.address.url.to_string());
        timeout(CHECK_TIME_MAX, self.ask(due)).await.map_err(|_| late())?
    }

    async fn ask(&self, due: &DueCheck) -> Result<(), CheckError> {
        let url = due.address.url.to_string();
        let mut random = [0; 32];
        rand::fill(&mut random).map_err(|_| CheckError::Random)?;
        let challenge = URL_SAFE_NO_PAD.encode(random);
        let tcp = self.reach.connect(&due.address.url, due.from_afar).await?;
        let mut socket = self.open(tcp, &url).await?;
        let hello = ClientHello::Identify { protocol: PROTOCOL_VERSION, challenge: challenge.clone() };
        let hello = serde_json::to_string(&hello).map_err(|_| CheckError::NoRelay(url.clone()))?;
        socket.send(Message::text(hello)).await.map_err(|_| CheckError::NoRelay(url.clone()))?;
        let answer = first_text(&mut socket).await.ok_or_else(|| CheckError::NoRelay(url.clone()))?;
        // Its end is its own business: the answer is here.
        let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
        match serde_json::from_str(&answer) {
            Ok(ToDirectory::Identity { identity }) => judge(due, identity.expose(), &challenge),
            Ok(ToDirectory::Error { code, .. }) => Err(CheckError::Refused(url, code)),
            Err(_) => Err(CheckError::NoRelay(url)),
        }
    }

    async fn open(&self, tcp: TcpStream, url: &str) -> Result<Socket, CheckError> {
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(CONTROL_BYTES_MAX))
            .max_frame_size(Some(CONTROL_BYTES_MAX));
        let connector = Connector::Rustls(Arc::clone(&self.tls));
        match client_async_tls_with_config(url, tcp, Some(bounds), Some(connector)).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Tls(_)) => Err(CheckError::Certificate(url.to_owned())),
            Err(tungstenite::Error::Io(error)) if is_tls(&error) => Err(CheckError::Certificate(url.to_owned())),
            Err(_) => Err(CheckError::NoRelay(url.to_owned())),
        }
    }
}

fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

async fn first_text(socket: &mut Socket) -> Option<tungstenite::Utf8Bytes> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => return Some(text),
            Message::Ping(_) | Message::Pong(_) => {}
            _ => return None,
        }
    }
}

fn judge(due: &DueCheck, identity: &str, challenge: &str) -> Result<(), CheckError> {
    let url = || due.address.url.to_string();
    let said: Identity = due.public_key.verify(identity).map_err(|_| CheckError::OtherKey(url()))?;
    if said.challenge != challenge {
        return Err(CheckError::OtherKey(url()));
    }
    if (&said.relay, &said.url) != (&due.address.name, &due.address.url) {
        return Err(CheckError::OtherName(url(), said.relay.to_string(), said.url.to_string()));
    }
    Ok(())
}
