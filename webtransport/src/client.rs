//! The client's end: whom it trusts, and how it gets a session at a relay.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use protocol::{CertificateHash, WebTransportAddress};
use thiserror::Error;
use url::Url;
use wtransport::{
    ClientConfig, Endpoint,
    config::{DnsLookupFuture, DnsResolver},
    endpoint::endpoint_side,
    tls::{Sha256Digest, client::ServerHashVerification, client::build_default_tls_config, rustls::RootCertStore},
};

use crate::{session::Session, tuning};

/// Whom to take for the relay.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Whoever shows a certificate of one of these hashes, as browsers do by `serverCertificateHashes`.
    Hashes(Vec<CertificateHash>),
    /// Whoever shows a certificate that this trusts.
    Authorities(Arc<rustls::ClientConfig>),
}

impl Trust {
    /// As `address` asks for: by its hashes, or, where it has none, by `authorities`.
    #[must_use]
    pub fn of(address: &WebTransportAddress, authorities: &Arc<rustls::ClientConfig>) -> Self {
        if address.certificate_hashes.is_empty() {
            Self::Authorities(Arc::clone(authorities))
        } else {
            Self::Hashes(address.certificate_hashes.clone())
        }
    }
}

/// Where to really dial a host and port.
pub type DialTo = Arc<dyn Fn(&str, u16) -> (String, u16) + Send + Sync>;

/// A client with a UDP socket of its own. Many sessions may share it, with whoever it trusts.
pub struct Client(Endpoint<endpoint_side::Client>);

/// Why there is no session.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ConnectError(String);

impl Client {
    /// A client that trusts `trust`.
    ///
    /// # Errors
    /// When the system gives no socket, or the TLS settings are none for QUIC.
    pub fn new(trust: &Trust) -> io::Result<Self> {
        Self::dialling(trust, None)
    }

    /// The same, which dials hosts where `dial_to` says. IP addresses are dialled as they are.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn dialling(trust: &Trust, dial_to: Option<DialTo>) -> io::Result<Self> {
        // A machine without IPv6 refuses the socket that serves both.
        let socket = tuning::socket(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))
            .or_else(|_| tuning::socket(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))?;
        let has_v6 = socket.local_addr()?.is_ipv6();
        let tls = match trust {
            Trust::Hashes(hashes) => {
                let hashes = hashes.iter().map(|hash| Sha256Digest::new(hash.0));
                let verifier = Arc::new(ServerHashVerification::new(hashes));
                build_default_tls_config(Arc::new(RootCertStore::empty()), Some(verifier))
            }
            Trust::Authorities(tls) => {
                let mut tls = tls.as_ref().clone();
                tls.alpn_protocols = vec![wtransport::proto::WEBTRANSPORT_ALPN.to_vec()];
                tls
            }
        };
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut quic = quinn::ClientConfig::new(Arc::new(tls));
        quic.transport_config(tuning::client());
        let mut config = ClientConfig::builder().with_bind_socket(socket).build_with_quic_config(quic);
        config.set_dns_resolver(Resolver { dial_to, has_v6 });
        Ok(Self(Endpoint::client(config)?))
    }

    /// A session at `url`. Takes as long as it takes; the caller bounds it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn connect(&self, url: &Url) -> Result<Session, ConnectError> {
        let connected = self.0.connect(url.as_str()).await;
        connected.map(Session::new).map_err(|error| ConnectError(error.to_string()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Looks names up. Relays listen for IPv4 by default, so that goes first where a name has both.
struct Resolver {
    dial_to: Option<DialTo>,
    has_v6: bool,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl DnsResolver for Resolver {
    fn resolve(&self, host: &str) -> Pin<Box<dyn DnsLookupFuture>> {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        let asked = (name.to_owned(), port.parse().unwrap_or(443));
        let (name, port) = match &self.dial_to {
            Some(dial_to) => dial_to(&asked.0, asked.1),
            None => asked,
        };
        let has_v6 = self.has_v6;
        Box::pin(async move {
            let mut found: Vec<_> =
                tokio::net::lookup_host((name, port)).await?.filter(|address| has_v6 || address.is_ipv4()).collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            Ok(found.into_iter().next())
        })
    }
}
