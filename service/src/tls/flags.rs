//! The flags for TLS, and the sentences for those that contradict each other.

use std::{convert::Infallible, net::IpAddr, path::PathBuf};

use anyhow::{Result, bail, ensure};
use axum::http::Uri;

/// Let's Encrypt's directory.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Longest domain name (RFC 1035 2.3.4), and longest label of one.
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Encryption of the public listener: by a certificate in files, by one that the server makes, or by one that it obtains.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Encryption: one of --tls-cert, --acme-domain and --tls self-signed, or plain HTTP")]
pub struct TlsFlags {
    /// PEM file of the certificate and those that lead up to its authority; read again when it changes, and waited for while it is
    /// not there
    #[arg(long, env = "TLS_CERT", value_parser = path, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key; read again when it changes
    #[arg(long, env = "TLS_KEY", value_parser = path, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// A certificate of the server's own making, kept in the data folder: for a network where people can compare its fingerprint
    #[arg(long, env = "TLS", value_enum, value_name = "HOW")]
    pub tls: Option<OwnTls>,

    /// A name or address that --tls self-signed vouches for, besides this machine's own; repeat it for more
    #[arg(long, env = "TLS_NAME", value_delimiter = ',', value_name = "HOST")]
    pub tls_name: Vec<String>,

    /// Certificates from an authority.
    #[command(flatten)]
    pub acme: AcmeFlags,
}

/// What the server does about TLS without an operator's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OwnTls {
    /// Plain HTTP
    Off,
    /// A certificate of the server's own making
    SelfSigned,
}

/// Certificates that the server obtains itself, and renews (RFC 8555, RFC 8737).
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AcmeFlags {
    /// A domain of this server, to obtain a certificate for; repeat it for more. Its port 443 has to lead to --listen
    #[arg(long, env = "ACME_DOMAIN", value_delimiter = ',', value_name = "DOMAIN")]
    pub acme_domain: Vec<String>,

    /// An e-mail address at which the authority may reach the operator; repeat it for more
    #[arg(long, env = "ACME_CONTACT", value_delimiter = ',', value_name = "ADDRESS")]
    pub acme_contact: Vec<String>,

    /// The authority [default: Let's Encrypt]
    #[arg(long, env = "ACME_DIRECTORY", value_name = "URL")]
    pub acme_directory: Option<String>,

    /// PEM file of the certificate that the authority's own address is verified with, when the system does not know it
    #[arg(long, env = "ACME_CA", value_parser = path, value_name = "FILE")]
    pub acme_ca: Option<PathBuf>,
}

/// What the flags ask for.
#[derive(Debug, Clone)]
pub enum TlsMode {
    /// Plain HTTP.
    Off,
    /// An operator's certificate.
    Files {
        /// PEM file of the certificate chain.
        cert: PathBuf,
        /// PEM file of the private key.
        key: PathBuf,
    },
    /// A certificate of the server's own making.
    SelfSigned {
        /// Whom it names besides this machine.
        names: Vec<String>,
    },
    /// A certificate from an authority, by checked flags.
    Acme(AcmeFlags),
}

impl TlsFlags {
    /// What the flags ask for. A variable of the environment that is set to nothing counts as not set.
    ///
    /// # Errors
    /// A sentence that says which flags contradict each other, or what one needs.
    pub fn mode(&self) -> Result<TlsMode> {
        let given = |file: &Option<PathBuf>| file.clone().filter(|file| !file.as_os_str().is_empty());
        let acme = self.acme.without_nothing();
        let files = match (given(&self.tls_cert), given(&self.tls_key)) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => bail!("--tls-cert needs --tls-key too, the PEM file of the certificate's private key"),
            (None, Some(_)) => bail!("--tls-key needs --tls-cert too, the PEM file of the key's certificate"),
        };
        let ways = [
            files.as_ref().map(|_| "--tls-cert"),
            self.tls.map(|own| if own == OwnTls::Off { "--tls off" } else { "--tls self-signed" }),
            (!acme.acme_domain.is_empty()).then_some("--acme-domain"),
        ];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        ensure!(ways.len() <= 1, "{} contradict each other: choose one", ways.join(" and "));
        if acme.acme_domain.is_empty() {
            for (flag, given) in [
                ("--acme-contact", !acme.acme_contact.is_empty()),
                ("--acme-directory", acme.acme_directory.is_some()),
                ("--acme-ca", acme.acme_ca.is_some()),
            ] {
                ensure!(!given, "{flag} is of no use without --acme-domain, the domain to obtain a certificate for");
            }
        }
        let names: Vec<_> = texts(&self.tls_name).collect();
        if let Some(wrong) = names.iter().find(|name| name.parse::<IpAddr>().is_err() && !is_host(name)) {
            bail!("--tls-name {wrong:?} is neither a host's name nor an address");
        }
        Ok(match (files, self.tls) {
            (Some((cert, key)), _) => TlsMode::Files { cert, key },
            (None, Some(OwnTls::SelfSigned)) => TlsMode::SelfSigned { names },
            (None, _) if !names.is_empty() => bail!("--tls-name is of no use without --tls self-signed"),
            (None, _) if acme.acme_domain.is_empty() => TlsMode::Off,
            (None, _) => {
                acme.check()?;
                TlsMode::Acme(acme)
            }
        })
    }
}

