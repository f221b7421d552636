//! The proxy as a program, for tests that are not written in Rust: `stage-proxy HOST:PORT` in front of that server.
//!
//! The first line of its output is `{"listen": "127.0.0.1:PORT"}`. Each line of its input is a change of the weather, such as
//! `{"up": {"delay_ms": 50}, "down": {"bytes_per_second": 100000, "black_hole": true}, "reorder_ms": 20, "refusing": true,
//! "cut": true}`; what is not named stays, and `{}` asks. Each is answered by a line that says what went through:
//! `{"connections": 3, "open": 1, "up_bytes": 1, "down_bytes": 2}`, or by `{"error": "..."}`. A line `{"connections": 4}` tells of
//! a new connection. It ends when its input does.

use std::{io, net::SocketAddr, process::ExitCode};

use serde_json::{Value, json};
use stage::{Change, Proxy, Tally};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let targets: Result<Vec<SocketAddr>, _> = std::env::args().skip(1).map(|target| target.parse()).collect();
    match targets {
        Ok(targets) if !targets.is_empty() => match serve(targets).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("stage-proxy: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: stage-proxy HOST:PORT...");
            ExitCode::from(2)
        }
    }
}

async fn serve(targets: Vec<SocketAddr>) -> io::Result<()> {
    let proxy = Proxy::before_all(targets).await;
    println!("{}", json!({ "listen": proxy.address() }));
    let mut connections = proxy.connections();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => println!("{}", answer(&proxy, &line)),
                None => return Ok(()),
            },
            changed = connections.changed() => {
                changed.map_err(io::Error::other)?;
                println!("{}", json!({ "connections": *connections.borrow_and_update() }));
            }
        }
    }
}

fn answer(proxy: &Proxy, line: &str) -> Value {
    match serde_json::from_str::<Change>(line) {
        Ok(change) => {
            proxy.change(|weather| change.apply(weather));
            let Tally { connections, open, up_bytes, down_bytes } = proxy.tally();
            json!({ "connections": connections, "open": open, "up_bytes": up_bytes, "down_bytes": down_bytes })
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}
