//! The flags of the `directory` command, and the sentences for those that can't be.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use clap::Parser;
use protocol::Secret;
use service::{DoorFlags, lifecycle::GRACE_DEFAULT, telemetry::LogFormat};

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

    /// Address and port of /healthz, /readyz and /metrics, for operators: not to be reachable by strangers
    #[arg(long, env = "DIRECTORY_INTERNAL_LISTEN", default_value = "127.0.0.1:5080", value_name = "ADDRESS:PORT")]
    pub internal_listen: SocketAddr,

    /// The secret that relays join with, at least 8 characters, the same for the directory and its relays. Rather given by the
    /// environment than here, where other users of the machine can read it
    #[arg(long, env = "JOIN_SECRET", hide_env_values = true, default_value = "", hide_default_value = true)]
    pub join_secret: Secret,

    /// Folder of what must outlive a restart: the key that tickets are signed with, made at the first start
    #[arg(long, env = "DIRECTORY_DATA_DIR", default_value = "directory-data", value_name = "FOLDER")]
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

    /// How the public reaches it.
    #[command(flatten)]
    pub door: DoorFlags,
}

impl Config {
    /// Checks what the types of the flags can't.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<()> {
        let secret = self.join_secret.expose();
        ensure!(
            !secret.is_empty(),
            "no join secret: set JOIN_SECRET to a secret that the relays get too, for instance from `openssl rand -hex 32`"
        );
        ensure!(
            secret.chars().count() >= JOIN_SECRET_CHARS_MIN,
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
        self.door.check()?;
        Ok(())
    }

    /// How long the end of the process may take.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
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
        assert!(refused(&["--join-secret", ""]).starts_with("no join secret: set JOIN_SECRET"));
        assert!(refused(&["--join-secret", "short"]).contains("fewer than 8 characters"));
        assert!(refused(&["--join-secret", "with a space"]).contains("spaces"));
        assert!(refused(&["--join-secret", "long-enough", "--streams-max", "0"]).contains("--streams-max is 0"));
        assert!(
            refused(&["--join-secret", "long-enough", "--grace-seconds", "9999"]).contains("--grace-seconds is 9999")
        );
    }

    #[test]
    fn secret_hides_in_debug() {
        let config = Config::try_parse_from(["directory", "--join-secret", "do-not-print-me"]).unwrap();
        assert!(!format!("{config:?}").contains("do-not-print-me"));
    }
}
