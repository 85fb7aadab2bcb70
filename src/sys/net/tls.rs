//! TLS settings: which roots are trusted, and what a refusal means in words.
//!
//! Thread: any.  Invariants: the certificate is always checked, against the built-in roots plus at most one file of the
//! user; there is no switch that turns the check off. TLS 1.2 and 1.3 only.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Trusted roots and the settings of every TLS connection. Cheap to clone.
#[derive(Clone)]
pub struct TlsContext {
    config: Arc<ClientConfig>,
}

/// Why the TLS settings could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The file cannot be read, or is not PEM.
    #[error("ca_file `{path}`: {reason}; it must be a readable file of PEM certificates")]
    CaFile {
        /// Path of the file.
        path: String,
        /// What the system or the parser said.
        reason: String,
    },
    /// No certificate in it.
    #[error("ca_file `{path}`: holds no certificate (-----BEGIN CERTIFICATE-----)")]
    CaFileEmpty {
        /// Path of the file.
        path: String,
    },
    /// The TLS library refused its own settings.
    #[error("TLS settings: {reason}")]
    Provider {
        /// What it said.
        reason: String,
    },
}

/// The built-in CA roots, plus those of the PEM file `ca_file`.
pub fn root_store(ca_file: Option<&Path>) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(file) = ca_file else { return Ok(roots) };
    let path = || file.display().to_string();
    let bad = |reason: String| TlsSetupError::CaFile { path: path(), reason };
    let mut found = 0;
    for cert in CertificateDer::pem_file_iter(file).map_err(|error| bad(error.to_string()))? {
        let cert = cert.map_err(|error| bad(error.to_string()))?;
        roots.add(cert).map_err(|error| bad(error.to_string()))?;
        found += 1;
    }
    if found == 0 {
        return Err(TlsSetupError::CaFileEmpty { path: path() });
    }
    Ok(roots)
}

impl TlsContext {
    /// Settings that trust the built-in roots and those of `ca_file`.
    pub fn new(ca_file: Option<&Path>) -> Result<TlsContext, TlsSetupError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| TlsSetupError::Provider { reason: error.to_string() })?
            .with_root_certificates(root_store(ca_file)?)
            .with_no_client_auth();
        // The record layer of `record.rs` opens and seals in place; rustls hands it the keys after the handshake.
        config.enable_secret_extraction = true;
        Ok(TlsContext { config: Arc::new(config) })
    }

    /// The settings, for a client of another crate. Note: lets the owner of a connection take its traffic keys.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// What a peer's certificate must be valid for.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// A TLS failure in words: what was wrong with the peer's certificate, and how to mend it.
pub fn describe_tls_error(host: &str, error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(reason) = error else {
        return format!("TLS with `{host}`: {error}");
    };
    let words = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired (if it has not, this host's clock is wrong)"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet (if it is, this host's clock is wrong)"
        }
        CertificateError::UnknownIssuer => {
            "was issued by an unknown authority; a private one is named by endpoints.ca_file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name; connect by the name it was issued for"
        }
        CertificateError::Revoked => "has been revoked",
        CertificateError::BadSignature => "has a signature that does not fit",
        _ => return format!("TLS with `{host}`: its certificate is refused: {reason}"),
    };
    format!("TLS with `{host}`: its certificate {words}")
}
