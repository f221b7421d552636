//! Starts and stops relays by themselves: [`scale`] decides when, a [`Spawner`] does it, a [`Fleet`] brings both together.
//!
//! It knows nothing of streams or tickets: who uses it says which relays it sees and how full they are, and hands out what a
//! new relay joins with.

mod command;
#[cfg(feature = "docker")]
mod docker;
mod flags;
mod fleet;
mod join;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod local;
mod names;
mod ports;
pub mod scale;
mod spawner;

pub use command::{Command, CommandConfig};
#[cfg(feature = "docker")]
pub use docker::{Docker, DockerConfig};
pub use flags::{Flags, Kind, OwnMachine};
pub use fleet::{Fleet, Relays, Status};
pub use join::{Join, TokenSource};
#[cfg(feature = "kubernetes")]
pub use kubernetes::{Kubernetes, KubernetesConfig};
pub use local::{Local, LocalConfig};
pub use names::Names;
pub use ports::{PortRange, PublicUrl};
pub use spawner::{Phase, SpawnError, Spawned, Spawner};
