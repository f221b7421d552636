//! Relays that start and stop by themselves: what the spawner is told of relays, what they join with, and how it stands.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use protocol::{RelayName, Secret};
use service::tls::{TLS_FOLDER, TlsMode};
use spawner::{Kind, OwnMachine, Relays, scale::RelaySeen};
use tracing::warn;
use url::Url;

use crate::{
    Config,
    app::App,
    registry::{RelayHealth, RelayStatus},
};

/// How long what a relay joins with is good for: a machine that takes so long to come did not come for today's load.
const TOKEN_SECONDS: u64 = 24 * 3600;

/// Begins to start and stop relays, where the flags want that; `public` is where the directory listens.
///
/// # Errors
/// A sentence that says what to change.
pub(crate) async fn start(config: &Config, app: &App, public: SocketAddr) -> Result<()> {
    let own = if config.spawn.spawn == Kind::None { return Ok(()) } else { own_machine(config, public)? };
    let tokens = app.clone();
    let token = Arc::new(move |_: &RelayName| token(&tokens));
    let Some(fleet) = config.spawn.fleet(&own, token).await? else { return Ok(()) };
    let is_alone = config.spawn.spawn == Kind::Local && config.spawn.spawn_public_url.is_none();
    if is_alone && !public.ip().to_canonical().is_loopback() {
        warn!(
            "people elsewhere don't reach the relays that are started here: give --spawn-public-url and --spawn-ports"
        );
    }
    let life = app.life();
    life.spawn(count(app.clone(), fleet.status()));
    life.spawn(fleet.run(Arc::new(Seen(app.clone())), life.stopping()));
    Ok(())
}

/// What a relay joins with, once. When the system fails it is nothing: why is logged here, and that nothing is had by the relay.
fn token(app: &App) -> Secret {
    app.join_token(1, app.clock().now_s() + TOKEN_SECONDS).unwrap_or_else(|_| "".into())
}

/// What relays on this machine have in common with the directory: it answers at home, and its certificate is theirs too.
fn own_machine(config: &Config, public: SocketAddr) -> Result<OwnMachine> {
    let mut relays = Vec::new();
    let mut set = |name: &str, file: &Path| relays.push(format!("{name}={}", file.display()));
    let own = |file: &str| config.data_dir.join(TLS_FOLDER).join(file);
    let ca = config.ca.as_deref().filter(|file| !file.as_os_str().is_empty());
    if let Some(ca) = ca {
        set("CA_FILE", ca);
    }
    let directory = match config.door.check()? {
        TlsMode::Off => url("http", &at_home(public), public.port())?,
        TlsMode::Files { cert, key } => {
            set("TLS_CERT", &cert);
            set("TLS_KEY", &key);
            match &config.spawn.spawn_directory_url {
                Some(url) => url.clone(),
                None if config.spawn.spawn == Kind::Local => bail!(
                    "--spawn-directory-url is missing: give the address that the certificate is for, such as https://NAME:{}",
                    public.port()
                ),
                None => url("https", &at_home(public), public.port())?,
            }
        }
        TlsMode::SelfSigned { .. } => {
            set("TLS_CERT", &own("cert.pem"));
            set("TLS_KEY", &own("key.pem"));
            if ca.is_none() {
                set("CA_FILE", &own("cert.pem"));
            }
            url("https", &at_home(public), public.port())?
        }
        TlsMode::Acme(acme) => {
            set("TLS_CERT", &own("cert.pem"));
            set("TLS_KEY", &own("key.pem"));
            url("https", acme.acme_domain.first().map_or("localhost", String::as_str), public.port())?
        }
    };
    Ok(OwnMachine { directory, listen: public.ip(), relays })
}

