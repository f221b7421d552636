//! Certificates from an authority: Pebble, the ACME server that Let's Encrypt tests with (Debian package `pebble`).

use std::{fs, net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use service::{DoorFlags, tls};
use tokio::{
    net::{TcpListener, UdpSocket},
    process::{Child, Command},
    time::timeout,
};

use crate::server::{PATIENCE, Pair, Server, connect_to, talk};

const DOMAIN: &str = "live.example.test";

/// The authority, and the name server it asks.
struct Pebble {
    _process: Child,
    directory: String,
    management: String,
    ca: std::path::PathBuf,
}

impl Pebble {
    /// Starts it, for challenges on `port`; `None` when it is not installed.
    async fn start(folder: &Path, port: u16) -> Option<Self> {
        let [listen, management] = [free_address(), free_address()];
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let [ca, key_file, config] = ["ca.pem", "ca-key.pem", "pebble.json"].map(|name| folder.join(name));
        fs::write(&ca, cert.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        let settings = serde_json::json!({"pebble": {
            "listenAddress": listen, "managementListenAddress": management, "certificate": ca, "privateKey": key_file,
            "httpPort": 1, "tlsPort": port, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        fs::write(&config, settings.to_string()).unwrap();
        let names = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let name_server = names.local_addr().unwrap().to_string();
        tokio::spawn(answer_names(names));
        let log = fs::File::create(folder.join("pebble.log")).unwrap();
        let started = Command::new("pebble")
            .args([std::ffi::OsStr::new("-config"), config.as_os_str()])
            .args(["-dnsserver", &name_server])
            // It would wait some seconds before each check, and turn down good requests at random.
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_VA_ALWAYS_VALID", "0"), ("PEBBLE_WFE_NONCEREJECT", "0")])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match started {
            Ok(process) => Some(Self {
                _process: process,
                directory: format!("https://{listen}/dir"),
                management: format!("https://{management}"),
                ca,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("SKIPPED: there is no `pebble` on this machine; install the Debian package of that name");
                None
            }
            Err(error) => panic!("pebble does not start: {error}"),
        }
    }

    /// What its certificates lead up to, once it is up.
    async fn root(&self) -> String {
        let authority = reqwest::Certificate::from_pem(&fs::read(&self.ca).unwrap()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
        let asking = async {
            loop {
                if let Ok(answer) = client.get(format!("{}/roots/0", self.management)).send().await {
                    return answer.text().await.unwrap();
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, asking).await.expect("pebble never came up")
    }
}

/// An address that was free just now.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Says of every name that its address is 127.0.0.1, and that there is nothing else (RFC 1035 4.1).
async fn answer_names(socket: UdpSocket) {
    const TYPE_A: [u8; 2] = [0, 1];
    let mut query = [0; 512];
    while let Ok((count, asker)) = socket.recv_from(&mut query).await {
        let Some(question) = query.get(12..count) else { continue };
        // Labels, the empty label at the end, type, class.
        let Some(end) = question.iter().position(|byte| *byte == 0).map(|zero| zero + 5) else { continue };
        let Some(question) = question.get(..end) else { continue };
        let found = question[end - 4..end - 2] == TYPE_A;
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
        answer.extend(question);
        if found {
            // The name of the question, A, IN, one minute, four bytes.
            answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        let _ = socket.send_to(&answer, asker).await;
    }
}

#[tokio::test]
async fn certificate_is_obtained_shown_kept_over_a_restart_and_given_to_relays() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Some(pebble) = Pebble::start(folder.path(), listener.local_addr().unwrap().port()).await else { return };
    let root = folder.path().join("root.pem");
    fs::write(&root, pebble.root().await).unwrap();
    let trust = tls::client_config(Some(&root)).unwrap();
    let data_dir = folder.path().join("data");
    let mut flags = DoorFlags::default();
    flags.tls.acme = tls::AcmeFlags {
        acme_domain: vec![DOMAIN.to_owned()],
        acme_contact: vec!["operator@example.test".to_owned()],
        acme_directory: Some(pebble.directory.clone()),
        acme_ca: Some(pebble.ca.clone()),
    };

    let server = Server::start_on(listener, &flags, &data_dir);
    assert_eq!(server.door.ready().unwrap_err(), "no certificate has been obtained yet; the log says what is tried");
    connects(&server, &trust, folder.path()).await;
    assert_eq!(server.door.ready(), Ok(()));
    let refused = connect_to("other.example.test", server.address, &trust).await.unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");

    // From then on it needs the authority no more, and neither do relays that are given the files.
    drop((server, pebble));
    let again = Server::start(&flags, &data_dir).await;
    connects(&again, &trust, folder.path()).await;
    let files = Pair::in_folder(&data_dir.join("tls"));
    let relay = Server::start(&files.flags(), folder.path()).await;
    connects(&relay, &trust, folder.path()).await;
    #[cfg(unix)]
    for file in fs::read_dir(data_dir.join("acme")).unwrap().map(|entry| entry.unwrap().path()).chain([files.key]) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

/// Connects as soon as there is a certificate that the authority vouches for.
async fn connects(server: &Server, trust: &Arc<tokio_rustls::rustls::ClientConfig>, folder: &Path) {
    let connecting = async {
        loop {
            match connect_to(DOMAIN, server.address, trust).await {
                Ok(mut stream) => return talk(&mut stream).await,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    };
    if timeout(PATIENCE, connecting).await.is_err() {
        let log = fs::read_to_string(folder.join("pebble.log")).unwrap_or_default();
        panic!("no certificate came; pebble says:\n{log}");
    }
}
