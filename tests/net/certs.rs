//! Throw-away certificate authorities.
//!
//! Thread: any.  Invariants: keys and files live as long as the value.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, SupportedProtocolVersion};

static FILES: AtomicU32 = AtomicU32::new(0);

/// A certificate authority with its PEM file.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Ca {
    pub fn new() -> Ca {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("throw-away authority {number}"));
        let pem = params.self_signed(&key).expect("self-signed").pem();
        let file = std::env::temp_dir().join(format!("svb-net-ca-{}-{number}.pem", std::process::id()));
        fs::write(&file, pem).expect("PEM file");
        Ca { issuer: Issuer::new(params, key), file }
    }

    /// A server for 127.0.0.1 that speaks only `versions`.
    pub fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        self.server_with(versions, "127.0.0.1", (2020, 2120), rustls::crypto::ring::default_provider())
    }

    /// A server whose certificate is for `name`, valid in `years`.
    pub fn server_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        name: &str,
        years: (i32, i32),
        provider: rustls::crypto::CryptoProvider,
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let cert = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS 8");
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key);
        Arc::new(config.expect("certificate and key"))
    }

    /// Certificate and key of a server for `name`, for a program that reads files.
    #[allow(dead_code)] // not every test has such a program
    pub fn pem(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

impl Drop for Ca {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}
