//! The flags of the `directory` command, and the sentences for those that can't be.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use axum::http::HeaderName;
use clap::{Parser, ValueEnum};
use protocol::{Secret, http::BroadcastPolicy};
use service::{ConnectTo, DoorFlags, lifecycle::GRACE_DEFAULT, telemetry::LogFormat};

pub use self::allowance_flags::AllowanceFlags;
use crate::registry::Assign;
use crate::store::StoreAddress;

mod allowance_flags;

/// Shortest join secret: guessing eight characters over HTTP takes longer than the relays live.
const JOIN_SECRET_CHARS_MIN: usize = 8;

/// Most streams a directory may be told to carry: a list of so many is some megabytes.
const STREAMS_MAX_MAX: usize = 20_000;

/// Longest grace: whoever asks for a stop still waits.
const GRACE_SECONDS_MAX: u64 = 3600;

/// The directory of Dead Streaming: knows which streams are live and which relays are healthy, hands every broadcaster and
/// viewer the right relay, and serves the pages.
#[derive(Debug, Clone, Parser)]
#[command(name = "directory", version)]
pub struct Config {
    /// Address and port of the pages and of the API, for everybody
    #[arg(long, env = "DIRECTORY_LISTEN", default_value = "0.0.0.0:5000", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// Address and port of /healthz, /readyz, /metrics and the operator's calls, for operators: not to be reachable by strangers
    #[arg(
        long,
        env = "DIRECTORY_INTERNAL_LISTEN",
        default_value = "127.0.0.1:5080",
        value_name = "ADDRESS:PORT",
        global = true
    )]
    pub internal_listen: SocketAddr,

    /// A secret that every relay may join with that knows it, at least 8 characters. Without one, relays join with tokens from
    /// `directory relay-token`. Rather given by the environment than here, where other users of the machine can read it
    #[arg(long, env = "JOIN_SECRET", hide_env_values = true, default_value = "", hide_default_value = true)]
    pub join_secret: Secret,

    /// Folder of what must outlive a restart: the key that tickets are signed with and the operator's token, both made at the
    /// first start, which relays belong here, and who may go live
    #[arg(long, env = "DIRECTORY_DATA_DIR", default_value = "directory-data", value_name = "FOLDER", global = true)]
    pub data_dir: PathBuf,

    /// Seconds that requests may take to finish after a stop was asked for
    #[arg(long, env = "GRACE_SECONDS", default_value_t = GRACE_DEFAULT.as_secs(), value_name = "SECONDS")]
    pub grace_seconds: u64,

    /// How log lines look: a sentence with fields, or JSON. What is logged is said by RUST_LOG
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Most streams at a time, those included that have not begun
    #[arg(long, env = "DIRECTORY_STREAMS_MAX", default_value_t = 1000, value_name = "COUNT")]
    pub streams_max: usize,

    /// How relays are chosen for streams
    #[arg(long, env = "ASSIGN", value_enum, default_value_t, value_name = "HOW")]
    pub assign: Assign,

    /// The header in which a proxy or a content network before the directory says where a viewer is, in the words that relays have as
    /// their --region. What a viewer says of itself counts more
    #[arg(long, env = "REGION_HEADER", default_value = "", hide_default_value = true, value_name = "HEADER")]
    pub region_header: String,

    /// Who may go live: everybody, or whoever has a pass from `directory pass add`. Without this flag everybody where --listen is
    /// an address of this machine alone, and else whoever has a pass
    #[arg(long, env = "BROADCAST", value_enum, value_name = "WHO")]
    pub broadcast: Option<Broadcast>,

    /// Where to really dial a relay whose public HOST:PORT can't be reached from here, as in curl; several are separated by commas
    #[arg(long, env = "CONNECT_TO", value_name = "HOST:PORT:HOST2:PORT2", value_delimiter = ',')]
    pub connect_to: Vec<ConnectTo>,

    /// PEM file of one more authority whose certificates of relays are trusted; of the store's it is the only one then
    #[arg(long, env = "CA_FILE", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// What several directories share, so that each knows what the others do: `memory` for one directory alone, or redis://HOST[:PORT]
    /// (rediss:// with TLS) of a Redis or Valkey server that all of them use, all with the same ticket-key.der and the same flags.
    /// An address with a password is rather given by the environment than here
    #[arg(
        long,
        env = "DIRECTORY_STORE",
        hide_env_values = true,
        default_value = "memory",
        hide_default_value = true,
        value_name = "STORE"
    )]
    pub store: StoreAddress,

    /// How much one address may ask for.
    #[command(flatten)]
    pub allowances: AllowanceFlags,

    /// How the public reaches it.
    #[command(flatten)]
    pub door: DoorFlags,

    /// Relays that start and stop by themselves.
    #[command(flatten)]
    pub spawn: spawner::Flags,
}

