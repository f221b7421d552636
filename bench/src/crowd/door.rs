//! Where a viewer joins: an address, and the ticket that it shows there.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use protocol::{PROTOCOL_VERSION, Secret, WebTransportAddress, control::ClientHello};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use url::Url;

use super::line::{Line, masked};

/// How long a server may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of the answer to a handshake.
const ANSWER_BYTES_MAX: usize = 4096;

/// The way in.
#[derive(Debug, Clone)]
pub struct Door {
    /// The relay.
    pub relay: Url,
    /// Where it is reached by WebTransport.
    pub webtransport: Option<WebTransportAddress>,
    /// A ticket for watching.
    pub ticket: Secret,
    /// How its certificate is verified, when the address is a `wss:` one.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Door {
    /// The same with the relay at `host`, which is how it is reached from elsewhere.
    ///
    /// # Errors
    /// When its addresses have no place for that.
    pub fn reached_at(mut self, host: IpAddr) -> Result<Self> {
        let urls = [Some(&mut self.relay), self.webtransport.as_mut().map(|address| &mut address.url)];
        for url in urls.into_iter().flatten() {
            url.set_ip_host(host).map_err(|()| anyhow!("{url} can't be reached elsewhere"))?;
        }
        Ok(self)
    }

    /// Connects, and says what is wanted.
    ///
    /// # Errors
    /// When nobody answers, or does not as a WebSocket.
    pub fn enter(&self) -> Result<Line> {
        let host = self.relay.host_str().context("a relay's address has a host")?;
        let port = self.relay.port_or_known_default().context("a relay's address has a port")?;
        let address = (host, port).to_socket_addrs()?.next().context("a relay's address leads nowhere")?;
        let socket = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX).context("a relay can't be reached")?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        match &self.tls {
            Some(config) if self.relay.scheme() == "wss" => {
                let name = ServerName::try_from(host.to_owned())?;
                let connection = ClientConnection::new(Arc::clone(config), name)?;
                let mut stream = StreamOwned::new(connection, socket);
                self.shake_hands(&mut stream, host, port)?;
                Line::tls(stream)
            }
            _ => {
                let mut socket = socket;
                self.shake_hands(&mut socket, host, port)?;
                Line::plain(socket)
            }
        }
    }

    /// The handshake of RFC 6455 4.1, and the first message. The answer is read byte by byte: what follows it is the reader's.
    fn shake_hands(&self, stream: &mut (impl Read + Write), host: &str, port: u16) -> Result<()> {
        let path = self.relay.path();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            ensure!(answer.len() < ANSWER_BYTES_MAX, "a relay's answer has no end");
            let mut byte = [0];
            stream.read_exact(&mut byte).context("a relay closes instead of answering")?;
            answer.push(byte[0]);
        }
        let first_line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let first_line = String::from_utf8_lossy(first_line);
        ensure!(first_line.contains(" 101 "), "a relay lets nobody in: {first_line}");
        let hello = ClientHello::WatchStream { protocol: PROTOCOL_VERSION, ticket: self.ticket.clone() };
        stream.write_all(&masked(1, serde_json::to_string(&hello)?.as_bytes()))?;
        stream.flush()?;
        Ok(())
    }
}
