//! A server that says back what it hears, behind a door, and clients of it.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use service::{Door, DoorFlags, Lifecycle, tls};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};

/// Far longer than anything a test waits for takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server within the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) door: Arc<Door>,
    life: Lifecycle,
}

impl Server {
    pub(crate) async fn start(flags: &DoorFlags, data_dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, flags, data_dir)
    }

    pub(crate) fn start_on(listener: TcpListener, flags: &DoorFlags, data_dir: &Path) -> Self {
        let address = listener.local_addr().unwrap();
        let life = Lifecycle::new();
        let door = Arc::new(Door::open(flags, data_dir, None).unwrap());
        door.keep(address.ip(), &life);
        life.spawn(say_back(listener, Arc::clone(&door), life.clone()));
        Self { address, door, life }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.life.stop();
    }
}

async fn say_back(listener: TcpListener, door: Arc<Door>, life: Lifecycle) {
    let stopping = life.stopping();
    while let Some(Ok((socket, _))) = stopping.run_until_cancelled(listener.accept()).await {
        let door = Arc::clone(&door);
        life.spawn(async move {
            let Some(mut stream) = door.enter(socket).await else { return };
            let mut heard = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut heard).await {
                if stream.write_all(&heard[..count]).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A certificate for `localhost` in two files; what vouches for it is itself.
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// The files' names; nothing is there yet.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { cert: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    /// Writes a new certificate, and returns what a client needs to trust it.
    pub(crate) fn write(&self) -> Arc<ClientConfig> {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(&self.key, key.serialize_pem()).unwrap();
        fs::write(&self.cert, cert.pem()).unwrap();
        tls::client_config(Some(&self.cert)).unwrap()
    }

    pub(crate) fn flags(&self) -> DoorFlags {
        let mut flags = DoorFlags::default();
        (flags.tls.tls_cert, flags.tls.tls_key) = (Some(self.cert.clone()), Some(self.key.clone()));
        flags
    }
}

pub(crate) async fn connect(server: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    connect_to("localhost", server, trust).await
}

pub(crate) async fn connect_to(
    name: &str,
    server: SocketAddr,
    trust: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let socket = TcpStream::connect(server).await?;
    timeout(PATIENCE, TlsConnector::from(Arc::clone(trust)).connect(name, socket)).await.expect("no handshake")
}

/// Says something and hears it back.
pub(crate) async fn talk(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("no answer").unwrap();
    assert_eq!(&heard, b"hello");
}

/// Connects until it works: a new certificate is noticed within seconds.
pub(crate) async fn connected(server: SocketAddr, trust: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let trying = async {
        loop {
            if let Ok(stream) = connect(server, trust).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, trying).await.expect("the certificate never came")
}
