//! The server's end: a UDP socket, those who arrive at it, and the sessions they ask for. Whom to let in is the caller's affair.

use std::{io, net::SocketAddr, sync::Arc};

use quinn::{EndpointConfig, ServerConfig, TokioRuntime, VarInt, crypto::rustls::QuicServerConfig};
use thiserror::Error;
use tokio::time::timeout;
use wtransport::endpoint::{IncomingSessionFuture, SessionRequest};

use crate::{
    session::Session,
    tuning::{self, HANDSHAKE_TIME_MAX},
};

/// Arrivals that were not looked at yet; more are turned away by themselves.
const ARRIVALS_WAITING_MAX: usize = 1024;

/// Bytes kept of one who was not looked at yet: the first flight of a client with a large key share.
const ARRIVAL_BYTES_MAX: u64 = 16 * 1024;

/// The same of all of them.
const ARRIVALS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A UDP socket at which sessions arrive. Dropping it and all sessions closes it.
#[derive(Debug, Clone)]
pub struct Listener(quinn::Endpoint);

/// Why there is no session.
#[derive(Debug, Error)]
pub enum NoSession {
    /// It took too long.
    #[error("the handshake took longer than {} s", HANDSHAKE_TIME_MAX.as_secs())]
    Late,
    /// It broke.
    #[error("the handshake failed: {0}")]
    Failed(String),
}

impl Listener {
    /// Listens with `socket`, and certificates and keys by `tls`, whose ALPN is set here.
    ///
    /// # Errors
    /// When the socket can't be used, or `tls` is not one for QUIC.
    pub fn new(socket: std::net::UdpSocket, mut tls: rustls::ServerConfig) -> io::Result<Self> {
        tls.alpn_protocols = vec![wtransport::proto::WEBTRANSPORT_ALPN.to_vec()];
        let tls =
            QuicServerConfig::try_from(tls).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config
            .transport_config(tuning::server())
            .max_incoming(ARRIVALS_WAITING_MAX)
            .incoming_buffer_size(ARRIVAL_BYTES_MAX)
            .incoming_buffer_size_total(ARRIVALS_BYTES_MAX);
        let endpoint = quinn::Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?;
        Ok(Self(endpoint))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system won't tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next one who arrives; none once it is closed. Can be cancelled.
    pub async fn accept(&self) -> Option<Arrival> {
        self.0.accept().await.map(Arrival)
    }

    /// Cuts all sessions, and takes no more.
    pub fn close(&self, code: u16) {
        self.0.close(VarInt::from(code), b"");
    }

    /// Waits until whoever was told of an end has heard it, or is given up.
    pub async fn wait_idle(&self) {
        self.0.wait_idle().await;
    }
}

/// Somebody of whom one packet has come.
#[derive(Debug)]
pub struct Arrival(quinn::Incoming);

impl Arrival {
    /// The address that it says it comes from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// Whether it has proved that it gets what is sent to that address.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.0.remote_address_validated()
    }

    /// Has it prove that, and arrive again. One that has proved it is turned away instead.
    pub fn ask_for_proof(self) {
        if let Err(error) = self.0.retry() {
            error.into_incoming().refuse();
        }
    }

    /// Turns it away, and says so.
    pub fn refuse(self) {
        self.0.refuse();
    }

    /// Turns it away without a word.
    pub fn ignore(self) {
        self.0.ignore();
    }

    /// The handshakes of QUIC and HTTP/3, and the session that it asks for, in bounded time.
    ///
    /// # Errors
    /// When there is none.
    pub async fn enter(self) -> Result<Request, NoSession> {
        // QUIC's own task would enter the caller's span for every packet, though nothing that it logs is shown.
        let accepted = tracing::dispatcher::with_default(&tracing::Dispatch::none(), || self.0.accept());
        let connecting = accepted.map_err(|error| NoSession::Failed(error.to_string()))?;
        let entering = IncomingSessionFuture::with_quic_connecting(connecting);
        match timeout(HANDSHAKE_TIME_MAX, entering).await {
            Ok(Ok(request)) => Ok(Request(request)),
            Ok(Err(error)) => Err(NoSession::Failed(error.to_string())),
            Err(_) => Err(NoSession::Late),
        }
    }
}

/// A session that somebody asks for.
pub struct Request(SessionRequest);

impl Request {
    /// The path of its URL.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The address it comes from, which it has proved.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// Lets it in, in bounded time.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn accept(self) -> Result<Session, NoSession> {
        match timeout(HANDSHAKE_TIME_MAX, self.0.accept()).await {
            Ok(Ok(connection)) => Ok(Session::new(connection)),
            Ok(Err(error)) => Err(NoSession::Failed(error.to_string())),
            Err(_) => Err(NoSession::Late),
        }
    }

    /// There is nothing at this path.
    pub async fn not_found(self) {
        // Whether the peer has heard it is the peer's affair.
        let _ = timeout(HANDSHAKE_TIME_MAX, self.0.not_found()).await;
    }

    /// There are too many from there.
    pub async fn too_many(self) {
        let _ = timeout(HANDSHAKE_TIME_MAX, self.0.too_many_requests()).await;
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("path", &self.path()).finish_non_exhaustive()
    }
}