/// The address by which this machine reaches itself.
fn at_home(public: SocketAddr) -> String {
    let ip = match public.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

fn url(scheme: &str, host: &str, port: u16) -> Result<Url> {
    format!("{scheme}://{host}:{port}").parse().context("--spawn-directory-url is missing")
}

/// All relays as the registry knows them.
struct Seen(App);

impl Relays for Seen {
    fn seen(&self) -> Vec<RelaySeen> {
        let statuses = self.0.registry(|registry, now_us| registry.relay_statuses(now_us));
        statuses.into_iter().map(seen).collect()
    }

    fn drain(&self, name: &RelayName) {
        self.0.registry(|registry, now_us| registry.drain(now_us, name, true));
    }
}

fn seen(status: RelayStatus) -> RelaySeen {
    RelaySeen {
        head_room: head_room(&status),
        name: status.name,
        streams: status.streams,
        viewers: status.viewers,
        draining: status.health == RelayHealth::Draining,
        // One that is full serves those it has.
        healthy: !matches!(status.health, RelayHealth::Suspect | RelayHealth::Draining | RelayHealth::Unchecked),
        ours: false,
    }
}

/// How much of a relay is free for more: nothing of one that gets nothing, whatever it has left.
fn head_room(status: &RelayStatus) -> f64 {
    match status.health {
        RelayHealth::Busy | RelayHealth::Full => 0.0,
        RelayHealth::Ready | RelayHealth::Suspect | RelayHealth::Draining | RelayHealth::Unchecked => {
            status.head_room.share()
        }
    }
}

/// Shows in the metrics how it stands.
async fn count(app: App, mut status: tokio::sync::watch::Receiver<spawner::Status>) {
    let stopping = app.life().stopping();
    let mut before = spawner::Status::default();
    loop {
        let now = status.borrow_and_update().clone();
        app.metrics().spawned.set(&before, &now);
        before = now;
        if !matches!(stopping.run_until_cancelled(status.changed()).await, Some(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use protocol::relay_proof::JoinToken;
    use service::Clock;

    use super::*;

    fn own(flags: &[&str], public: &str) -> Result<OwnMachine> {
        let fixed = ["directory", "--data-dir", "data", "--spawn", "local"];
        own_machine(&Config::try_parse_from([&fixed, flags].concat())?, public.parse()?)
    }

    #[test]
    fn relays_of_this_machine_find_the_directory_at_home_with_its_certificate() {
        for (public, url) in [
            ("0.0.0.0:5000", "http://127.0.0.1:5000/"),
            ("[::]:5000", "http://[::1]:5000/"),
            ("192.0.2.7:5000", "http://192.0.2.7:5000/"),
        ] {
            let own = own(&[], public).unwrap();
            assert_eq!((own.directory.as_str(), own.relays.len()), (url, 0));
        }
        let encrypted = own(&["--tls", "self-signed"], "0.0.0.0:5000").unwrap();
        assert_eq!(encrypted.directory.as_str(), "https://127.0.0.1:5000/");
        let files = ["TLS_CERT=data/tls/cert.pem", "TLS_KEY=data/tls/key.pem", "CA_FILE=data/tls/cert.pem"];
        assert_eq!(encrypted.relays, files);
        let acme = own(&["--acme-domain", "live.example.org"], "0.0.0.0:443").unwrap();
        assert_eq!(acme.directory.as_str(), "https://live.example.org/");
    }

    #[test]
    fn certificate_of_an_operator_is_for_a_name_that_has_to_be_told() {
        let files = ["--tls-cert", "c.pem", "--tls-key", "k.pem", "--ca", "a.pem"];
        assert!(own(&files, "0.0.0.0:5000").unwrap_err().to_string().contains("--spawn-directory-url is missing"));
        let told = own(&[&files[..], &["--spawn-directory-url", "https://live.example.org"]].concat(), "0.0.0.0:5000");
        assert_eq!(told.unwrap().relays, ["CA_FILE=a.pem", "TLS_CERT=c.pem", "TLS_KEY=k.pem"]);
    }

    #[test]
    fn each_relay_joins_with_a_token_of_its_own_for_a_day() {
        let app = App::for_tests(Clock::by_hand(1_763_000_000_000_000));
        let read = |token: Secret| {
            let read: JoinToken = app.ticket_key().verify(token.expose()).unwrap();
            read
        };
        let (first, second) = (read(token(&app)), read(token(&app)));
        assert_eq!((first.uses_max, first.expires_at_s), (1, 1_763_000_000 + 24 * 3600));
        assert_ne!(first.id, second.id);
    }
}
