//! Where a relay's public address is really dialled, when a server can't reach it as the public does: behind a router that does not
//! turn its own public address around, or in a network of containers. The form is that of curl's `--connect-to`.

use std::str::FromStr;

use thiserror::Error;

/// `HOST:PORT:HOST2:PORT2`: what is public at HOST:PORT is dialled at HOST2:PORT2. Empty HOST or PORT stand for any, empty HOST2 or
/// PORT2 for the same. IPv6 addresses stand in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    public: (Option<String>, Option<u16>),
    real: (Option<String>, Option<u16>),
}

/// Not of the form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not of the form HOST:PORT:HOST2:PORT2")]
pub struct InvalidConnectTo;

impl ConnectTo {
    /// Where to dial for this host and port; none when this says nothing about them.
    #[must_use]
    pub fn apply(&self, host: &str, port: u16) -> Option<(String, u16)> {
        let (public_host, public_port) = &self.public;
        let hosts = public_host.as_ref().is_none_or(|public| public.eq_ignore_ascii_case(host));
        let ports = public_port.is_none_or(|public| public == port);
        let (real_host, real_port) = &self.real;
        let real = || (real_host.clone().unwrap_or_else(|| host.to_owned()), real_port.unwrap_or(port));
        (hosts && ports).then(real)
    }
}

impl FromStr for ConnectTo {
    type Err = InvalidConnectTo;

    fn from_str(text: &str) -> Result<Self, InvalidConnectTo> {
        let (public, rest) = host_and_port(text)?;
        let (real, rest) = host_and_port(rest.strip_prefix(':').ok_or(InvalidConnectTo)?)?;
        if rest.is_empty() { Ok(Self { public, real }) } else { Err(InvalidConnectTo) }
    }
}

type HostAndPort = (Option<String>, Option<u16>);

/// Reads `HOST:PORT`, and returns what follows it.
fn host_and_port(text: &str) -> Result<(HostAndPort, &str), InvalidConnectTo> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or(InvalidConnectTo)?,
        None => text.split_at(text.find(':').ok_or(InvalidConnectTo)?),
    };
    let rest = rest.strip_prefix(':').ok_or(InvalidConnectTo)?;
    let (port, rest) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    let port = if port.is_empty() { None } else { Some(port.parse().map_err(|_| InvalidConnectTo)?) };
    Ok(((Some(host.to_owned()).filter(|host| !host.is_empty()), port), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(rule: &str, host: &str, port: u16) -> Option<(String, u16)> {
        rule.parse::<ConnectTo>().unwrap().apply(host, port)
    }

    #[test]
    fn named_address_is_dialled_elsewhere_and_others_are_not() {
        let there = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(dialled("localhost:5001:relay-1:5001", "localhost", 5001), there("relay-1", 5001));
        assert_eq!(dialled("localhost:5001:relay-1:5001", "LOCALHOST", 5001), there("relay-1", 5001));
        assert_eq!(dialled("localhost:5001:relay-1:5001", "localhost", 5002), None);
        assert_eq!(dialled("localhost:5001:relay-1:5001", "elsewhere", 5001), None);
        assert_eq!(dialled("localhost::gateway:", "localhost", 5002), there("gateway", 5002));
        assert_eq!(dialled("::127.0.0.1:99", "anything", 1), there("127.0.0.1", 99));
        assert_eq!(dialled("[2001:db8::1]:443:[::1]:5001", "2001:db8::1", 443), there("::1", 5001));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", "a", "a:1", "a:1:b", "a:x:b:2", "a:1:b:2:c", "a:1:b:99999", "[::1:1:b:2", "2001:db8::1:443:b:2"]
        {
            assert_eq!(text.parse::<ConnectTo>(), Err(InvalidConnectTo), "{text}");
        }
    }
}
