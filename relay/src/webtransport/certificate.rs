//! Certificates of the relay's own making, each of less than 14 days, as browsers take them by their hashes
//! (`serverCertificateHashes`): which is shown, and which are told of. The next is told of long before it is shown, and all are kept in
//! the data folder, so that whoever knows a hash finds its certificate also behind a restart.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use protocol::CertificateHash;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use crate::data_dir::DataDir;

/// By how much a certificate begins before it is made: clocks of viewers are often a little behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// For how long a certificate counts once it is made. With [`BACKDATED`] a minute less than the 14 days that browsers allow.
const TIME: Duration = Duration::from_secs(13 * 24 * 3600 - 60);

/// When the next one is made: half of the time is left, for a relay that sleeps.
const NEXT_AFTER: Duration = Duration::from_secs(6 * 24 * 3600);

/// How long a certificate is told of before it is shown: longer than anybody goes on with what a directory has said, which is a ticket's
/// time.
const TOLD_BEFORE: Duration = Duration::from_secs(3600);

/// How often it is looked what is due.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// The certificates.
#[derive(Debug)]
pub struct OwnCertificates {
    /// Oldest first; never empty.
    all: RwLock<Vec<Own>>,
    host: String,
    data_dir: DataDir,
}

#[derive(Debug, Clone)]
struct Own {
    kept: Kept,
    hash: CertificateHash,
    keyed: Arc<CertifiedKey>,
}

/// A certificate as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    made_at_s: u64,
    /// DER, hexadecimal.
    certificate: String,
    /// PKCS #8, DER, hexadecimal.
    key: String,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("made_at_s", &self.made_at_s).finish_non_exhaustive()
    }
}

/// What is to be done at a time.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// The certificates that are of no more use are those before this.
    first: usize,
    /// The next is to be made.
    make: bool,
}

impl Plan {
    /// With certificates of these times, oldest first. The first that is left is shown.
    fn at(made_at_s: &[u64], now_s: u64) -> Self {
        let is_told = |made_at_s: &u64| made_at_s + TOLD_BEFORE.as_secs() <= now_s;
        let is_over = |made_at_s: &u64| made_at_s + TIME.as_secs() <= now_s || *made_at_s > now_s + BACKDATED.as_secs();
        let shown = made_at_s.iter().rposition(is_told).unwrap_or(0);
        let first = made_at_s.iter().skip(shown).position(|at| !is_over(at)).map_or(made_at_s.len(), |at| shown + at);
        let newest = made_at_s[first..].last();
        Self { first, make: newest.is_none_or(|made_at_s| made_at_s + NEXT_AFTER.as_secs() <= now_s) }
    }
}

impl OwnCertificates {
    /// Those in the data folder, or a new one for `host`.
    ///
    /// # Errors
    /// When none can be made or kept.
    pub fn open(data_dir: DataDir, host: &str, now_s: u64) -> Result<Self> {
        let kept: Vec<Kept> = data_dir.webtransport_certificates();
        // What can't be read any more is made anew.
        let mut all: Vec<_> = kept.into_iter().filter_map(|kept| Own::try_from(kept).ok()).collect();
        all.sort_by_key(|own| own.kept.made_at_s);
        let own = Self { all: RwLock::new(all), host: host.trim_matches(['[', ']']).to_owned(), data_dir };
        own.turn(now_s)?;
        Ok(own)
    }

    /// Does what is due at `now_s`.
    ///
    /// # Errors
    /// When a certificate is due that can't be made or kept.
    pub fn turn(&self, now_s: u64) -> Result<()> {
        let mut all = self.all.read().unwrap_or_else(PoisonError::into_inner).clone();
        let plan = Plan::at(&all.iter().map(|own| own.kept.made_at_s).collect::<Vec<_>>(), now_s);
        if plan == (Plan { first: 0, make: false }) {
            return Ok(());
        }
        all.drain(..plan.first);
        if plan.make {
            all.push(Own::make(&self.host, now_s)?);
            info!(certificates = all.len(), "a certificate for WebTransport was made");
        }
        self.data_dir.keep_webtransport_certificates(&all.iter().map(|own| &own.kept).collect::<Vec<_>>())?;
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// The same, for a relay that serves: it goes on with what it has.
    pub fn try_turn(&self, now_s: u64) {
        if let Err(error) = self.turn(now_s) {
            warn!(error = format!("{error:#}"), "a certificate for WebTransport is due and can't be made");
        }
    }

    /// What clients are told: the hashes of what is shown, and of what will be.
    #[must_use]
    pub fn hashes(&self) -> Vec<CertificateHash> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).iter().map(|own| own.hash).collect()
    }

    /// The hash of what is shown.
    #[must_use]
    pub fn shown(&self) -> Option<CertificateHash> {
        self.hashes().first().copied()
    }
}

