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
    for word in ["relay-token", "relay-revoke", "drain", "undrain", "move", "relays", "pass", "streams", "end"] {
        assert!(help.contains(&format!("\n  {word} ")), "{word} is not in the help");
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
fn variable_that_is_set_to_nothing_counts_as_not_set() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = directory(data.path(), &taken.local_addr().unwrap().to_string());
    for name in ["BROADCAST", "CONNECT_TO", "ASSIGN", "CA_FILE", "DIRECTORY_STREAMS_MAX", "LOG_FORMAT"] {
        command.env(name, "");
    }
    let refusal = sentence(&command.output().unwrap());
    assert!(refusal.contains("is taken by another program"), "it came as far as to listen: {refusal}");
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

/// A directory that is up, and what it has logged until then.
fn up(data: &Path) -> (Running, Vec<String>, Logged) {
    let mut command = directory(data, "127.0.0.1:0");
    let mut running = Running(command.env("RUST_LOG", "trace").spawn().unwrap());
    let mut log: Logged = Box::new(BufReader::new(running.0.stderr.take().unwrap()).lines().map(Result::unwrap));
    let mut before = Vec::new();
    loop {
        let line = log.next().expect("the directory ended before it was up");
        let is_up = line.contains("the directory is up");
        before.push(line);
        if is_up {
            return (running, before, log);
        }
    }
}

type Logged = Box<dyn Iterator<Item = String>>;

/// The value of a field in the last line that was logged.
fn field(lines: &[String], name: &str) -> String {
    let rest = lines.last().unwrap().split_once(&format!(" {name}=")).unwrap().1;
    rest.split(' ').next().unwrap().to_owned()
}

/// Asks as an operator, and returns whether it went well and what was printed.
fn ask(data: &Path, internal: &str, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
    command.args(words).args(["--internal-listen", internal, "--data-dir"]).arg(data);
    let output = command.env_clear().output().unwrap();
    let printed = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(printed).unwrap())
}

#[cfg(unix)]
#[tokio::test]
async fn operator_asks_a_directory_that_runs_and_no_secret_is_logged() {
    let data = tempfile::tempdir().unwrap();
    let (mut running, mut logged, rest) = up(data.path());
    let (listen, internal) = (field(&logged, "listen"), field(&logged, "internal_listen"));
    let ask = |words: &[&str]| ask(data.path(), &internal, words);
    let good = |words: &[&str]| {
        let (good, printed) = ask(words);
        assert!(good, "{words:?}: {printed}");
        printed
    };
    assert_eq!(good(&["relays"]), "No relay has joined yet. `directory relay-token` makes a token for one.\n");
    assert_eq!(good(&["streams"]), "There are no streams.\n");
    assert_eq!(good(&["pass", "list"]), "There are no passes. `directory pass add NAME` makes one.\n");
    let token = good(&["relay-token", "--uses", "2", "--hours", "1"]);
    let pass = good(&["pass", "add", "Anna B."]);
    assert!(pass.starts_with("dsp_") && pass.lines().count() == 1 && token.lines().count() == 1);
    assert_eq!(good(&["pass", "list"]), "NAME     MADE\nAnna B.  just now\n");
    assert_eq!(good(&["pass", "revoke", "Anna B."]), "The pass of Anna B. is revoked.\n");
    for (words, expected) in [
        (
            &["pass", "revoke", "nobody"][..],
            "directory: there is no pass named nobody; `directory pass list` lists them\n",
        ),
        (
            &["relay-revoke", "relay-1"],
            "directory: no relay holds the name relay-1; `directory relays` lists those that do\n",
        ),
        (&["end", "00000000000000000000000000000000"], "directory: the stream has ended or never was\n"),
        (&["relay-token", "--uses", "0"], "directory: a token lets in 1 to 1000 relays, not 0\n"),
    ] {
        assert_eq!(ask(words), (false, expected.to_owned()));
    }

    // Secrets that come over the network, right and wrong ones.
    let operator_token = std::fs::read_to_string(data.path().join("operator-token")).unwrap();
    let client = reqwest::Client::new();
    let secrets = [&operator_token, &token, &pass, "a-secret-of-the-tests", "a-wrong-secret"].map(str::trim);
    for secret in secrets {
        for path in ["/register_server", "/api/streams", "/api/streams/00000000000000000000000000000000/watch"] {
            let call = client.post(format!("http://{listen}{path}")).bearer_auth(secret);
            let body = format!(r#"{{"title":"x","visibility":"password","password":"{secret}"}}"#);
            let call = call.header("content-type", "application/json").header("relay-assertion", secret).body(body);
            assert!(call.send().await.unwrap().status().is_client_error() || path == "/api/streams");
        }
        client.get(format!("http://{internal}/operator/relays")).bearer_auth(secret).send().await.unwrap();
    }
    let asked = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(asked.success());
    logged.extend(rest);
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let logged = logged.join("\n");
    assert!(logged.contains("somebody made an operator's call without the operator's token"), "it was really logged");
    for secret in secrets {
        assert!(!logged.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn operator_without_a_directory_reads_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let (good, printed) = ask(data.path(), "127.0.0.1:1", &["relays"]);
    assert!(!good && printed.contains("operator-token; give the --data-dir of a directory that runs"), "{printed}");
    std::fs::write(data.path().join("operator-token"), format!("dso_{}", "x".repeat(32))).unwrap();
    let (good, printed) = ask(data.path(), "127.0.0.1:1", &["relays"]);
    assert!(!good && printed.contains("no directory answers at 127.0.0.1:1; start it"), "{printed}");
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
