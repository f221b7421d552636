//! A TCP proxy in front of servers, with weather: it can cut, refuse, delay, throttle, black-hole and reorder, each while it runs.
//!
//! What is sent over one connection arrives in order, as TCP has it. Reordered are the connections: what is sent over one arrives
//! before what was sent over another earlier.

mod change;
mod pipe;
#[cfg(test)]
mod tests;
mod weather;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

pub use change::Change;
use pipe::{Direction, pipe};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::AbortHandle,
};
pub use weather::{Way, Weather};

/// What the kernel holds for each socket here, in each direction (it takes twice as much): what a throttled way holds back has to
/// be felt by its sender.
const SOCKET_BUFFER_BYTES: u32 = 32 * 1024;

/// Connections that wait to be accepted: a crowd comes back at once.
const BACKLOG: u32 = 1024;

/// What went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were ever taken.
    pub connections: u64,
    /// Those that are open.
    pub open: u64,
    /// Bytes that have gone to servers.
    pub up_bytes: u64,
    /// Bytes that have gone to clients.
    pub down_bytes: u64,
}

#[derive(Debug, Default)]
struct Counts {
    connections: watch::Sender<u64>,
    open: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
}

/// The proxy. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    counts: Arc<Counts>,
    accepting: AbortHandle,
}

impl Proxy {
    /// A proxy on a free port of loopback in front of `target`, which need not listen yet.
    pub async fn before(target: SocketAddr) -> Self {
        Self::before_all(vec![target]).await
    }

    /// One address before several servers, which take turns; one that can't be reached is passed over.
    pub async fn before_all(targets: Vec<SocketAddr>) -> Self {
        let listener = listen().unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, seen) = watch::channel(Weather::default());
        let counts = Arc::<Counts>::default();
        let (counting, turns) = (Arc::clone(&counts), Arc::new(Turns { targets, next: AtomicUsize::new(0) }));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let now = *seen.borrow();
                if now.refusing {
                    reset(&client);
                    continue;
                }
                counting.connections.send_modify(|count| *count += 1);
                counting.open.fetch_add(1, Ordering::Relaxed);
                let (turns, seen, counts) = (Arc::clone(&turns), seen.clone(), Arc::clone(&counting));
                tokio::spawn(async move {
                    join(client, &turns, now, seen, &counts).await;
                    counts.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, weather, counts, accepting: accepting.abort_handle() }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went through so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            connections: *self.counts.connections.borrow(),
            open: self.counts.open.load(Ordering::Relaxed),
            up_bytes: self.counts.up_bytes.load(Ordering::Relaxed),
            down_bytes: self.counts.down_bytes.load(Ordering::Relaxed),
        }
    }

    /// Tells of every connection that is taken, by their count.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.counts.connections.subscribe()
    }

    /// Changes the weather, for the connections that are open and those to come.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Lets nothing through in either direction, silently, or everything again.
    pub fn black_hole(&self, black_hole: bool) {
        self.change(|weather| (weather.up.black_hole, weather.down.black_hole) = (black_hole, black_hole));
    }

    /// Resets every connection that is open.
    pub fn cut(&self) {
        self.change(Weather::cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = small_socket()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(BACKLOG)
}

/// A socket that holds little. What it may hold has to be said before it is connected, and is inherited by accepted ones.
fn small_socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    Ok(socket)
}

/// The servers behind a proxy.
#[derive(Debug)]
struct Turns {
    targets: Vec<SocketAddr>,
    next: AtomicUsize,
}

impl Turns {
    async fn connect(&self) -> io::Result<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for n in 0..self.targets.len() {
            let Some(&target) = self.targets.get((first + n) % self.targets.len()) else { break };
            match small_socket()?.connect(target).await {
                Ok(server) => return Ok(server),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// A socket that is dropped from here on is reset, not closed.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

async fn join(
    mut client: TcpStream,
    turns: &Turns,
    begun: Weather,
    mut weather: watch::Receiver<Weather>,
    counts: &Counts,
) {
    let mut to_be_cut = weather.clone();
    let cut = async move { drop(to_be_cut.wait_for(|now| now.has_cut_since(&begun)).await) };
    let mut server = None;
    let carry = async {
        // A server behind a cable that is out hears of no connection.
        let open = |now: &Weather| !now.up.black_hole && !now.down.black_hole;
        weather.wait_for(open).await.map_err(io::Error::other)?;
        let server = server.insert(turns.connect().await?);
        for socket in [&client, server] {
            socket.set_nodelay(true)?;
        }
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(
            pipe(from_client, to_server, weather.clone(), Direction::Up, &counts.up_bytes),
            pipe(from_server, to_client, weather.clone(), Direction::Down, &counts.down_bytes),
        )?;
        io::Result::Ok(())
    };
    let ended_well = tokio::select! {
        carried = carry => carried.is_ok(),
        () = cut => false,
    };
    if !ended_well {
        reset(&client);
        server.iter().for_each(reset);
    }
}
