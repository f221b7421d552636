//! What the app remembers between two starts: the directory's address, and the passes that operators have given. A pass is for one
//! directory and goes to no other; the file is for its owner's eyes only.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol::Secret;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use ts_rs::TS;
use url::Url;

/// Overrides the remembered directory, for one start.
pub(crate) const DIRECTORY_VARIABLE: &str = "DEAD_STREAMING_DIRECTORY";

const DIRECTORY_DEFAULT: &str = "http://localhost:5000";

/// Longest address that is looked at; browsers stop there too.
const ADDRESS_CHARS_MAX: usize = 2048;

/// Longest pass that is kept, in bytes: theirs are far shorter.
const PASS_BYTES_MAX: usize = 512;

/// Most passes that are kept: a person goes live at a few directories. The oldest goes first.
const PASSES_MAX: usize = 32;

/// What the window shows of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[ts(export)]
pub(crate) struct Settings {
    /// The directory's base address.
    #[ts(type = "string")]
    pub(crate) directory: Url,
    /// The address comes from the environment: it holds for this start and is not remembered.
    pub(crate) from_environment: bool,
    /// A pass is remembered for this directory. It is never shown again.
    pub(crate) has_pass: bool,
}

/// Why an address is not the address of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvalidAddress {
    /// Nothing there.
    #[error("the directory's address is empty; it looks like http://localhost:5000")]
    Empty,
    /// No address at all.
    #[error("this is not an address; a directory's looks like http://localhost:5000")]
    Malformed,
    /// Neither http nor https.
    #[error("a directory's address begins with http:// or https://")]
    Scheme,
    /// It carries a name and password, which would end in links.
    #[error("a directory's address has no user name and no password in it")]
    Credentials,
}

/// An address as people type it, `example.org:5000` too.
pub(crate) fn parse_address(text: &str) -> Result<Url, InvalidAddress> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidAddress::Empty);
    }
    if text.len() > ADDRESS_CHARS_MAX {
        return Err(InvalidAddress::Malformed);
    }
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut address = Url::parse(&text).map_err(|_| InvalidAddress::Malformed)?;
    if !matches!(address.scheme(), "http" | "https") {
        return Err(InvalidAddress::Scheme);
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Err(InvalidAddress::Credentials);
    }
    address.set_query(None);
    address.set_fragment(None);
    Ok(address)
}

/// A text that can't be a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not a pass; one is a single word that begins with dsp_, from the operator of the directory")]
pub(crate) struct InvalidPass;

/// A pass as people paste it; none when there is nothing but blanks.
pub(crate) fn parse_pass(text: &Secret) -> Result<Option<Secret>, InvalidPass> {
    let text = text.expose().trim();
    if text.len() > PASS_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidPass);
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// The file's content. Fields that an older or newer app wrote are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Remembered {
    directory: Option<String>,
    /// Newest last.
    #[serde(default)]
    passes: Vec<Pass>,
}

/// What lets its owner go live at one directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pass {
    directory: Url,
    pass: Secret,
}

/// The settings and the file they are kept in.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    current: Mutex<Current>,
}

/// The settings of this start.
#[derive(Debug)]
struct Current {
    directory: Url,
    from_environment: bool,
    remembered: Remembered,
}

impl Current {
    fn pass(&self, directory: &Url) -> Option<&Secret> {
        // A client's base address has a final slash, a typed one may not.
        let base = |address: &Url| address.as_str().trim_end_matches('/').to_owned();
        let base_wanted = base(directory);
        let pass = self.remembered.passes.iter().find(|pass| base(&pass.directory) == base_wanted)?;
        Some(&pass.pass)
    }

    fn settings(&self) -> Settings {
        let has_pass = self.pass(&self.directory).is_some();
        Settings { directory: self.directory.clone(), from_environment: self.from_environment, has_pass }
    }
}

impl SettingsFile {
    /// Reads the file; whatever is missing or unreadable in it is at its default. `environment` goes first.
    pub(crate) fn open(path: PathBuf, environment: Option<&str>) -> Self {
        let from_environment = environment.filter(|text| !text.is_empty()).and_then(|text| {
            parse_address(text).inspect_err(|error| tracing::warn!("{DIRECTORY_VARIABLE} is ignored: {error}")).ok()
        });
        let remembered = remembered(&path);
        let is_from_environment = from_environment.is_some();
        let directory = from_environment
            .or_else(|| parse_address(remembered.directory.as_deref()?).ok())
            .unwrap_or_else(default_directory);
        let current = Current { directory, from_environment: is_from_environment, remembered };
        Self { path, current: Mutex::new(current) }
    }

    pub(crate) fn current(&self) -> Settings {
        self.lock().settings()
    }

    /// The pass for `directory`, where there is one.
    pub(crate) fn pass(&self, directory: &Url) -> Option<Secret> {
        self.lock().pass(directory).cloned()
    }

    /// Takes another directory and remembers it.
    pub(crate) fn set_directory(&self, directory: Url) -> io::Result<Settings> {
        let mut current = self.lock();
        let remembered = Remembered { directory: Some(directory.to_string()), ..current.remembered.clone() };
        write(&self.path, &remembered)?;
        *current = Current { directory, from_environment: false, remembered };
        Ok(current.settings())
    }

    /// Remembers a pass for the present directory; forgets it when there is none.
    pub(crate) fn set_pass(&self, pass: Option<Secret>) -> io::Result<Settings> {
        let mut current = self.lock();
        let directory = current.directory.clone();
        let mut remembered = current.remembered.clone();
        remembered.passes.retain(|pass| pass.directory != directory);
        remembered.passes.extend(pass.map(|pass| Pass { directory, pass }));
        let too_many = remembered.passes.len().saturating_sub(PASSES_MAX);
        remembered.passes.drain(..too_many);
        write(&self.path, &remembered)?;
        current.remembered = remembered;
        Ok(current.settings())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::unwrap_used, reason = "a constant, parsed by a test")]
