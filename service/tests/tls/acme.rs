//! Certificates from an authority.
