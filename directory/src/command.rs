//! The `directory` command: serves, or asks a directory that runs what an operator wants of it.

mod call;
mod table;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use protocol::{RelayName, StreamId};

use self::{call::Operator, table::Table};
use crate::{
    Config,
    operator::{
        Drained, MadePass, MadeRelayToken, MoveTo, NewPass, NewRelayToken, PassEntries, RelayEntries, RelayEntry,
        RelayState, RevokedPass, StreamEntries,
    },
};

/// The directory of Dead Streaming: knows which streams are live and which relays are healthy, hands every broadcaster and
/// viewer the right relay, and serves the pages. With a command it asks a directory that runs what an operator wants of it.
#[derive(Debug, Clone, Parser)]
#[command(name = "directory", version)]
pub struct Cli {
    /// The flags.
    #[command(flatten)]
    pub config: Config,

    /// What an operator wants; without it the directory serves.
    #[command(subcommand)]
    pub ask: Option<Ask>,
}

impl Cli {
    /// What the process was started with. Ends the process where that can't be.
    #[must_use]
    pub fn of_process() -> Self {
        let command = service::flags::without_empty_variables(Self::command());
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// What an operator wants of a directory that runs on this machine. --data-dir and --internal-listen are to be those it runs with.
#[derive(Debug, Clone, Subcommand)]
pub enum Ask {
    /// Make a token that a new relay joins with
    RelayToken {
        /// How many relays may join with it
        #[arg(long, default_value_t = 1, value_name = "COUNT")]
        uses: u32,
        /// How many hours it is good for
        #[arg(long, default_value_t = 24, value_name = "HOURS")]
        hours: u32,
    },
    /// Shut a relay out: its streams move to others, and it never comes back with its key
    RelayRevoke {
        /// The relay's name
        name: RelayName,
    },
    /// Rid a relay of its streams without a gap: they move to other relays, the viewers follow, and the relay ends. It gets no work
    /// until it is started again
    Drain {
        /// The relay's name
        name: RelayName,
    },
    /// Let a relay that was to drain, and has not ended yet, get work again
    Undrain {
        /// The relay's name
        name: RelayName,
    },
    /// Move a stream to another relay without a gap
    Move {
        /// The stream's id, as `directory streams` lists it
        stream: StreamId,
        /// The name of the relay that it is to be on
        relay: RelayName,
    },
    /// List the relays: those that work, those that are away, and those that are shut out
    Relays,
    /// Say who may go live
    #[command(subcommand)]
    Pass(PassAsk),
    /// List the streams, also those that are not in the public list
    Streams,
    /// End a stream
    End {
        /// The stream's id, as `directory streams` lists it
        stream: StreamId,
    },
}

/// About passes.
#[derive(Debug, Clone, Subcommand)]
pub enum PassAsk {
    /// Make a pass, which is shown this once
    Add {
        /// Whose it is
        name: String,
    },
    /// List the passes
    List,
    /// Revoke a pass; the streams that were made with it end
    Revoke {
        /// Whose it is
        name: String,
    },
}

impl Ask {
    /// Does it, and returns what to print.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub async fn run(self, config: &Config) -> Result<String> {
        let operator = Operator::of(config)?;
        match self {
            Self::RelayToken { uses, hours } => {
                let made: MadeRelayToken = operator.post(&["relay-tokens"], &NewRelayToken { uses, hours }).await?;
                // The token alone on standard output, so that it can be piped; it is good for nothing else.
                Ok(format!("{}\n", made.token.expose()))
            }
            Self::RelayRevoke { name } => {
                operator.delete(&["relays", name.as_str()]).await?;
                Ok(format!(
                    "{name} is shut out, and its streams move to other relays. If it knows the join secret (JOIN_SECRET), \
                     change that too: with another key it could join again.\n"
                ))
            }
            Self::Drain { name } => {
                let Drained { streams } = operator.post(&["relays", name.as_str(), "drain"], &()).await?;
                let moving = match streams {
                    0 => "It carries no stream.".to_owned(),
                    1 => "Its stream moves to another relay.".to_owned(),
                    count => format!("Its {count} streams move to other relays."),
                };
                Ok(format!("{name} drains. {moving} `directory relays` shows when it is gone.\n"))
            }
            Self::Undrain { name } => {
                let _: Drained = operator.delete_for(&["relays", name.as_str(), "drain"]).await?;
                Ok(format!("{name} may stay, unless it is about to end by itself.\n"))
            }
            Self::Move { stream, relay } => {
                let path = ["streams", &stream.to_string(), "move"];
                operator.post_only(&path, &MoveTo { relay: relay.clone() }).await?;
                Ok(format!("{stream} moves to {relay}.\n"))
            }
            Self::Relays => Ok(relays(operator.get::<RelayEntries>(&["relays"]).await?.relays)),
            Self::Pass(PassAsk::Add { name }) => {
                let made: MadePass = operator.post(&["passes"], &NewPass { name }).await?;
                Ok(format!("{}\n", made.pass.expose()))
            }
            Self::Pass(PassAsk::List) => Ok(passes(operator.get(&["passes"]).await?)),
            Self::Pass(PassAsk::Revoke { name }) => {
                let revoked: RevokedPass = operator.delete_for(&["passes", &name]).await?;
                Ok(match revoked.streams_ended {
                    0 => format!("The pass of {name} is revoked.\n"),
                    1 => format!("The pass of {name} is revoked, and the stream that was made with it has ended.\n"),
                    count => {
                        format!("The pass of {name} is revoked, and the {count} streams made with it have ended.\n")
                    }
                })
            }
            Self::Streams => Ok(streams(operator.get(&["streams"]).await?)),
            Self::End { stream } => {
                operator.delete(&["streams", &stream.to_string()]).await?;
                Ok(format!("{stream} has ended.\n"))
            }
        }
    }
}

fn relays(relays: Vec<RelayEntry>) -> String {
    let mut table =
        Table::new(["NAME", "STATE", "STREAMS", "VIEWERS", "FREE", "CPU", "SENDS", "REGION", "PUBLIC ADDRESS"]);
    let mut problems = String::new();
    for RelayEntry { name, state, at_work, since_s } in relays {
        let since = || call::ago(since_s);
        let state = match state {
            RelayState::Ready => "ready".to_owned(),
            RelayState::Suspect => "suspect".to_owned(),
            RelayState::Busy => "busy".to_owned(),
            RelayState::Draining => "draining".to_owned(),
            RelayState::Full => "full".to_owned(),
            RelayState::Unchecked => "unchecked".to_owned(),
            RelayState::Away => format!("away, seen {}", since()),
            RelayState::Revoked => format!("shut out {}", since()),
        };
        let Some(at_work) = at_work else {
            let mut row = [const { String::new() }; 9];
            (row[0], row[1]) = (name.to_string(), state);
            table.row(row);
            continue;
        };
        let of = |count: u32, max: u32| format!("{count} of {max}");
        let (streams, viewers) = (of(at_work.streams, at_work.streams_max), of(at_work.viewers, at_work.viewers_max));
        if let Some(problem) = at_work.problem {
            problems.push_str(&format!("\n{name}: {problem}\n"));
        }
        let free = format!("{} %", at_work.head_room_percent);
        let cpu = format!("{} %", at_work.load.cpu_percent);
        // Floating point shows megabits with one digit behind the point; bytes beyond its precision do not matter here.
        let sends = format!("{:.1} Mbit/s", at_work.load.egress_bytes_per_s as f64 * 8.0 / 1_000_000.0);
        let region = at_work.region.unwrap_or_default();
        table.row([name.to_string(), state, streams, viewers, free, cpu, sends, region, at_work.url.to_string()]);
    }
    table.text("No relay has joined yet. `directory relay-token` makes a token for one.\n") + &problems
}

fn passes(PassEntries { passes }: PassEntries) -> String {
    let mut table = Table::new(["NAME", "MADE"]);
    for pass in passes {
        table.row([pass.name, call::ago(pass.made_at_s)]);
    }
    table.text("There are no passes. `directory pass add NAME` makes one.\n")
}

fn streams(StreamEntries { streams }: StreamEntries) -> String {
    let mut table = Table::new(["STREAM", "STATE", "VIEWERS", "ORIGIN", "EDGES", "WHO FINDS IT", "PASS", "TITLE"]);
    for stream in streams {
        let word = |value| serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned));
        let visibility =
            serde_json::to_value(stream.visibility).ok().and_then(|value| value.as_str().map(str::to_owned));
        let visibility = visibility.unwrap_or_default() + if stream.sealed { ", encrypted" } else { "" };
        table.row([
            stream.id.to_string(),
            word(stream.state).unwrap_or_default(),
            stream.viewers.to_string(),
            stream.relay.map(|relay| relay.to_string()).unwrap_or_default(),
            stream.edges.iter().map(|edge| edge.relay.as_str()).collect::<Vec<_>>().join(" "),
            visibility,
            stream.pass.unwrap_or_default(),
            stream.title.to_string(),
        ]);
    }
    table.text("There are no streams.\n")
}
