//! The door between a server's public listener and its connections: who may come in, how many from where, encrypted or not, and
//! whom a request comes from.

mod crowd;

use std::{net::IpAddr, path::Path};

use anyhow::Result;
use axum::http::HeaderMap;
use clap::builder::FalseyValueParser;
pub use crowd::{Crowded, Place};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::net::TcpStream;
use tracing::{debug, warn};

use self::crowd::Crowd;
use crate::{
    ClientAddress, Lifecycle,
    tls::{Stream, Tls, TlsFlags, TlsMode},
};

/// How the public reaches the server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the public reaches it")]
pub struct DoorFlags {
    /// The server is behind a reverse proxy, whose X-Forwarded-For and X-Forwarded-Proto say whom a request comes from. Only
    /// when nobody can reach the server but through the proxy: the headers are believed whoever sends them
    #[arg(long, env = "BEHIND_PROXY", value_parser = FalseyValueParser::new())]
    pub behind_proxy: bool,

    /// Most connections at a time from one address, or from one IPv6 network of /64; 0 for any number
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", default_value_t = CONNECTIONS_PER_ADDRESS, value_name = "COUNT")]
    pub connections_per_address: u32,

    /// Encryption.
    #[command(flatten)]
    pub tls: TlsFlags,
}

/// What a household or a small office has open, and few enough that one address can't take all places.
const CONNECTIONS_PER_ADDRESS: u32 = 256;

impl Default for DoorFlags {
    fn default() -> Self {
        Self { behind_proxy: false, connections_per_address: CONNECTIONS_PER_ADDRESS, tls: TlsFlags::default() }
    }
}

impl DoorFlags {
    /// Checks what the types of the flags can't.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<TlsMode> {
        self.tls.mode()
    }
}

/// The door of one server.
#[derive(Debug)]
pub struct Door {
    tls: Option<Tls>,
    crowd: Crowd,
    behind_proxy: bool,
    crowded: Counter,
    handshakes_failed: Counter,
}

impl Door {
    /// The door that `flags` ask for. Keys and certificates that the server makes or obtains are kept in `data_dir`; a certificate
    /// that it makes names `public_host` too.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn open(flags: &DoorFlags, data_dir: &Path, public_host: Option<&str>) -> Result<Self> {
        let mut mode = flags.check()?;
        if let (TlsMode::SelfSigned { names }, Some(host)) = (&mut mode, public_host) {
            // URLs write IPv6 addresses in brackets.
            names.push(host.trim_matches(['[', ']']).to_owned());
        }
        Ok(Self {
            tls: Tls::open(mode, data_dir)?,
            crowd: Crowd::new(flags.connections_per_address),
            behind_proxy: flags.behind_proxy,
            crowded: Counter::default(),
            handshakes_failed: Counter::default(),
        })
    }

    /// Whether connections are encrypted by this server.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a browser that came as this client is to come encrypted ever after (RFC 6797). Not with a certificate of the server's
    /// own making: the promise binds the whole host, of which other servers know nothing, and outlives the certificate.
    #[must_use]
    pub fn is_to_stay_encrypted(&self, client: ClientAddress) -> bool {
        client.encrypted && !self.tls.as_ref().is_some_and(Tls::is_self_signed)
    }

    /// Whether a proxy's words are believed.
    #[must_use]
    pub const fn is_behind_proxy(&self) -> bool {
        self.behind_proxy
    }

    /// Adds the door's counters to those that operators see.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections_crowded", "Connections beyond those an address may have", self.crowded.clone());
        registry.register("tls_handshakes_failed", "TLS handshakes that failed", self.handshakes_failed.clone());
        if let Some(tls) = &self.tls {
            tls.register(registry);
        }
    }

    /// Keeps the certificate fresh in `life`, and says at the start what strangers could read.
    pub fn keep(&self, listen: IpAddr, life: &Lifecycle) {
        match &self.tls {
            Some(tls) => tls.keep(life),
            None if self.behind_proxy || listen.is_loopback() => {}
            None => warn!(
                "what people send and watch here is not encrypted, and others can read it on its way: choose --tls-cert, \
                 --acme-domain or --tls self-signed, or --behind-proxy when a proxy encrypts"
            ),
        }
    }

    /// Whether connections can be served, and if not, why, in words.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), String> {
        self.tls.as_ref().map_or(Ok(()), Tls::ready)
    }

    /// A place for a fresh connection from `peer`. Behind a proxy all have one: what counts is whom their requests come from.
    ///
    /// # Errors
    /// When the peer's network has as many as it may.
    pub fn admit_peer(&self, peer: IpAddr) -> Result<Place, Crowded> {
        if self.behind_proxy { Ok(Place::uncounted()) } else { self.count(ClientAddress::of_peer(peer, false)) }
    }

    /// A place for a request that came through the proxy; without one, its connection's place is its own.
    ///
    /// # Errors
    /// When the client's network has as many as it may.
    pub fn admit_request(&self, client: ClientAddress) -> Result<Place, Crowded> {
        if self.behind_proxy { self.count(client) } else { Ok(Place::uncounted()) }
    }

    /// A place for a connection that can't have come through a proxy.
    ///
    /// # Errors
    /// When the peer's network has as many as it may.
    pub fn admit_direct(&self, peer: IpAddr) -> Result<Place, Crowded> {
        self.count(ClientAddress::of_peer(peer, true))
    }

    /// TLS for QUIC, with the certificate that connections are encrypted with here. None where there is none that people's programs trust
    /// by themselves: nothing is encrypted here, or with a certificate of the server's own making.
    ///
    /// # Errors
    /// When the cryptography has no TLS 1.3.
    pub fn quic_tls(&self) -> Result<Option<rustls::ServerConfig>> {
        self.tls.as_ref().filter(|tls| !tls.is_self_signed()).map(Tls::quic_config).transpose()
    }

    fn count(&self, client: ClientAddress) -> Result<Place, Crowded> {
        self.crowd.admit(client.network()).inspect_err(|_| {
            self.crowded.inc();
        })
    }

    /// Lets a connection in: the TLS handshake, where there is one. `None` when nothing more is to be done with it. Takes bounded
    /// time; not to be waited for by whoever accepts connections.
    pub async fn enter(&self, socket: TcpStream) -> Option<Stream> {
        let Some(tls) = &self.tls else { return Some(Stream::from(socket)) };
        match tls.accept(socket).await {
            Ok(stream) => stream,
            Err(error) => {
                self.handshakes_failed.inc();
                debug!(%error, "no encrypted connection came about");
                None
            }
        }
    }

    /// Whom a request with these headers comes from, on a connection from `peer`.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        ClientAddress::of_peer(peer, self.is_encrypted()).of_request(headers, self.behind_proxy)
    }
}
