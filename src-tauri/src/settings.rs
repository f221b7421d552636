//! What the app remembers between two starts: the directory's address.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use ts_rs::TS;
use url::Url;

/// Overrides the remembered directory, for one start.
pub(crate) const DIRECTORY_VARIABLE: &str = "DEAD_STREAMING_DIRECTORY";

const DIRECTORY_DEFAULT: &str = "http://localhost:5000";

/// Longest address that is looked at; browsers stop there too.
const ADDRESS_CHARS_MAX: usize = 2048;

/// What the window shows of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[ts(export)]
pub(crate) struct Settings {
    /// The directory's base address.
    #[ts(type = "string")]
    pub(crate) directory: Url,
    /// The address comes from the environment: it holds for this start and is not remembered.
    pub(crate) from_environment: bool,
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

/// The file's content. Fields that an older or newer app wrote are ignored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    directory: Option<String>,
}

/// The settings and the file they are kept in.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    current: Mutex<Settings>,
}

impl SettingsFile {
    /// Reads the file; whatever is missing or unreadable in it is at its default. `environment` goes first.
    pub(crate) fn open(path: PathBuf, environment: Option<&str>) -> Self {
        let from_environment = environment.filter(|text| !text.is_empty()).and_then(|text| {
            parse_address(text).inspect_err(|error| tracing::warn!("{DIRECTORY_VARIABLE} is ignored: {error}")).ok()
        });
        let current = match from_environment {
            Some(directory) => Settings { directory, from_environment: true },
            None => {
                Settings { directory: remembered(&path).unwrap_or_else(default_directory), from_environment: false }
            }
        };
        Self { path, current: Mutex::new(current) }
    }

    pub(crate) fn current(&self) -> Settings {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another directory and remembers it.
    pub(crate) fn set_directory(&self, directory: Url) -> io::Result<Settings> {
        write(&self.path, &Remembered { directory: Some(directory.to_string()) })?;
        let settings = Settings { directory, from_environment: false };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = settings.clone();
        Ok(settings)
    }
}

#[expect(clippy::unwrap_used, reason = "a constant, parsed by a test")]
fn default_directory() -> Url {
    Url::parse(DIRECTORY_DEFAULT).unwrap()
}

fn remembered(path: &Path) -> Option<Url> {
    let text = fs::read_to_string(path).ok()?;
    let remembered: Remembered = serde_json::from_str(&text)
        .inspect_err(|error| tracing::warn!("the settings in {} are ignored: {error}", path.display()))
        .ok()?;
    parse_address(&remembered.directory?).ok()
}

/// Writes beside the file first, so that a crash leaves the old or the new one, never half of one.
fn write(path: &Path, remembered: &Remembered) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    fs::write(&beside, serde_json::to_vec_pretty(remembered)?)?;
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
    fn broken_file_and_broken_environment_give_the_default() {
        let folder = Folder::new("broken");
        write(&folder.file(), &Remembered { directory: Some("ftp://x".to_owned()) }).unwrap();
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
