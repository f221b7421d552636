//! Ports that started relays may have, and the address people reach them at.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use protocol::RelayName;
use thiserror::Error;
use url::Url;

/// Why a range or an address can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPorts {
    /// Not FIRST-LAST.
    #[error("{0:?} is no range of ports; give one such as 5100-5199")]
    Range(String),
    /// Not a ws:// or wss:// address once its places are filled in.
    #[error("{0:?} is no address of a relay; give one such as ws://relay.example:{{port}}/ws")]
    Url(String),
}

/// Ports from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// All of them, in order.
    #[must_use]
    pub fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }
}

impl FromStr for PortRange {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(InvalidPorts::Range(text.to_owned())),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// An address with places for `{port}` and `{name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address of one relay.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(&self, name: &RelayName, port: u16) -> Result<Url, InvalidPorts> {
        let text = self.0.replace("{port}", &port.to_string()).replace("{name}", name.as_str());
        let url =
            Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "ws" | "wss") && url.path().ends_with("/ws"));
        url.ok_or_else(|| InvalidPorts::Url(self.0.clone()))
    }

    /// Whether every relay gets an address of its own.
    #[must_use]
    pub fn tells_relays_apart(&self) -> bool {
        self.0.contains("{port}") || self.0.contains("{name}")
    }

    /// Whether the port has to be known beforehand.
    #[must_use]
    pub fn names_the_port(&self) -> bool {
        self.0.contains("{port}")
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let url = Self(text.to_owned());
        let name = "relay-0".parse().map_err(|_| InvalidPorts::Url(text.to_owned()))?;
        url.of(&name, 1)?;
        Ok(url)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_wrong_ones_refused() {
        let range: PortRange = "5100-5102".parse().unwrap();
        assert_eq!((range.ports().collect::<Vec<_>>(), range.count()), (vec![5100, 5101, 5102], 3));
        for text in ["", "0-3", "9-3", "a-b", "1-70000", "5100-"] {
            assert!(text.parse::<PortRange>().unwrap_err().to_string().contains("5100-5199"), "{text}");
        }
    }

    #[test]
    fn public_address_is_filled_in_for_each_relay() {
        let url: PublicUrl = "wss://{name}.example:{port}/ws".parse().unwrap();
        assert_eq!(url.of(&"relay-3".parse().unwrap(), 5103).unwrap().as_str(), "wss://relay-3.example:5103/ws");
        assert!(url.tells_relays_apart() && !"ws://a/ws".parse::<PublicUrl>().unwrap().tells_relays_apart());
        for text in ["http://a:{port}/ws", "ws://a:{port}/", "nonsense"] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }
}