/// A path, or nothing: a variable of the environment may be set to nothing, which clap's own paths can't be.
fn path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(text.into())
}

fn texts(texts: &[String]) -> impl Iterator<Item = String> {
    texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl AcmeFlags {
    fn without_nothing(&self) -> Self {
        Self {
            acme_domain: texts(&self.acme_domain).map(|domain| domain.to_ascii_lowercase()).collect(),
            acme_contact: texts(&self.acme_contact).collect(),
            acme_directory: self.acme_directory.clone().filter(|url| !url.is_empty()),
            acme_ca: self.acme_ca.clone().filter(|file| !file.as_os_str().is_empty()),
        }
    }

    fn check(&self) -> Result<()> {
        for domain in &self.acme_domain {
            ensure!(
                is_domain(domain),
                "--acme-domain {domain:?} is no domain that a certificate can be obtained for; give one such as live.example.org"
            );
        }
        let url = self.directory();
        let good = url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
        ensure!(good, "--acme-directory is {url}; give an address that begins with https://");
        Ok(())
    }

    /// The authority's address.
    #[must_use]
    pub fn directory(&self) -> &str {
        self.acme_directory.as_deref().unwrap_or(LETS_ENCRYPT)
    }

    /// How the authority reaches the operator, as URIs.
    pub fn contacts(&self) -> impl Iterator<Item = String> {
        self.acme_contact.iter().map(
            |contact| {
                if contact.contains(':') { contact.clone() } else { format!("mailto:{contact}") }
            },
        )
    }
}

/// Whether it is a host name that an authority can vouch for: neither an address nor a wildcard, which is not proven by answering
/// on a port.
fn is_domain(text: &str) -> bool {
    is_host(text) && text.split('.').next_back().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// Whether it is a host name in ASCII, as certificates have them.
pub(super) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        tls: TlsFlags,
    }

    fn mode(arguments: &[&str]) -> Result<TlsMode> {
        Command::try_parse_from([&["command"], arguments].concat())?.tls.mode()
    }

    #[test]
    fn each_way_to_a_certificate_is_understood() {
        assert!(matches!(mode(&[]).unwrap(), TlsMode::Off));
        assert!(matches!(mode(&["--tls", "off"]).unwrap(), TlsMode::Off));
        assert!(matches!(mode(&["--tls", "self-signed"]).unwrap(), TlsMode::SelfSigned { .. }));
        assert!(matches!(mode(&["--tls-cert", "c", "--tls-key", "k"]).unwrap(), TlsMode::Files { .. }));
        let acme = mode(&["--acme-domain", "A.example,b.example", "--acme-contact", "op@a.example"]).unwrap();
        let TlsMode::Acme(acme) = acme else { panic!("{acme:?}") };
        assert_eq!(acme.acme_domain, ["a.example", "b.example"]);
        assert_eq!(acme.contacts().collect::<Vec<_>>(), ["mailto:op@a.example"]);
        assert_eq!(acme.directory(), LETS_ENCRYPT);
    }

    #[test]
    fn variables_set_to_nothing_ask_for_nothing() {
        let nothing = ["--acme-domain", "", "--acme-contact", "", "--tls-cert", "", "--tls-key", ""];
        assert!(matches!(mode(&nothing).unwrap(), TlsMode::Off));
    }

    #[test]
    fn flags_that_contradict_each_other_get_a_sentence() {
        for (arguments, words) in [
            (vec!["--tls-cert", "c"], "--tls-cert needs --tls-key too"),
            (vec!["--tls-key", "k"], "--tls-key needs --tls-cert too"),
            (
                vec!["--tls-cert", "c", "--tls-key", "k", "--tls", "self-signed"],
                "--tls-cert and --tls self-signed contradict each other: choose one",
            ),
            (vec!["--tls", "off", "--acme-domain", "a.example"], "--tls off and --acme-domain contradict each other"),
            (vec!["--acme-contact", "op@a.example"], "--acme-contact is of no use without --acme-domain"),
            (vec!["--acme-ca", "ca.pem"], "--acme-ca is of no use without --acme-domain"),
            (vec!["--tls-name", "a"], "--tls-name is of no use without --tls self-signed"),
            (vec!["--tls", "self-signed", "--tls-name", "a b"], "\"a b\" is neither"),
            (vec!["--acme-domain", "203.0.113.5"], "\"203.0.113.5\" is no domain"),
            (vec!["--acme-domain", "*.a.example"], "is no domain"),
            (vec!["--acme-domain", "https://a.example"], "is no domain"),
            (
                vec!["--acme-domain", "a.example", "--acme-directory", "http://b/"],
                "--acme-directory is http://b/; give",
            ),
        ] {
            let refused = mode(&arguments).unwrap_err().to_string();
            assert!(refused.contains(words), "{arguments:?}: {refused}");
        }
    }
}
