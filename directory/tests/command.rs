//! The real binary: its help, its refusals, its end.
#![expect(clippy::unwrap_used, reason = "what helps a test may fail like one")]

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use clap::CommandFactory as _;

fn directory(data: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
    command.args(["--listen", listen, "--internal-listen", "127.0.0.1:0", "--data-dir"]).arg(data);
    command.env_clear().env("JOIN_SECRET", "a-secret-of-the-tests").stderr(Stdio::piped());
    command
}

/// The one line that a refusal prints.
fn sentence(output: &Output) -> String {
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let refusal: Vec<_> = text.lines().filter(|line| line.starts_with("directory: ")).collect();
    assert_eq!(refusal.len(), 1, "{text}");
    assert!(!text.contains("panicked") && !text.contains("stack backtrace"), "{text}");
    refusal[0].to_owned()
}

#[test]
fn help_explains_every_flag() {
    let output = Command::new(env!("CARGO_BIN_EXE_directory")).arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in directory::Config::command().get_arguments() {
        let name = flag.get_long().unwrap();
        assert!(help.contains(&format!("--{name}")), "--{name} is not in the help");
        assert!(flag.get_help().is_some_and(|text| text.to_string().len() > 10), "--{name} is not explained");
    }
    for name in ["--listen", "--internal-listen", "--join-secret", "--data-dir", "--grace-seconds", "--streams-max"] {
        assert!(help.contains(name), "{name}");
    }
}

#[test]
fn help_never_shows_the_secret() {
    let mut help = Command::new(env!("CARGO_BIN_EXE_directory"));
    let output = help.arg("--help").env("JOIN_SECRET", "do-not-print-me").output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("do-not-print-me"));
}

#[test]
fn taken_port_is_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let refusal = sentence(&directory(data.path(), &address.to_string()).output().unwrap());
    let expected = format!("directory: port {} is taken by another program; stop it", address.port());
    assert!(refusal.starts_with(&expected), "{refusal}");
}

#[test]
fn damaged_state_is_one_sentence_and_stays_as_it_is() {
    for name in ["relays.json", "passes.json"] {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join(name), "{ \"version\": 1, half").unwrap();
        let output = directory(data.path(), "127.0.0.1:0").output().unwrap();
        assert!(sentence(&output).contains("is damaged; restore it from a copy, or remove it and lose"));
        assert_eq!(std::fs::read_to_string(data.path().join(name)).unwrap(), "{ \"version\": 1, half");
    }
}

#[test]
fn damaged_key_is_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("ticket-key.der"), "not a key").unwrap();
    let output = directory(data.path(), "127.0.0.1:0").output().unwrap();
    assert!(sentence(&output).contains("is damaged"));
}

/// Ends the process also when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn asked_to_stop_it_ends_well_and_has_not_logged_its_secret() {
    let data = tempfile::tempdir().unwrap();
    let mut running = Running(directory(data.path(), "127.0.0.1:0").spawn().unwrap());
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut before: Vec<String> = Vec::new();
    // Signals are handled once the directory is up, which it says.
    before.extend(log.by_ref().take_while(|line| !line.contains("the directory is up")));
    let asked = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let after: Vec<String> = log.collect();
    let status = running.0.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{after:?}");
    assert!(after.iter().any(|line| line.contains("the directory has ended")), "{after:?}");
    assert!(!before.iter().chain(&after).any(|line| line.contains("a-secret-of-the-tests")));
}
