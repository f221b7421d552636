//! Checks what a relay says of itself before it joins.

use protocol::{
    ErrorCode, PROTOCOL_VERSION,
    http::{RegisterServer, RelayAddress},
    limits::{CERTIFICATE_HASHES_MAX, REGION_BYTES_MAX, RELAY_URL_BYTES_MAX},
};
use thiserror::Error;

use super::Joining;

/// Why what a relay says of itself can't be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidJoining {
    /// It speaks another version of the protocol.
    #[error("the relay speaks protocol {0}, the directory {PROTOCOL_VERSION}: use the same release of both")]
    Protocol(u16),
    /// Its URL is not one that clients can connect to.
    #[error("the relay's public URL must be ws://host[:port]/path or wss://..., without user, password or fragment")]
    Url,
    /// Its URL is too long.
    #[error("the relay's public URL has more than {RELAY_URL_BYTES_MAX} bytes")]
    UrlTooLong,
    /// Its region is no short word.
    #[error("the relay's region must have 1 to {REGION_BYTES_MAX} bytes, without control characters")]
    Region,
    /// Its WebTransport address is not its own, or not one that clients can use.
    #[error(
        "the relay's WebTransport address must be https:// at the host of its public URL, without user, password or fragment, with \
         at most {CERTIFICATE_HASHES_MAX} certificate hashes"
    )]
    WebTransport,
}

impl InvalidJoining {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Protocol(_) => ErrorCode::UnsupportedProtocol,
            Self::Url | Self::UrlTooLong | Self::Region | Self::WebTransport => ErrorCode::InvalidRequest,
        }
    }
}

impl TryFrom<RegisterServer> for Joining {
    type Error = InvalidJoining;

    fn try_from(body: RegisterServer) -> Result<Self, InvalidJoining> {
        if body.protocol != PROTOCOL_VERSION {
            return Err(InvalidJoining::Protocol(body.protocol));
        }
        let url = &body.url;
        if url.as_str().len() > RELAY_URL_BYTES_MAX {
            return Err(InvalidJoining::UrlTooLong);
        }
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let reachable = matches!(url.scheme(), "ws" | "wss") && url.host_str().is_some_and(|host| !host.is_empty());
        if !bare || !reachable {
            return Err(InvalidJoining::Url);
        }
        if body.webtransport.as_ref().is_some_and(|address| !address.is_well_formed(url)) {
            return Err(InvalidJoining::WebTransport);
        }
        let region =
            body.region.as_deref().map(|region| region_of(region).ok_or(InvalidJoining::Region)).transpose()?;
        Ok(Self {
            address: RelayAddress { name: body.name, url: body.url, webtransport: body.webtransport },
            streams_max: body.streams_max,
            viewers_max: body.viewers_max,
            egress_bytes_per_s_max: body.egress_bytes_per_s_max,
            region,
            public_key: body.public_key,
            from_afar: false,
        })
    }
}

/// A region as it is compared: as operators and viewers write it, but in lower case. None when it can't be one.
#[must_use]
pub fn region_of(text: &str) -> Option<String> {
    let region = text.trim().to_lowercase();
    let fits = (1..=REGION_BYTES_MAX).contains(&region.len()) && !region.contains(char::is_control);
    fits.then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::WebTransportAddress;

    fn body(url: &str) -> RegisterServer {
        RegisterServer {
            name: "relay-1".parse().unwrap(),
            url: url.parse().unwrap(),
            streams_max: 1,
            viewers_max: 1,
            egress_bytes_per_s_max: None,
            region: None,
            public_key: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE".parse().unwrap(),
            protocol: PROTOCOL_VERSION,
            webtransport: None,
        }
    }

    fn refused(body: RegisterServer) -> InvalidJoining {
        Joining::try_from(body).unwrap_err()
    }

    #[test]
    fn relay_with_a_web_socket_url_may_join() {
        for url in ["ws://127.0.0.1:5001/ws", "wss://relay.example/ws", "ws://[::1]:5001/ws"] {
            assert!(Joining::try_from(body(url)).is_ok(), "{url}");
        }
    }

    #[test]
    fn url_that_no_client_can_use_is_refused() {
        for url in ["http://relay/ws", "file:///ws", "ws://user@relay/ws", "ws://:secret@relay/ws", "ws://relay/ws#top"]
        {
            assert_eq!(refused(body(url)), InvalidJoining::Url, "{url}");
        }
        assert_eq!(refused(body(&format!("ws://relay/{}", "x".repeat(512)))), InvalidJoining::UrlTooLong);
    }

    #[test]
    fn web_transport_address_is_at_the_relays_own_host() {
        let with = |url: &str| {
            let webtransport = WebTransportAddress { url: url.parse().unwrap(), certificate_hashes: vec![] };
            Joining::try_from(RegisterServer { webtransport: Some(webtransport), ..body("ws://relay:5001/ws") })
        };
        let joining = with("https://relay:5001/wt").unwrap();
        assert_eq!(joining.address.webtransport.unwrap().url.as_str(), "https://relay:5001/wt");
        for url in ["https://victim:5001/wt", "http://relay:5001/wt"] {
            assert_eq!(with(url).unwrap_err(), InvalidJoining::WebTransport, "{url}");
        }
    }

    #[test]
    fn region_is_compared_however_it_is_written_and_bounded() {
        let with = |region: &str| {
            Joining::try_from(RegisterServer { region: Some(region.to_owned()), ..body("ws://relay/ws") })
        };
        assert_eq!(with(" EU-West ").unwrap().region.as_deref(), Some("eu-west"));
        assert_eq!(Joining::try_from(body("ws://relay/ws")).unwrap().region, None);
        for region in ["", " ", "eu\nwest", &"x".repeat(REGION_BYTES_MAX + 1)] {
            assert_eq!(with(region).unwrap_err(), InvalidJoining::Region, "{region:?}");
        }
    }

    #[test]
    fn other_protocol_version_is_refused() {
        assert_eq!(refused(RegisterServer { protocol: 99, ..body("ws://relay/ws") }), InvalidJoining::Protocol(99));
    }
}