fn default_directory() -> Url {
    Url::parse(DIRECTORY_DEFAULT).unwrap()
}

fn remembered(path: &Path) -> Remembered {
    let Ok(text) = fs::read_to_string(path) else { return Remembered::default() };
    serde_json::from_str(&text)
        // The error's place is told, not its words: they may quote the file.
        .inspect_err(|error| {
            tracing::warn!("the settings in {} are ignored: line {} can't be read", path.display(), error.line());
        })
        .unwrap_or_default()
}

/// Writes beside the file first, so that a crash leaves the old or the new one, never half of one.
fn write(path: &Path, remembered: &Remembered) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside); // one that is left from a crash may be open to others
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(&beside)?.write_all(&serde_json::to_vec_pretty(remembered)?)?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("dead-streaming-settings-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("config/settings.json")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn first_start_knows_the_local_directory() {
        let folder = Folder::new("first");
        let settings = SettingsFile::open(folder.file(), None).current();
        assert_eq!(settings.directory.as_str(), "http://localhost:5000/");
        assert!(!settings.from_environment);
    }

    #[test]
    fn another_directory_is_remembered() {
        let folder = Folder::new("remembered");
        let address = parse_address("https://streams.example.org/live").unwrap();
        SettingsFile::open(folder.file(), None).set_directory(address.clone()).unwrap();
        assert_eq!(SettingsFile::open(folder.file(), None).current().directory, address);
    }

    #[test]
    fn environment_goes_first_and_is_not_remembered() {
        let folder = Folder::new("environment");
        let settings = SettingsFile::open(folder.file(), Some("http://127.0.0.1:6600")).current();
        assert_eq!((settings.directory.as_str(), settings.from_environment), ("http://127.0.0.1:6600/", true));
        assert!(!SettingsFile::open(folder.file(), Some("")).current().from_environment);
    }

    #[test]
    fn pass_is_for_one_directory_and_its_file_for_one_owner() {
        let folder = Folder::new("pass");
        let here = parse_address("https://here.example").unwrap();
        let there = parse_address("https://there.example/live").unwrap();
        let file = SettingsFile::open(folder.file(), None);
        file.set_directory(here.clone()).unwrap();
        assert!(file.set_pass(parse_pass(&" dsp_here\n".into()).unwrap()).unwrap().has_pass);
        assert!(!file.set_directory(there.clone()).unwrap().has_pass);
        assert!(file.set_pass(Some("dsp_there".into())).unwrap().has_pass);

        let again = SettingsFile::open(folder.file(), None);
        assert_eq!(again.pass(&here), Some("dsp_here".into()));
        assert_eq!(again.pass(&"https://there.example/live/".parse().unwrap()), Some("dsp_there".into()));
        assert_eq!(again.pass(&parse_address("http://here.example").unwrap()), None, "not over plain http");
        assert!(!format!("{again:?}").contains("dsp_"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
        }

        assert!(!again.set_pass(None).unwrap().has_pass);
        assert_eq!(SettingsFile::open(folder.file(), None).pass(&there), None);
    }

    #[test]
    fn texts_that_are_no_pass_are_refused() {
        assert_eq!(parse_pass(&" \n".into()), Ok(None));
        for text in ["two words", "dsp_\u{0}", "dsp_é", &"x".repeat(PASS_BYTES_MAX + 1)] {
            assert_eq!(parse_pass(&text.into()), Err(InvalidPass), "{text}");
        }
    }

    #[test]
    fn oldest_pass_makes_room() {
        let folder = Folder::new("passes");
        let file = SettingsFile::open(folder.file(), None);
        let address = |n: usize| parse_address(&format!("https://{n}.example")).unwrap();
        for n in 0..=PASSES_MAX {
            file.set_directory(address(n)).unwrap();
            file.set_pass(Some("dsp_x".into())).unwrap();
        }
        assert_eq!((file.pass(&address(0)), file.pass(&address(1))), (None, Some("dsp_x".into())));
    }

    #[test]
    fn broken_file_and_broken_environment_give_the_default() {
        let folder = Folder::new("broken");
        write(&folder.file(), &Remembered { directory: Some("ftp://x".to_owned()), passes: Vec::new() }).unwrap();
        assert_eq!(SettingsFile::open(folder.file(), Some("::")).current().directory, default_directory());
        fs::write(folder.file(), "{ \"directory\":").unwrap();
        assert_eq!(SettingsFile::open(folder.file(), None).current().directory, default_directory());
    }

    #[test]
    fn addresses_are_read_as_people_type_them() {
        assert_eq!(parse_address(" example.org:5000 ").unwrap().as_str(), "http://example.org:5000/");
        assert_eq!(parse_address("https://example.org/a?b#c").unwrap().as_str(), "https://example.org/a");
        assert_eq!(parse_address("  "), Err(InvalidAddress::Empty));
        assert_eq!(parse_address("http://"), Err(InvalidAddress::Malformed));
        assert_eq!(parse_address("ftp://example.org"), Err(InvalidAddress::Scheme));
        assert_eq!(parse_address("http://a:b@example.org"), Err(InvalidAddress::Credentials));
        assert_eq!(parse_address(&"x".repeat(ADDRESS_CHARS_MAX + 1)), Err(InvalidAddress::Malformed));
    }
}
