//! The `chaos-watch` command: watches a stream, wherever its servers are and whatever happens to them, until it is told to stop, and
//! says what viewers noticed.

use std::process::ExitCode;

use chaos::{
    directory::Directory,
    now_us,
    player::{Player, Tempo},
    tape::{Event, Tape},
};
use clap::Parser;
use protocol::StreamId;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Duration, Instant, sleep},
};

/// How long the first picture of every viewer may take.
const FIRST_PICTURE_TIME_MAX: Duration = Duration::from_secs(20);

/// Watches a stream with protocol viewers that check every header, until SIGTERM or SIGINT, or a number of seconds.
///
/// Prints what they noticed. Ends with code 0 when nothing was missing, came twice or out of order, and nobody was lost or had to ask in
/// anew, and else with 1.
#[derive(Debug, Parser)]
struct Arguments {
    /// The stream's link, http://HOST:PORT/view/ID
    link: String,

    /// How many watch
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    viewers: usize,

    /// Seconds after which it ends by itself
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match watch(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            eprintln!("chaos-watch: {sentence}");
            ExitCode::from(2)
        }
    }
}

/// Whether nobody noticed anything.
async fn watch(arguments: Arguments) -> Result<bool, String> {
    let (base, id) = parts(&arguments.link).ok_or("the link has to be http://HOST:PORT/view/ID")?;
    let on = |kind| signal(kind).map_err(|error| error.to_string());
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let directory = Directory::at(base);
    let players: Vec<_> =
        (0..arguments.viewers).map(|_| Player::open(directory.clone(), id, Tempo::default())).collect();
    let begun = Instant::now();
    while players.iter().any(|player| player.sight().last_shown_us() == 0) {
        if begun.elapsed() > FIRST_PICTURE_TIME_MAX {
            return Err("not every viewer gets a picture".into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    println!("{} viewers watch", players.len());
    let from_us = now_us();
    let time = arguments.seconds.map_or(Duration::MAX / 4, Duration::from_secs);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = sleep(time) => {}
    }
    let to_us = now_us();
    let mut reports = vec![];
    for player in players {
        reports.push(player.close().await);
    }
    let seen = Tape::new(reports, vec![], vec![], to_us).outcome(&[Event { from_us, to_us }]);
    println!(
        "{} s; {} of {} chunks were missing, {} came twice, {} out of order, {} were left out; {} came over two connections. Longest \
         time without a new picture: {}. {} viewers were lost, {} asked in anew.",
        (to_us - from_us) / 1_000_000,
        seen.missing,
        seen.due,
        seen.repeated,
        seen.disordered,
        seen.skipped,
        seen.overlap,
        seen.stalls,
        seen.lost,
        seen.reloads
    );
    seen.gave_up.iter().for_each(|why| println!("gave up: {why}"));
    let bad = seen.missing + seen.repeated + seen.disordered + seen.skipped + u64::from(seen.reloads);
    Ok(bad == 0 && seen.lost == 0 && seen.due > 0)
}

/// The directory's address and the stream's id in a link.
fn parts(link: &str) -> Option<(String, StreamId)> {
    let (base, rest) = link.split_once("/view/")?;
    let id = rest.split(['#', '?', '/']).next()?;
    Some((base.to_owned(), id.parse().ok()?))
}
