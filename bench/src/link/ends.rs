//! The two ends of a link: a device on this machine, one in a namespace.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::{Carried, DELAY_MAX, FAR, NEAR, Weather, loss::Loss, way::Way};

/// Bytes of a packet, as on Ethernet.
const PACKET_BYTES_MAX: u16 = 1500;

/// Packets that a device holds until they are taken: the burst of a key frame to some hundred viewers. The default of 500 would lose
/// some on its own account.
const DEVICE_PACKETS_MAX: &str = "10000";

/// The network of both ends.
const NETWORK: &str = "198.18.0.0/30";

/// A link that is open.
#[derive(Debug)]
pub struct Link {
    holder: Holder,
    to_far: Way,
    to_near: Way,
}

/// The process that a namespace lives by: it waits for the end of its input, which comes when this process ends.
#[derive(Debug)]
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends with its input.
        let _ = self.0.wait();
    }
}

impl Link {
    /// Makes the devices and the namespace.
    ///
    /// # Errors
    /// In words when it is not allowed here, or something is missing.
    pub fn open(weather: &Weather) -> Result<Self> {
        ensure!((0.0..=100.0).contains(&weather.loss_percent), "give a loss of 0 to 100 %");
        ensure!(weather.delay <= DELAY_MAX, "give a delay of at most {} ms", DELAY_MAX.as_millis());
        let holder = Holder::new()?;
        let (near, far) = (device()?, device()?);
        let name = far.name()?;
        run("ip", &["link", "set", &name, "netns", &holder.pid()])?;
        set_up(&[], &near.name()?, &NEAR.to_string(), weather)?;
        let inside = ["nsenter", "--net", "--target", &holder.pid()];
        let [nsenter, rest @ ..] = inside;
        run(nsenter, &[&rest[..], &["ip", "link", "set", "lo", "up"]].concat())?;
        set_up(&inside, &name, &FAR.to_string(), weather)?;
        let (near, far) = (Arc::new(near), Arc::new(far));
        let loss = |way| Loss::new(weather.loss_percent, weather.seed.wrapping_mul(2).wrapping_add(way));
        let to_far = Way::begin(Arc::clone(&near), Arc::clone(&far), loss(0), weather.delay, "to far")?;
        let to_near = Way::begin(far, near, loss(1), weather.delay, "to near")?;
        Ok(Self { holder, to_far, to_near })
    }

    /// The namespace of the far end.
    #[must_use]
    pub fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.0.id()))
    }

    /// What went to the far end, and what came from there.
    #[must_use]
    pub fn carried(&self) -> (Carried, Carried) {
        (self.to_far.carried(), self.to_near.carried())
    }
}

impl Holder {
    fn new() -> Result<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "sh", "-c", "echo made && exec cat > /dev/null"]);
        let child = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.context("a link needs `unshare`, of util-linux")?;
        let mut said = child.stdout.take().context("its output is a pipe")?;
        // It is in its namespace once it speaks.
        let mut word = [0; 5];
        if std::io::Read::read_exact(&mut said, &mut word).is_err() {
            let output = child.wait_with_output()?;
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("no network namespace can be made here ({words}); it takes root, or CAP_NET_ADMIN and CAP_SYS_ADMIN");
        }
        Ok(Self(child))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

fn device() -> Result<SyncDevice> {
    DeviceBuilder::new()
        .mtu(PACKET_BYTES_MAX)
        .build_sync()
        .context("no TUN device can be made here; it takes root, and /dev/net/tun")
}

/// Gives a device its address, and what goes by it its congestion control, whatever a server asks for: the rest of the machine keeps its
/// own. `within`: the command that leads to its namespace.
fn set_up(within: &[&str], name: &str, address: &str, weather: &Weather) -> Result<()> {
    let network = format!("{address}/30");
    let given = ["ip", "address", "add", &network, "dev", name];
    let up = ["ip", "link", "set", name, "txqueuelen", DEVICE_PACKETS_MAX, "up"];
    let route = |tcp| ["ip", "route", "change", NETWORK, "dev", name, "src", address, "congctl", "lock", tcp];
    let route = weather.tcp.as_deref().map(route);
    for command in [&given[..], &up].into_iter().chain(route.as_ref().map(|route| &route[..])) {
        let whole = [within, command].concat();
        let [program, args @ ..] = &whole[..] else { continue };
        run(program, args)?;
    }
    Ok(())
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program).args(args).output().with_context(|| format!("a link needs `{program}`"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", args.join(" "), words.trim());
    Ok(())
}
