//! What an operator sets. Flags are parsed by clap and checked here, once; the rest of the relay gets [`Config`].

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use protocol::{
    RelayName, Secret,
    limits::{
        FIRST_MESSAGE_TIME_MAX, MESSAGE_BYTES_MAX, REGION_BYTES_MAX, RELAY_URL_BYTES_MAX, TRACKS_MAX,
        WINDOW_BYTES_DEFAULT,
    },
};
use service::{Clock, ConnectTo, DoorFlags, lifecycle::GRACE_DEFAULT, telemetry::LogFormat, tls::TlsMode};
use url::Url;

use crate::{
    stream::{streams::Capacity, window::INIT_BYTES_MAX},
    webtransport::WebTransportFlags,
};

/// Smallest window: the largest message and all init segments fit, with room for what comes around them.
const WINDOW_BYTES_MIN: usize = MESSAGE_BYTES_MAX + TRACKS_MAX * INIT_BYTES_MAX + 1024 * 1024;

/// How often a relay that an operator of the directory has shut out asks whether that still holds.
const REVOKED_PAUSE: Duration = Duration::from_secs(30);

/// Longest time to drain: longer than any platform waits for a process that it has asked to end.
const DRAIN_SECONDS_MAX: u64 = 3600;

/// Longest grace: a process that takes longer to end is in the way of whoever restarts it.
const GRACE_SECONDS_MAX: u64 = 600;

/// Takes live streams from broadcasters and hands them on to viewers.
///
/// A relay joins the directory once, with a join token or the join secret, and is known there by its key from then on. It reports
/// what it carries. Broadcasters and viewers reach it by WebSocket with tickets that the directory has signed; the directory
/// itself looks first whether it does so too.
#[derive(Debug, Parser)]
#[command(name = "relay", version)]
pub struct Flags {
    /// The name this relay holds at the directory: 1 to 63 of a-z, 0-9 and "-" [default: the host's name]
    #[arg(long, env = "RELAY_NAME")]
    pub name: Option<String>,

    /// Where broadcasters and viewers are listened for; port 0 takes a free port
    #[arg(long, env = "RELAY_LISTEN", default_value = "0.0.0.0:5001", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// Where operators find /healthz, /readyz and /metrics; best not reachable by strangers
    #[arg(long, env = "RELAY_INTERNAL_LISTEN", default_value = "127.0.0.1:5081", value_name = "ADDRESS:PORT")]
    pub internal_listen: SocketAddr,

    /// The address people reach this relay at, ws:// or wss://, with the path /ws [default: ws://127.0.0.1:PORT/ws,
    /// or wss:// with a certificate, and the first --acme-domain as the host]
    #[arg(long, env = "RELAY_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,

    /// The directory to join
    #[arg(long, env = "DIRECTORY_URL", default_value = "http://127.0.0.1:5000", value_name = "URL")]
    pub directory: Url,

    /// Lets this relay join the first time: what `directory relay-token` has printed. Better set in the environment than here,
    /// where other users of the machine can read it. Not needed any more once the relay has joined
    #[arg(long, env = "JOIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub join_token: Option<Secret>,

    /// Lets this relay join, instead of a token: the secret that the directory was started with. Better set in the environment,
    /// likewise
    #[arg(long, env = "JOIN_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub join_secret: Option<Secret>,

    /// The folder of this relay's key, by which a restarted relay is known as the same, and of its membership at the directory; made
    /// when it is not there
    #[arg(long, env = "RELAY_DATA_DIR", default_value = "relay-data", value_name = "FOLDER")]
    pub data_dir: PathBuf,

    /// Bytes of media held for each stream: what a viewer may be behind
    #[arg(long, env = "RELAY_WINDOW_BYTES", default_value_t = WINDOW_BYTES_DEFAULT, value_name = "BYTES")]
    pub window_bytes: usize,

    /// Milliseconds that what is sent to viewers may wait to be sent together while this relay has no CPU time left; 0: never
    #[arg(long, env = "RELAY_COALESCE_MS_MAX", default_value_t = 20, value_name = "MS", value_parser = clap::value_parser!(u16).range(..=500))]
    pub coalesce_ms_max: u16,

    /// Most streams this relay carries; memory needed is this times the window
    #[arg(long, env = "RELAY_STREAMS_MAX", default_value_t = 64, value_name = "COUNT")]
    pub streams_max: u32,

    /// Most viewers this relay serves, over all streams
    #[arg(long, env = "RELAY_VIEWERS_MAX", default_value_t = 2000, value_name = "COUNT")]
    pub viewers_max: u32,

    /// Most megabits per second read from one broadcaster; one that sends more is read later, and its viewers fall behind
    #[arg(long, env = "RELAY_PUBLISHER_MBIT_MAX", default_value_t = 100, value_name = "MBIT")]
    pub publisher_mbit_max: u32,

    /// Megabits per second that this machine can send, over all viewers: the directory gives no more work when they are used up
    /// [default: unknown, no bound]
    #[arg(long, env = "RELAY_EGRESS_MBIT_MAX", value_name = "MBIT")]
    pub egress_mbit_max: Option<u32>,

