//! A viewer's connection, once it has said what it wants.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::fd::AsRawFd as _,
};

use anyhow::{Result, bail};
use mio::{event::Source, unix::SourceFd};
use rustls::{ClientConnection, StreamOwned};

/// A connection, plain or within TLS.
#[derive(Debug)]
pub struct Line {
    stream: Stream,
    source: Descriptor,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What is waited for.
#[derive(Debug)]
struct Descriptor(i32);

impl Source for Descriptor {
    fn register(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        SourceFd(&self.0).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        SourceFd(&self.0).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &mio::Registry) -> io::Result<()> {
        SourceFd(&self.0).deregister(registry)
    }
}

impl Line {
    pub(super) fn plain(socket: TcpStream) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let source = Descriptor(socket.as_raw_fd());
        Ok(Self { stream: Stream::Plain(socket), source })
    }

    pub(super) fn tls(stream: StreamOwned<ClientConnection, TcpStream>) -> Result<Self> {
        stream.sock.set_nonblocking(true)?;
        let source = Descriptor(stream.sock.as_raw_fd());
        Ok(Self { stream: Stream::Tls(Box::new(stream)), source })
    }

    pub(crate) fn source(&mut self) -> &mut impl Source {
        &mut self.source
    }

    /// What has come; `None`: nothing more for now.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
        let read = match &mut self.stream {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        };
        match read {
            Ok(0) => bail!("the relay has closed"),
            Ok(read) => Ok(Some(&buffer[..read])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Answers a ping: a few bytes, for which there is always room.
    pub(crate) fn pong(&mut self, payload: &[u8]) -> Result<()> {
        let frame = masked(10, payload);
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(&frame)?,
            Stream::Tls(stream) => stream.write_all(&frame)?,
        }
        Ok(())
    }
}

/// A client's frame (RFC 6455 5.2), masked with zeroes: it is for this machine's own servers. At most 65,535 bytes.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