impl ResolvesServerCert for OwnCertificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.first().map(|own| Arc::clone(&own.keyed))
    }
}

impl Own {
    fn make(host: &str, now_s: u64) -> Result<Self> {
        // ECDSA with P-256, which browsers insist upon.
        let key = KeyPair::generate().context("the system has no randomness for a key")?;
        let mut params = CertificateParams::new(vec![host.to_owned()]).context("the host's name is not in ASCII")?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        let now = UNIX_EPOCH + Duration::from_secs(now_s);
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + TIME).into();
        let certificate = params.self_signed(&key).context("the certificate can't be made")?;
        let certificate = hex::encode(certificate.der());
        Self::try_from(Kept { made_at_s: now_s, certificate, key: hex::encode(key.serialize_der()) })
    }
}

impl TryFrom<Kept> for Own {
    type Error = anyhow::Error;

    fn try_from(kept: Kept) -> Result<Self> {
        let certificate = CertificateDer::from(hex::decode(&kept.certificate)?);
        let hash = CertificateHash(Sha256::digest(&certificate).into());
        let key = PrivateKeyDer::Pkcs8(hex::decode(&kept.key)?.into());
        let keyed = CertifiedKey::from_der(vec![certificate], key, &aws_lc_rs::default_provider())?;
        Ok(Self { kept, hash, keyed: Arc::new(keyed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;
    const HOUR: u64 = 3600;
    const START: u64 = 1_763_000_000;

    fn open(folder: &tempfile::TempDir, now_s: u64) -> OwnCertificates {
        let data_dir = DataDir::open(folder.path().into()).unwrap();
        OwnCertificates::open(data_dir, "relay.example", now_s).unwrap()
    }

    #[test]
    fn certificate_lasts_less_than_fourteen_days_begun_before_it_was_made() {
        assert!(BACKDATED + TIME < Duration::from_secs(14 * DAY));
        assert!(NEXT_AFTER + TOLD_BEFORE < TIME / 2);
    }

    #[test]
    fn next_one_is_told_of_an_hour_before_it_is_shown_and_the_old_one_goes_then() {
        let folder = tempfile::tempdir().unwrap();
        let own = open(&folder, START);
        let first = own.shown().unwrap();
        assert_eq!(own.hashes(), [first]);
        own.turn(START + 6 * DAY - 1).unwrap();
        assert_eq!(own.hashes(), [first]);
        own.turn(START + 6 * DAY).unwrap();
        let hashes = own.hashes();
        assert_eq!((hashes.len(), own.shown()), (2, Some(first)));
        own.turn(START + 6 * DAY + HOUR - 1).unwrap();
        assert_eq!(own.hashes(), hashes);
        own.turn(START + 6 * DAY + HOUR).unwrap();
        assert_eq!(own.hashes(), hashes[1..]);
    }

    #[test]
    fn restarted_relay_shows_the_same_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let before = open(&folder, START);
        before.turn(START + 6 * DAY).unwrap();
        let hashes = before.hashes();
        let after = open(&folder, START + 6 * DAY + 60);
        assert_eq!((after.hashes(), after.shown()), (hashes.clone(), hashes.first().copied()));
    }

    #[test]
    fn relay_that_slept_for_weeks_or_whose_clock_was_wrong_makes_a_new_one() {
        for now_s in [START + 40 * DAY, START - 40 * DAY] {
            let folder = tempfile::tempdir().unwrap();
            let old = open(&folder, START).hashes();
            let new = open(&folder, now_s).hashes();
            assert!(new.len() == 1 && new != old, "{now_s}");
        }
    }

    #[test]
    fn broken_file_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        open(&folder, START);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::write(entry.unwrap().path(), "[{\"made_at_s\": 1}]").unwrap();
        }
        assert_eq!(open(&folder, START).hashes().len(), 1);
    }

    #[test]
    fn key_hides_in_debug() {
        let folder = tempfile::tempdir().unwrap();
        let own = open(&folder, START);
        let key = own.all.read().unwrap()[0].kept.key.clone();
        assert!(!format!("{own:?}").contains(&key));
    }
}