    /// Where this relay stands, in words of your own, such as eu-west: viewers who name the same region are sent here first
    #[arg(long, env = "RELAY_REGION", value_name = "REGION")]
    pub region: Option<String>,

    /// Seconds that streams and viewers have, from SIGTERM or `directory drain` on, to go on at other relays before this one ends;
    /// it ends earlier when all have left. Whoever stops it has to wait this long, and --grace-seconds more. A second SIGTERM, or
    /// Ctrl-C, ends it without waiting
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 15, value_name = "SECONDS")]
    pub drain_seconds: u64,

    /// Seconds the relay may take to say good-bye to those who are still there when it ends
    #[arg(long, env = "GRACE_SECONDS", default_value_t = GRACE_DEFAULT.as_secs(), value_name = "SECONDS")]
    pub grace_seconds: u64,

    /// How log lines look
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Where to really dial another relay whose public HOST:PORT can't be reached from here, as in curl; several are separated by
    /// commas. Relays get streams from one another when one of them alone does not serve all viewers
    #[arg(long, env = "CONNECT_TO", value_name = "HOST:PORT:HOST2:PORT2", value_delimiter = ',')]
    pub connect_to: Vec<ConnectTo>,

    /// PEM file of one more authority to trust for the certificates of the directory and of other relays, such as the directory's own
    /// self-signed one
    #[arg(long, env = "CA_FILE", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// How the public reaches it.
    #[command(flatten)]
    pub door: DoorFlags,

    /// Whether and where WebTransport is offered.
    #[command(flatten)]
    pub webtransport: WebTransportFlags,
}

/// A relay's checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The relay's name.
    pub name: RelayName,
    /// Where the public is listened for.
    pub listen: SocketAddr,
    /// Where operators are listened for.
    pub internal_listen: SocketAddr,
    /// The public address; `None`: this machine's own, with the port that was got.
    pub public_url: Option<Url>,
    /// The directory's base address.
    pub directory: Url,
    /// What the relay joins with the first time, best first.
    pub credentials: Vec<Secret>,
    /// The folder of its keys.
    pub data_dir: PathBuf,
    /// How much it carries.
    pub capacity: Capacity,
    /// Most bytes per second read from one broadcaster.
    pub publisher_bytes_per_s_max: u64,
    /// Most bytes per second it can send; none when that is unknown.
    pub egress_bytes_per_s_max: Option<u64>,
    /// Where other relays are really dialled.
    pub connect_to: Vec<ConnectTo>,
    /// Where it stands.
    pub region: Option<String>,
    /// How long its streams and viewers have to go on elsewhere.
    pub drain_time_max: Duration,
    /// How long its end may take.
    pub grace: Duration,
    /// How long a connection may take to say who it is.
    pub first_message_time_max: Duration,
    /// One more authority that may vouch for the directory.
    pub ca: Option<PathBuf>,
    /// How the public reaches the relay.
    pub door: DoorFlags,
    /// Whether and where WebTransport is offered.
    pub webtransport: WebTransportFlags,
    /// How often a relay that was shut out asks whether that still holds.
    pub revoked_pause: Duration,
    /// The time of day.
    pub clock: Clock,
}

impl TryFrom<Flags> for Config {
    type Error = anyhow::Error;

    fn try_from(flags: Flags) -> Result<Self> {
        ensure!(
            matches!(flags.directory.scheme(), "http" | "https"),
            "--directory is {}; give an address that begins with http:// or https://",
            flags.directory
        );
        let tls = flags.door.check()?;
        if let Some(url) = &flags.public_url {
            check_public_url(url)?;
            ensure!(
                matches!(tls, TlsMode::Off) || url.scheme() == "wss",
                "--public-url is {url}, but this relay speaks TLS: give an address that begins with wss://"
            );
        }
        flags.webtransport.check(flags.public_url.as_ref())?;
        ensure!(
            flags.window_bytes >= WINDOW_BYTES_MIN,
            "--window-bytes is {}; give at least {WINDOW_BYTES_MIN}, so that the largest message fits",
            flags.window_bytes
        );
        ensure!(flags.streams_max > 0, "--streams-max is 0; give at least 1");
        ensure!(flags.viewers_max > 0, "--viewers-max is 0; give at least 1");
        ensure!(flags.publisher_mbit_max > 0, "--publisher-mbit-max is 0; give at least 1");
        ensure!(
            (1..=GRACE_SECONDS_MAX).contains(&flags.grace_seconds),
            "--grace-seconds is {}; give 1 to {GRACE_SECONDS_MAX}",
            flags.grace_seconds
        );
        ensure!(flags.egress_mbit_max != Some(0), "--egress-mbit-max is 0; give at least 1, or leave it out");
        let is_region = |region: &String| {
            region.len() <= REGION_BYTES_MAX && !region.chars().any(|each| each.is_control() || each.is_whitespace())
        };
        ensure!(
            flags.region.as_ref().is_none_or(is_region),
            "--region is {:?}; give at most {REGION_BYTES_MAX} bytes, without blanks",
            flags.region.unwrap_or_default()
        );
        ensure!(
            flags.drain_seconds <= DRAIN_SECONDS_MAX,
            "--drain-seconds is {}; give 0 to {DRAIN_SECONDS_MAX}",
            flags.drain_seconds
        );
        // An empty variable of the environment is one that is not set.
        let credentials = [flags.join_token, flags.join_secret].into_iter().flatten().filter(|text| !text.is_empty());
        Ok(Self {
            name: match &flags.name {
                Some(name) => name.parse().with_context(|| format!("--name {name:?} can't be used"))?,
                None => name_of_host()?,
            },
            listen: flags.listen,
            internal_listen: flags.internal_listen,
            public_url: flags.public_url,
            directory: flags.directory,
            credentials: credentials.collect(),
            data_dir: flags.data_dir,
            capacity: Capacity {
                streams_max: flags.streams_max,
                viewers_max: flags.viewers_max,
                window_bytes: flags.window_bytes,
                coalesce_max: Duration::from_millis(flags.coalesce_ms_max.into()),
            },
            publisher_bytes_per_s_max: bytes_per_s(flags.publisher_mbit_max),
            egress_bytes_per_s_max: flags.egress_mbit_max.map(bytes_per_s),
            connect_to: flags.connect_to,
            region: flags.region.filter(|region| !region.is_empty()),
            drain_time_max: Duration::from_secs(flags.drain_seconds),
            grace: Duration::from_secs(flags.grace_seconds),
            first_message_time_max: FIRST_MESSAGE_TIME_MAX,
            ca: flags.ca.filter(|file| !file.as_os_str().is_empty()),
            door: flags.door,
            webtransport: flags.webtransport,
            revoked_pause: REVOKED_PAUSE,
            clock: Clock::system(),
        })
    }
}

