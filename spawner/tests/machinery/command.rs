//! The operator's own program.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use spawner::{Command, CommandConfig, Phase, SpawnError, Spawner};

use crate::{PATIENCE, join, name, phase, script};

/// Keeps a file for each relay, beside itself.
const PROGRAM: &str = r#"
cd "$(dirname "$0")" || exit 1
case $1 in
  start) echo "$RELAY_NAME $DIRECTORY_URL $JOIN_TOKEN" > "relay.$2" ;;
  stop) rm -f "relay.$2" ;;
  list) for file in relay.*; do [ -e "$file" ] && echo "${file#relay.} running"; done; exit 0 ;;
esac
"#;

fn command(folder: &Path, program: &str, time_max: Duration) -> Command {
    Command::new(CommandConfig { program: script(folder, program), time_max, join: join() })
}

#[tokio::test]
async fn program_starts_lists_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let command = command(folder.path(), PROGRAM, PATIENCE);
    assert!(command.list().await.unwrap().is_empty());
    command.start(&name("spawned-0")).await.unwrap();
    let told = std::fs::read_to_string(folder.path().join("relay.spawned-0")).unwrap();
    assert_eq!(told, "spawned-0 http://directory.test:5000/ token-spawned-0-0\n");
    assert_eq!(phase(&command, "spawned-0").await, Some(Phase::Running));
    command.stop(&name("spawned-0")).await.unwrap();
    command.stop(&name("spawned-0")).await.unwrap();
    assert!(command.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn words_of_a_program_that_fails_are_told_shortened() {
    let folder = tempfile::tempdir().unwrap();
    let command = command(folder.path(), "echo no machine is left >&2; yes | head -c 9999 >&2; exit 4", PATIENCE);
    let said = command.start(&name("spawned-0")).await.unwrap_err().to_string();
    assert!(said.contains("start spawned-0: exit status: 4, no machine is left"), "{said}");
    assert!(said.len() < 600 && !said.contains("token"), "{said}");
}

#[tokio::test]
async fn program_that_takes_too_long_is_killed_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let program = "cd \"$(dirname \"$0\")\"\nsleep 600 & echo $! > pid\nwait";
    let command = command(folder.path(), program, Duration::from_secs(2));
    let begun = Instant::now();
    let error = command.list().await.unwrap_err();
    assert!(matches!(error, SpawnError::TooLong { .. }) && begun.elapsed() < PATIENCE, "{error}");
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    crate::until("what it started is gone", async || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        (!stat.is_ok_and(|stat| !stat.contains(") Z "))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn list_without_an_end_or_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let endless = command(folder.path(), "yes relay-0 | head -c 1000000", PATIENCE);
    assert!(endless.list().await.unwrap_err().to_string().contains("printed more than"));
    let other = command(folder.path(), "echo 'Hello, World'", PATIENCE);
    assert!(other.list().await.unwrap_err().to_string().contains("Hello"));
    let missing = Command::new(CommandConfig { program: "/no/such/program".into(), time_max: PATIENCE, join: join() });
    assert!(missing.list().await.unwrap_err().to_string().contains("/no/such/program list"));
}
