//! TLS for the public listeners: certificates from files, of the server's own making, or obtained with ACME; and what clients of
//! the servers trust.

mod acme;
mod certificate;
mod client;
mod files;
mod flags;
mod private_file;
mod self_signed;
mod stream;

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::{Context as _, Result};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::LazyConfigAcceptor;
use tracing::info;

use self::{acme::Acme, certificate::Shown, files::Files, self_signed::SelfSigned};
pub use self::{
    client::{authorities, client_config},
    flags::{AcmeFlags, OwnTls, TlsFlags, TlsMode},
    stream::Stream,
};
use crate::Lifecycle;

/// How long a TLS handshake may take: two slow mobile round trips with a retransmission or two.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// The folder within the data folder with the certificate that the server made or obtained: `cert.pem` and `key.pem`. An
/// operator's relays may be given it, so that nothing else is there.
pub const TLS_FOLDER: &str = "tls";

/// The folder within the data folder with accounts at authorities, and what was obtained by them.
const ACME_FOLDER: &str = "acme";

/// The first byte of TLS: a record of the handshake (RFC 8446 5.1).
const TLS_HANDSHAKE_RECORD: u8 = 22;

/// HTTP/1.1 alone, as without TLS: WebSockets need no more, and HTTP/2 has bounds of its own to keep.
const ALPN: &[u8] = b"http/1.1";

/// What a client that speaks plain HTTP to the TLS port gets to read.
const PLAIN_HTTP_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 54\r\n\
                                 Connection: close\r\n\r\nThis port speaks HTTPS: the address begins with https:";

/// Reads of 1 KiB of what such a client has sent: a browser's request has fewer.
const PLAIN_HTTP_READS_MAX: usize = 16;

/// The TLS end of a server.
#[derive(Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    source: Source,
}

/// Where certificates come from.
#[derive(Debug)]
enum Source {
    Files(Files),
    SelfSigned(SelfSigned),
    Acme(Acme),
}

/// Why no encrypted connection came about.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// What came first was not TLS.
    #[error("the client does not speak TLS")]
    NotTls,
    /// The handshake took too long.
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_TIME_MAX.as_secs())]
    Late(#[from] Elapsed),
    /// The handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

impl Tls {
    /// The TLS end that `mode` asks for; `None` when it asks for none.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn open(mode: TlsMode, data_dir: &Path) -> Result<Option<Self>> {
        let folder = data_dir.join(TLS_FOLDER);
        let shown = Arc::new(Shown::default());
        let source = match mode {
            TlsMode::Off => return Ok(None),
            TlsMode::Files { cert, key } => Source::Files(Files::open(cert, key, &shown)?),
            TlsMode::SelfSigned { names } => Source::SelfSigned(SelfSigned::open(folder, names, &shown)?),
            TlsMode::Acme(flags) => Source::Acme(Acme::open(&flags, folder, data_dir.join(ACME_FOLDER), &shown)?),
        };
        Ok(Some(Self { config: server_config(&shown)?, shown, source }))
    }

    /// Whether the certificate is of the server's own making.
    pub(crate) const fn is_self_signed(&self) -> bool {
        matches!(self.source, Source::SelfSigned(_))
    }

    /// TLS for QUIC (RFC 9001), with the same certificate.
    pub(crate) fn quic_config(&self) -> Result<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("TLS 1.3 is missing")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Shown>::clone(&self.shown));
        Ok(config)
    }

    /// Watches files, renews certificates, in `life`.
    pub(crate) fn keep(&self, life: &Lifecycle) {
        let (shown, stopping) = (Arc::clone(&self.shown), life.stopping());
        match &self.source {
            Source::Files(files) => life.spawn(files.clone().watch(shown, stopping)),
            Source::SelfSigned(own) => {
                if let Some(fingerprint) = shown.fingerprint() {
                    info!(fingerprint, file = %own.file().display(), "the certificate is of this server's own making");
                }
                life.spawn(own.clone().renew(shown, stopping));
            }
            Source::Acme(acme) => life.spawn(acme.run(stopping)),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let not_after: Gauge<u64, AtomicU64> = self.shown.not_after_s().clone();
        registry.register(
            "tls_certificate_not_after_seconds",
            "When the certificate ends, in seconds since the Unix epoch; 0 while there is none",
            not_after,
        );
    }

    /// Whether there is a certificate, and if not, why, in words.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.shown.is_empty() { Err(self.source.missing()) } else { Ok(()) }
    }

    /// The handshake, in bounded time. `None`: it was an authority's check of the domain, and is over.
    ///
    /// # Errors
    /// Why no encrypted connection came about.
    pub async fn accept(&self, socket: TcpStream) -> Result<Option<Stream>, HandshakeError> {
        timeout(HANDSHAKE_TIME_MAX, self.handshake(socket)).await?
    }

    async fn handshake(&self, mut socket: TcpStream) -> Result<Option<Stream>, HandshakeError> {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(HandshakeError::Failed(io::ErrorKind::UnexpectedEof.into()));
        }
        if first != [TLS_HANDSHAKE_RECORD] {
            // People forget the s of https; the words are fixed, whatever they sent.
            socket.write_all(PLAIN_HTTP_ANSWER.as_bytes()).await?;
            socket.shutdown().await?;
            // The kernel throws the answer away when a socket is closed with unread bytes.
            let mut rest = [0; 1024];
            for _ in 0..PLAIN_HTTP_READS_MAX {
                if socket.read(&mut rest).await? == 0 {
                    break;
                }
            }
            return Err(HandshakeError::NotTls);
        }
        let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
        if let Source::Acme(acme) = &self.source
            && rustls_acme::is_tls_alpn_challenge(&begun.client_hello())
        {
            begun.into_stream(acme.challenge()).await?.shutdown().await?;
            return Ok(None);
        }
        Ok(Some(Stream::from(begun.into_stream(Arc::clone(&self.config)).await?)))
    }
}

impl Source {
    /// What there is instead of a certificate.
    fn missing(&self) -> String {
        match self {
            Self::Files(files) => files.missing(),
            Self::SelfSigned(_) => "there is no certificate".to_owned(),
            Self::Acme(_) => "no certificate has been obtained yet; the log says what is tried".to_owned(),
        }
    }
}

/// The cryptography, named wherever it is used: another crate of the program may bring a second provider along.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server_config(shown: &Arc<Shown>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("TLS has no protocol versions")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<Shown>::clone(shown));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Clients that come back, as after a change of relay, spare a round trip's worth of signatures.
    config.ticketer = aws_lc_rs::Ticketer::new().context("the system has no randomness for TLS tickets")?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_to_plain_http_is_as_long_as_it_says() {
        let (head, body) = PLAIN_HTTP_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
