//! What an operator sets for WebTransport.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use clap::builder::FalseyValueParser;
use protocol::{limits::RELAY_URL_BYTES_MAX, webtransport::PATH};
use url::Url;

/// Whether and where it is offered.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "WebTransport, by UDP, for those whose network lets it through")]
pub struct WebTransportFlags {
    /// Where sessions are listened for, by UDP [default: the address and port of --listen; behind a proxy nowhere, as proxies pass on
    /// TCP alone]
    #[arg(long, env = "RELAY_WEBTRANSPORT_LISTEN", value_name = "ADDRESS:PORT")]
    pub webtransport_listen: Option<SocketAddr>,

    /// The address people reach it at: https://, the host of --public-url, and the path /wt [default: with the port of
    /// --webtransport-listen, or that of --public-url]
    #[arg(long, env = "RELAY_WEBTRANSPORT_URL", value_name = "URL")]
    pub webtransport_url: Option<Url>,

    /// Offer WebSocket alone, and pull streams from other relays by nothing else
    #[arg(long, env = "NO_WEBTRANSPORT", value_parser = FalseyValueParser::new())]
    pub no_webtransport: bool,
}

impl WebTransportFlags {
    /// Checks what the types of the flags can't.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self, public_url: Option<&Url>) -> Result<()> {
        let Some(url) = &self.webtransport_url else { return Ok(()) };
        ensure!(
            url.scheme() == "https" && url.path() == PATH && url.as_str().len() <= RELAY_URL_BYTES_MAX,
            "--webtransport-url is {url}; give an address such as https://relay.example:5001{PATH}"
        );
        let host = public_url.and_then(Url::host_str);
        ensure!(
            host.is_none() || host == url.host_str(),
            "--webtransport-url is {url}; its host has to be that of --public-url, which the directory checks"
        );
        Ok(())
    }

    /// Where to listen, when the TCP listener has `public`; none: not at all.
    #[must_use]
    pub fn listen(&self, public: SocketAddr, behind_proxy: bool) -> Option<SocketAddr> {
        match self.webtransport_listen {
            _ if self.no_webtransport => None,
            Some(address) => Some(address),
            None => (!behind_proxy).then_some(public),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(url: &str) -> Result<()> {
        let webtransport_url = Some(url.parse().unwrap());
        let flags = WebTransportFlags { webtransport_url, ..WebTransportFlags::default() };
        flags.check(Some(&"wss://relay.example/ws".parse().unwrap()))
    }

    #[test]
    fn address_is_one_that_clients_can_use_and_the_directory_hands_out() {
        assert!(with_url("https://relay.example:4433/wt").is_ok());
        for url in ["https://relay.example:4433/", "http://relay.example/wt", "https://other.example/wt"] {
            assert!(with_url(url).unwrap_err().to_string().contains("--webtransport-url is"), "{url}");
        }
    }

    #[test]
    fn it_listens_where_the_tcp_listener_does_unless_it_is_told_otherwise() {
        let (public, other) = ("127.0.0.1:5001".parse().unwrap(), "127.0.0.1:7".parse().unwrap());
        let flags = WebTransportFlags::default();
        assert_eq!((flags.listen(public, false), flags.listen(public, true)), (Some(public), None));
        let flags = WebTransportFlags { webtransport_listen: Some(other), ..flags };
        assert_eq!((flags.listen(public, false), flags.listen(public, true)), (Some(other), Some(other)));
        assert_eq!(WebTransportFlags { no_webtransport: true, ..flags }.listen(public, false), None);
    }
}