impl Config {
    /// Checks what the types of the flags can't.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<()> {
        let secret = self.join_secret.expose();
        ensure!(
            secret.is_empty() || secret.chars().count() >= JOIN_SECRET_CHARS_MIN,
            "the join secret has fewer than {JOIN_SECRET_CHARS_MIN} characters: set JOIN_SECRET to a longer one, for \
             instance from `openssl rand -hex 32`"
        );
        ensure!(
            secret.chars().all(|c| c.is_ascii_graphic()),
            "the join secret holds spaces or characters outside of ASCII, which an HTTP header can't carry: set JOIN_SECRET \
             to another one, for instance from `openssl rand -hex 32`"
        );
        ensure!(
            (1..=STREAMS_MAX_MAX).contains(&self.streams_max),
            "--streams-max is {}, and must be between 1 and {STREAMS_MAX_MAX}",
            self.streams_max
        );
        ensure!(
            self.grace_seconds <= GRACE_SECONDS_MAX,
            "--grace-seconds is {}, and must not be above {GRACE_SECONDS_MAX}",
            self.grace_seconds
        );
        ensure!(
            self.region_header.is_empty() || self.region_header().is_some(),
            "--region-header is {:?}, which is not the name of a header",
            self.region_header
        );
        self.door.check()?;
        self.spawn.check()
    }

    /// Where a proxy says where a viewer is.
    #[must_use]
    pub fn region_header(&self) -> Option<HeaderName> {
        self.region_header.parse().ok()
    }

    /// Who may go live.
    #[must_use]
    pub fn broadcast_policy(&self) -> BroadcastPolicy {
        match self.broadcast {
            Some(Broadcast::Open) => BroadcastPolicy::Open,
            Some(Broadcast::Passes) => BroadcastPolicy::Passes,
            None if self.listen.ip().to_canonical().is_loopback() => BroadcastPolicy::Open,
            None => BroadcastPolicy::Passes,
        }
    }

    /// How long the end of the process may take.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

/// Who may go live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Broadcast {
    /// Everybody who reaches the directory
    Open,
    /// Whoever has a pass from `directory pass add`
    Passes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(flags: &[&str]) -> String {
        let config = Config::try_parse_from([&["directory"], flags].concat()).unwrap();
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn flags_are_well_formed_and_the_defaults_good_with_a_secret() {
        <Config as clap::CommandFactory>::command().debug_assert();
        let config = Config::try_parse_from(["directory", "--join-secret", "a long secret".replace(' ', "-").as_str()]);
        config.unwrap().check().unwrap();
    }

    #[test]
    fn each_wrong_flag_gets_a_sentence_that_says_what_to_change() {
        assert!(refused(&["--join-secret", "short"]).contains("fewer than 8 characters"));
        assert!(refused(&["--join-secret", "with a space"]).contains("spaces"));
        assert!(refused(&["--join-secret", "long-enough", "--streams-max", "0"]).contains("--streams-max is 0"));
        assert!(
            refused(&["--join-secret", "long-enough", "--grace-seconds", "9999"]).contains("--grace-seconds is 9999")
        );
        let header = refused(&["--join-secret", "long-enough", "--region-header", "my region"]);
        assert!(header.contains("not the name of a header"), "{header}");
    }

    #[test]
    fn everybody_goes_live_on_a_directory_of_this_machine_alone() {
        let policy =
            |flags: &[&str]| Config::try_parse_from([&["directory"], flags].concat()).unwrap().broadcast_policy();
        assert_eq!(policy(&[]), BroadcastPolicy::Passes);
        for address in ["127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(policy(&["--listen", address]), BroadcastPolicy::Open, "{address}");
        }
        assert_eq!(policy(&["--listen", "127.0.0.1:5000", "--broadcast", "passes"]), BroadcastPolicy::Passes);
        assert_eq!(policy(&["--broadcast", "open"]), BroadcastPolicy::Open);
    }

    #[test]
    fn real_addresses_are_separated_by_commas() {
        let flags = ["directory", "--connect-to", "localhost:5001:relay-1:5001,localhost:5002:relay-2:5002"];
        assert_eq!(Config::try_parse_from(flags).unwrap().connect_to.len(), 2);
        assert!(Config::try_parse_from(["directory", "--connect-to", "localhost"]).is_err());
    }

    #[test]
    fn secret_hides_in_debug() {
        let config = Config::try_parse_from(["directory", "--join-secret", "do-not-print-me"]).unwrap();
        assert!(!format!("{config:?}").contains("do-not-print-me"));
    }
}