fn bytes_per_s(mbit: u32) -> u64 {
    u64::from(mbit) * 1_000_000 / 8
}

fn check_public_url(url: &Url) -> Result<()> {
    if !matches!(url.scheme(), "ws" | "wss") || url.host().is_none() {
        bail!("--public-url is {url}; give an address such as ws://relay.example:5001/ws");
    }
    if !url.path().ends_with("/ws") {
        bail!("--public-url is {url}; its path has to end with /ws, as this relay answers there");
    }
    ensure!(url.as_str().len() <= RELAY_URL_BYTES_MAX, "--public-url has more than {RELAY_URL_BYTES_MAX} bytes");
    Ok(())
}

fn name_of_host() -> Result<RelayName> {
    let host = std::env::var("HOSTNAME")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .unwrap_or_default();
    let label = host.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    label.parse().with_context(|| format!("the host's name {label:?} can't be the relay's; set one with --name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config> {
        let all = ["relay", "--join-secret", "a-long-secret", "--name", "relay-1"].iter().chain(arguments);
        Flags::try_parse_from(all)?.try_into()
    }

    fn refused(arguments: &[&str]) -> String {
        format!("{:#}", config(arguments).unwrap_err())
    }

    #[test]
    fn defaults_are_good() {
        let config = config(&[]).unwrap();
        assert_eq!((config.name.as_str(), config.listen.port()), ("relay-1", 5001));
        assert_eq!(config.capacity.window_bytes, WINDOW_BYTES_DEFAULT);
    }

    #[test]
    fn egress_is_given_in_megabits_and_an_empty_region_is_none() {
        let config = config(&["--egress-mbit-max", "80", "--region", ""]).unwrap();
        assert_eq!((config.egress_bytes_per_s_max, config.region), (Some(10_000_000), None));
    }

    #[test]
    fn wrong_settings_are_sentences_that_name_the_flag() {
        for (arguments, words) in [
            (["--public-url", "http://a/ws"], "--public-url is http://a/ws; give an address such as"),
            (["--public-url", "ws://a/"], "its path has to end with /ws"),
            (["--directory", "ws://a/"], "--directory is ws://a/; give an address"),
            (["--window-bytes", "1"], "--window-bytes is 1; give at least"),
            (["--streams-max", "0"], "--streams-max is 0"),
            (["--viewers-max", "0"], "--viewers-max is 0"),
            (["--publisher-mbit-max", "0"], "--publisher-mbit-max is 0"),
            (["--egress-mbit-max", "0"], "--egress-mbit-max is 0"),
            (["--region", "eu west"], "--region is \"eu west\"; give at most 32 bytes"),
            (["--drain-seconds", "3601"], "--drain-seconds is 3601"),
            (["--grace-seconds", "601"], "--grace-seconds is 601"),
        ] {
            assert!(refused(&arguments).contains(words), "{arguments:?}: {}", refused(&arguments));
        }
        let nameless = Flags::try_parse_from(["relay", "--join-secret", "s", "--name", "No Name"]).unwrap();
        assert!(format!("{:#}", Config::try_from(nameless).unwrap_err()).contains("a relay name is"));
    }

    #[test]
    fn secret_hides_in_debug() {
        assert!(!format!("{:?}", config(&[]).unwrap()).contains("a-long-secret"));
    }
}
