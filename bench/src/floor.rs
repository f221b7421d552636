//! The floor: a server that hands one stream on to everybody who asks, by one thread and one write for each chunk and viewer, and does
//! nothing else. No tickets, no bounds, no second stream. What a relay costs is told as a multiple of it.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
};

use anyhow::{Result, bail};
use mio::{Events, Interest, Poll, Token, Waker};
use protocol::{
    MediaHeader, MediaKind,
    control::{ClientHello, ToBroadcaster},
};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const WAKE: Token = Token(usize::MAX);
const PUBLISHER: Token = Token(usize::MAX - 1);

/// A frame as it is written.
type Frame = Arc<[u8]>;

enum Arrival {
    Publisher(Box<WebSocket<mio::net::TcpStream>>),
    Viewer(mio::net::TcpStream),
}

struct Viewer {
    socket: mio::net::TcpStream,
    /// What the kernel has not taken yet, and how much of the first it has.
    waiting: VecDeque<Frame>,
    written: usize,
}

#[derive(Default)]
struct Stream {
    init: Option<Frame>,
    /// The chunks since the newest key chunk.
    segment: Vec<Frame>,
}

/// Serves on `listener` until the process ends.
///
/// # Errors
/// When the system has no more to give.
pub fn serve(listener: TcpListener) -> Result<()> {
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    let (arrive, arrivals) = mpsc::channel();
    thread::Builder::new().name("door".into()).spawn(move || {
        for socket in listener.incoming().flatten() {
            // Whoever is no viewer of a measurement is none here.
            if let Ok(arrival) = admit(socket) {
                let _ = arrive.send(arrival);
                let _ = waker.wake();
            }
        }
    })?;
    let mut events = Events::with_capacity(1024);
    let mut stream = Stream::default();
    let mut viewers: Vec<Option<Viewer>> = Vec::new();
    let mut publisher: Option<Box<WebSocket<mio::net::TcpStream>>> = None;
    loop {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            match event.token() {
                WAKE => {
                    for arrival in arrivals.try_iter() {
                        match arrival {
                            Arrival::Publisher(mut socket) => {
                                stream = Stream::default();
                                poll.registry().register(socket.get_mut(), PUBLISHER, Interest::READABLE)?;
                                forward(&mut socket, &mut stream, &mut viewers)?;
                                publisher = Some(socket);
                            }
                            Arrival::Viewer(mut socket) => {
                                let place = Token(viewers.len());
                                let interest = Interest::READABLE | Interest::WRITABLE;
                                poll.registry().register(&mut socket, place, interest)?;
                                let waiting = stream.init.iter().chain(&stream.segment).cloned().collect();
                                let mut viewer = Viewer { socket, waiting, written: 0 };
                                viewers.push(viewer.write().is_ok().then_some(viewer));
                            }
                        }
                    }
                }
                PUBLISHER => {
                    if let Some(socket) = &mut publisher
                        && forward(socket, &mut stream, &mut viewers).is_err()
                    {
                        publisher = None;
                    }
                }
                Token(place) => {
                    if let Some(seat) = viewers.get_mut(place)
                        && let Some(viewer) = seat
                        && (viewer.has_left() || viewer.write().is_err())
                    {
                        *seat = None;
                    }
                }
            }
        }
    }
}

/// The handshake and the first message, one after the other.
fn admit(socket: TcpStream) -> Result<Arrival> {
    socket.set_nodelay(true)?;
    let mut socket = tungstenite::accept(socket).map_err(|error| io::Error::other(error.to_string()))?;
    let hello = serde_json::from_str(socket.read()?.to_text()?)?;
    let publishes = match hello {
        ClientHello::WatchStream { .. } => false,
        ClientHello::RegisterNewStream { .. } => true,
        _ => bail!("neither a publisher nor a viewer"),
    };
    if publishes {
        let registered = ToBroadcaster::StreamRegistered {
            stream: protocol::StreamId::of(&"floor".parse()?, 0),
            relay: "floor".parse()?,
        };
        socket.send(Message::text(serde_json::to_string(&registered)?))?;
    }
    let plain = socket.get_ref().try_clone()?;
    plain.set_nonblocking(true)?;
    let plain = mio::net::TcpStream::from_std(plain);
    Ok(if publishes {
        Arrival::Publisher(Box::new(WebSocket::from_raw_socket(plain, tungstenite::protocol::Role::Server, None)))
    } else {
        Arrival::Viewer(plain)
    })
}

/// Hands on what the publisher has sent.
fn forward(
    publisher: &mut WebSocket<mio::net::TcpStream>,
    stream: &mut Stream,
    viewers: &mut [Option<Viewer>],
) -> Result<()> {
    loop {
        let message = match publisher.read() {
            Ok(Message::Binary(message)) => message,
            Ok(_) => continue,
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let (header, _) = MediaHeader::decode(&message)?;
        let frame: Frame = framed(&message).into();
        match header.kind {
            MediaKind::Init => stream.init = Some(Arc::clone(&frame)),
            MediaKind::Chunk => {
                if header.key {
                    stream.segment.clear();
                }
                stream.segment.push(Arc::clone(&frame));
            }
        }
        for seat in viewers.iter_mut() {
            if let Some(viewer) = seat
                && viewer.send(&frame).is_err()
            {
                *seat = None;
            }
        }
    }
}

/// A message as an unmasked frame (RFC 6455 5.2).
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 10);
    frame.push(0x82);
    match message.len() {
        len @ 0..=125 => frame.push(len as u8),
        len @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(message);
    frame
}

impl Viewer {
    fn send(&mut self, frame: &Frame) -> io::Result<()> {
        if self.waiting.is_empty() {
            self.written = match self.socket.write(frame) {
                Ok(written) if written == frame.len() => return Ok(()),
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
        }
        self.waiting.push_back(Arc::clone(frame));
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(frame) = self.waiting.front() {
            match self.socket.write(&frame[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.written == frame.len() {
                self.waiting.pop_front();
                self.written = 0;
            }
        }
        Ok(())
    }

    /// Throws away what it says; whether it has gone.
    fn has_left(&mut self) -> bool {
        let mut said = [0; 1024];
        loop {
            match self.socket.read(&mut said) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}
