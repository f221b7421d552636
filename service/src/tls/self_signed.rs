//! A certificate of the server's own making, kept in its data folder so that it stays the same over restarts.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    certificate::{Certificate, Name, Shown},
    flags::is_host,
    private_file,
};
use crate::Clock;

/// Whom it names as subject and issuer, by which it is known as our own.
const COMMON_NAME: &str = "Dead Streaming, self-signed";

/// How long it counts: what browsers accept at most (398 days), and a day less for clocks.
const TIME: Duration = Duration::from_secs(397 * 24 * 3600);

/// From when on it is made anew: people have to compare a new fingerprint, so rarely, but with time to do so.
const TIME_LEFT_MIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often a server that runs for long looks whether it has to be made anew.
const LOOK_INTERVAL: Duration = Duration::from_secs(3600);

/// The certificate's files.
#[derive(Debug, Clone)]
pub(super) struct SelfSigned {
    cert: PathBuf,
    key: PathBuf,
    /// What it has to name.
    hosts: Vec<Name>,
}

impl SelfSigned {
    /// Reads or makes the certificate in `folder`, and shows it.
    ///
    /// # Errors
    /// A sentence: it can't be made or kept.
    pub(super) fn open(folder: PathBuf, names: Vec<String>, shown: &Shown) -> Result<Self> {
        private_file::make_folder(&folder)
            .with_context(|| format!("can't make the folder {}; choose another with --data-dir", folder.display()))?;
        let own = Self { cert: folder.join("cert.pem"), key: folder.join("key.pem"), hosts: hosts(names) };
        shown.show(own.load_or_make()?);
        Ok(own)
    }

    /// The certificate's file, for those who want to trust it.
    pub(super) fn file(&self) -> &Path {
        &self.cert
    }

    /// Makes the certificate anew when its time comes, until `stopping`.
    pub(super) async fn renew(self, shown: Arc<Shown>, stopping: CancellationToken) {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and was done by whoever opened it.
        looks.tick().await;
        while stopping.run_until_cancelled(looks.tick()).await.is_some() {
            match self.load_or_make() {
                Ok(certificate) => shown.show(certificate),
                Err(error) => warn!(reason = format!("{error:#}"), "the certificate is not made anew"),
            }
        }
    }

    fn load_or_make(&self) -> Result<Certificate> {
        match self.kept() {
            Ok(certificate) => Ok(certificate),
            Err(why) => {
                info!(reason = why, "making a certificate");
                self.make()
            }
        }
    }

    /// The certificate that was made before.
    ///
    /// # Errors
    /// Why it can't be used any more.
    fn kept(&self) -> Result<Certificate, &'static str> {
        let read = |path: &Path| private_file::read(path).ok().flatten();
        let (cert, key) = read(&self.cert).zip(read(&self.key)).ok_or("there is none")?;
        let certificate = Certificate::from_pem(&cert, &key).map_err(|_| "the old one can't be read")?;
        if !certificate.is_own_of(COMMON_NAME) {
            return Err("the old one is somebody else's");
        }
        if certificate.left(Clock::system().now_s()) < TIME_LEFT_MIN {
            return Err("the old one's time is nearly over");
        }
        // Addresses come and go, and each new certificate is a fingerprint to compare: the names alone are insisted upon.
        if self.hosts.iter().any(|host| !certificate.names().contains(host)) {
            return Err("the old one does not name this host");
        }
        Ok(certificate)
    }

    fn make(&self) -> Result<Certificate> {
        let key = KeyPair::generate().context("the system has no randomness for a key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
        let names = self.hosts.iter().cloned().chain(local_addresses().into_iter().map(Name::Address));
        for name in names {
            let name = match name {
                Name::Host(host) => SanType::DnsName(host.try_into().context("the host's name is not in ASCII")?),
                Name::Address(ip) => SanType::IpAddress(ip),
            };
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now();
        // Clocks of a network without an authority are often a little apart.
        params.not_before = (now - Duration::from_secs(24 * 3600)).into();
        params.not_after = (now + TIME).into();
        let cert = params.self_signed(&key).context("the certificate can't be made")?.pem();
        let key = key.serialize_pem();
        for (path, pem) in [(&self.key, &key), (&self.cert, &cert)] {
            private_file::replace(path, pem.as_bytes())
                .with_context(|| format!("can't write {}; choose another folder with --data-dir", path.display()))?;
        }
        Certificate::from_pem(cert.as_bytes(), key.as_bytes())
    }
}

/// What people call this machine for as long as it is the same: its own name, and those that an operator gives.
fn hosts(names: Vec<String>) -> Vec<Name> {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .or_else(|_| std::env::var("COMPUTERNAME"));
    let own = own.map(|name| name.trim().to_ascii_lowercase()).ok().filter(|name| is_host(name));
    let mut hosts = vec![Name::Host("localhost".to_owned())];
    for name in own.into_iter().chain(names.iter().map(|name| name.to_ascii_lowercase())) {
        let name = name.parse().map_or(Name::Host(name), Name::Address);
        if !hosts.contains(&name) {
            hosts.push(name);
        }
    }
    hosts
}

/// The addresses of this machine.
fn local_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        warn!(%error, "this machine's addresses are not known, and will not be in the certificate");
        Vec::new()
    });
    let mut all: Vec<IpAddr> = vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
    for ip in interfaces.iter().map(if_addrs::Interface::ip) {
        if !all.contains(&ip) {
            all.push(ip);
        }
    }
    all
}
