//! Opens the connection to a public address. Strangers may run relays, and say where the directory is to dial: one that joined from
//! the public internet does not make the directory knock at doors in its own network.

use std::net::{IpAddr, Ipv6Addr};

use service::ConnectTo;
use tokio::net::{TcpStream, lookup_host};
use url::{Host, Url};

use super::CheckError;

/// Addresses that are tried of one host.
const ADDRESSES_MAX: usize = 4;

/// The ways to public addresses.
pub(super) struct Reach(Vec<ConnectTo>);

impl Reach {
    pub(super) fn new(connect_to: Vec<ConnectTo>) -> Self {
        Self(connect_to)
    }

    pub(super) async fn connect(&self, url: &Url, from_afar: bool) -> Result<TcpStream, CheckError> {
        let unreached = |why| CheckError::Unreached(url.to_string(), why);
        let host = match url.host() {
            Some(Host::Domain(domain)) => domain.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(unreached("it names no host")),
        };
        let port = url.port_or_known_default().ok_or_else(|| unreached("it names no port"))?;
        let elsewhere = self.0.iter().find_map(|rule| rule.apply(&host, port));
        let bound_to_be_public = from_afar && elsewhere.is_none();
        let place = elsewhere.unwrap_or((host, port));
        let found = lookup_host(place).await.map_err(|_| unreached("the host is not known"))?;
        let (usable, private): (Vec<_>, Vec<_>) =
            found.partition(|address| !bound_to_be_public || !is_private(address.ip()));
        if usable.is_empty() && !private.is_empty() {
            return Err(CheckError::Private(url.to_string()));
        }
        for address in usable.into_iter().take(ADDRESSES_MAX) {
            if let Ok(socket) = TcpStream::connect(address).await {
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
        }
        Err(unreached("the connection is refused"))
    }
}

/// Whether an address is of a machine or network that the public does not reach (RFC 6890).
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second); // RFC 6598
            let unusual = v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || first == 0;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared || unusual
        }
        IpAddr::V6(v6) => {
            let unusual = v6.is_unspecified() || v6.is_multicast() || is_translated(v6);
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || unusual
        }
    }
}

/// An IPv4 address in a form that a gateway turns back (RFC 6052): what it names may be private.
fn is_translated(v6: Ipv6Addr) -> bool {
    v6.segments()[..2] == [0x64, 0xff9b]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_known() {
        for text in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in ["::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "::"] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in ["203.0.113.5", "100.128.0.1", "2001:db8::1", "8.8.8.8"] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn stranger_does_not_make_the_directory_dial_its_own_network() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url: Url = format!("ws://127.0.0.1:{port}/ws").parse().unwrap();
        let reach = Reach::new(Vec::new());
        assert!(matches!(reach.connect(&url, true).await, Err(CheckError::Private(_))));
        reach.connect(&url, false).await.unwrap();
        let wanted = Reach::new(vec![format!("127.0.0.1:{port}:localhost:{port}").parse().unwrap()]);
        wanted.connect(&url, true).await.unwrap();
    }
}
