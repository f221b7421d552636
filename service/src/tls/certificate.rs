//! A certificate with its key, and the one that is shown to clients at the moment.

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use prometheus_client::metrics::gauge::Gauge;
use rustls::{
    Error, InconsistentKeys,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer as _, ParsedExtension},
};

/// A certificate, those that lead up to its authority, and its private key.
#[derive(Debug)]
pub(super) struct Certificate {
    keyed: CertifiedKey,
    /// SHA-256 of the certificate, as browsers show it.
    fingerprint: String,
    not_after_s: u64,
    /// The common name of subject and issuer, when they are one.
    own_issuer: Option<String>,
    names: Vec<Name>,
}

/// Whom a certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Host(String),
    Address(std::net::IpAddr),
}

impl Certificate {
    /// A certificate from two PEM files' contents.
    ///
    /// # Errors
    /// What is wrong with them, as the rest of a sentence.
    pub(super) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| anyhow!("the certificate is no PEM file"))?;
        let first = chain.first().context("there is no certificate in the certificate's file")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| anyhow!("there is no private key in the key's file (or one that needs a password)"))?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(|_| anyhow!("the certificate can't be read"))?;
        let fingerprint = digest(&SHA256, first);
        let fingerprint: Vec<_> = fingerprint.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let common_name = |name: &x509_parser::x509::X509Name<'_>| {
            name.iter_common_name().next().and_then(|name| name.as_str().ok().map(str::to_owned))
        };
        let own_issuer = if parsed.subject() == parsed.issuer() { common_name(parsed.subject()) } else { None };
        let not_after_s = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let names = names(&parsed);
        let keyed = CertifiedKey::from_der(chain, key, &super::provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                anyhow!("the private key does not belong to the certificate")
            }
            error => anyhow!("certificate and key can't be used: {error}"),
        })?;
        Ok(Self { keyed, fingerprint: fingerprint.join(":"), not_after_s, own_issuer, names })
    }

    /// Whether it was made by its own subject with this common name.
    pub(super) fn is_own_of(&self, common_name: &str) -> bool {
        self.own_issuer.as_deref() == Some(common_name)
    }

    pub(super) fn names(&self) -> &[Name] {
        &self.names
    }

    /// How long it still counts.
    pub(super) fn left(&self, now_s: u64) -> Duration {
        Duration::from_secs(self.not_after_s.saturating_sub(now_s))
    }

    /// That it counts now.
    ///
    /// # Errors
    /// That it does not, as the rest of a sentence.
    pub(super) fn check_time(&self, now_s: u64) -> Result<()> {
        ensure!(!self.left(now_s).is_zero(), "the certificate's time is over");
        Ok(())
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let alternative = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(host) => Some(Name::Host((*host).to_owned())),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(std::net::IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from))
            .ok()
            .map(Name::Address),
        _ => None,
    };
    alternative.into_iter().flatten().filter_map(name).collect()
}

/// The certificate that clients are shown. Connections that are open keep what they began with.
#[derive(Debug, Default)]
pub(super) struct Shown {
    certificate: RwLock<Option<(Arc<CertifiedKey>, String)>>,
    not_after_s: Gauge<u64, AtomicU64>,
}

impl Shown {
    /// Shows `certificate` from now on.
    pub(super) fn show(&self, certificate: Certificate) {
        self.not_after_s.set(certificate.not_after_s);
        let shown = (Arc::new(certificate.keyed), certificate.fingerprint);
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.certificate.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(super) fn fingerprint(&self) -> Option<String> {
        let shown = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(|(_, fingerprint)| fingerprint.clone())
    }

    pub(super) fn not_after_s(&self) -> &Gauge<u64, AtomicU64> {
        &self.not_after_s
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(|(keyed, _)| Arc::clone(keyed))
    }
}
