//! Whom a request comes from: the peer of its connection or, behind a proxy that is trusted, whom the proxy says. Pure.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Whom the proxies say a request comes from; the last entry is the last proxy's word, all before it may be made up.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How the client reached the proxy: `https` or `http`.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whom a request comes from. Each request of the public listeners has it among its extensions. Not for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    /// The client's address; never an IPv4 address in the clothes of an IPv6 one.
    pub ip: IpAddr,
    /// Whether what the client sent was encrypted on its way to this server, or to the proxy before it.
    pub encrypted: bool,
}

impl ClientAddress {
    /// The client at the other end of a connection.
    #[must_use]
    pub const fn of_peer(peer: IpAddr, encrypted: bool) -> Self {
        Self { ip: peer.to_canonical(), encrypted }
    }

    /// The client of one request on a connection from `self`. Forwarded headers are looked at only with `behind_proxy`: anybody
    /// can send them. A proxy that says nothing readable is taken for the client.
    #[must_use]
    pub fn of_request(self, headers: &HeaderMap, behind_proxy: bool) -> Self {
        if !behind_proxy {
            return self;
        }
        let ip = last_entry(headers, &FORWARDED_FOR).and_then(address).unwrap_or(self.ip);
        let encrypted =
            last_entry(headers, &FORWARDED_PROTO).map_or(self.encrypted, |proto| proto.eq_ignore_ascii_case("https"));
        Self { ip, encrypted }
    }

    /// The network that limits count by.
    #[must_use]
    pub const fn network(self) -> Network {
        Network::of(self.ip)
    }
}

/// What one customer of an internet provider has at least: an IPv4 address, or an IPv6 network of /64 (RFC 6177), whose 2^64
/// addresses must not count as so many clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0 << 64)),
            v4 => v4,
        })
    }

    /// Its first address, of which it can be made again.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.0
    }
}

/// The last of a header's comma separated entries, over all its lines.
fn last_entry<'headers>(headers: &'headers HeaderMap, name: &HeaderName) -> Option<&'headers str> {
    let line = headers.get_all(name).iter().next_back().map(HeaderValue::to_str)?.ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.9";

    fn client(lines: &[(&'static str, &str)], behind_proxy: bool) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let client = ClientAddress::of_peer(PEER.parse().unwrap(), false).of_request(&headers, behind_proxy);
        (client.ip.to_string(), client.encrypted)
    }

    #[test]
    fn without_a_proxy_forwarded_headers_are_never_looked_at() {
        let lines = [("x-forwarded-for", "203.0.113.5"), ("x-forwarded-proto", "https")];
        assert_eq!(client(&lines, false), (PEER.to_owned(), false));
    }

    #[test]
    fn behind_a_proxy_its_own_word_counts_and_not_what_the_client_made_up_before_it() {
        let lines = [("x-forwarded-for", "1.1.1.1, 203.0.113.5"), ("x-forwarded-proto", "http, https")];
        assert_eq!(client(&lines, true), ("203.0.113.5".to_owned(), true));
        let two_lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.6")];
        assert_eq!(client(&two_lines, true), ("203.0.113.6".to_owned(), false));
    }

    #[test]
    fn behind_a_proxy_every_way_of_writing_an_address_is_read() {
        for (written, meant) in [
            ("203.0.113.5:1234", "203.0.113.5"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
        ] {
            assert_eq!(client(&[("x-forwarded-for", written)], true).0, meant, "{written}");
        }
    }

    #[test]
    fn proxy_that_says_nothing_readable_is_taken_for_the_client() {
        for written in ["", "unknown", "203.0.113.5,", "_hidden, ,"] {
            assert_eq!(client(&[("x-forwarded-for", written)], true).0, PEER, "{written:?}");
        }
        assert_eq!(client(&[], true).0, PEER);
    }

    #[test]
    fn network_is_an_ipv4_address_or_half_an_ipv6_one() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("203.0.113.5"), of("203.0.113.6"));
        assert_eq!(of("::ffff:203.0.113.5"), of("203.0.113.5"));
    }
}
