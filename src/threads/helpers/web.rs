//! The blocking HTTP client of the helper threads: `ureq` with the house's own TLS roots.
//!
//! Thread: a helper's own; never an agent's.  Invariants: certificates are always checked, against the same roots as
//! the trading connections; every request ends (connect 3 s, 10 s in all, body at most 16 MiB); an error's text never
//! holds the address or a header, which may hold a key.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector, Transport, TransportAdapter,
};

use crate::sys::net::tls::{TlsContext, TlsSetupError, describe_tls_error};

/// Largest body that is read.
pub const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that trusts the built-in roots and those of `ca_file`; any status is an answer, not an error.
pub fn agent(ca_file: Option<&Path>) -> Result<ureq::Agent, TlsSetupError> {
    let tls = TlsConnector { config: TlsContext::new(ca_file)?.client_config() };
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TOTAL_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false) // a redirect is shown as its status: requests go where the config says
        .proxy(None)
        .user_agent(concat!("sol_volume_bot/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(ureq::Agent::with_parts(config, TcpConnector::default().chain(tls), DefaultResolver::default()))
}

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server answered with another status.
    #[error("HTTP status {status}")]
    Status {
        /// Its number.
        status: u16,
        /// Seconds it asked us to wait.
        retry_after_s: Option<u32>,
    },
    /// Took too long.
    #[error("no whole answer within {} s", TOTAL_TIMEOUT.as_secs())]
    Timeout,
    /// Larger than [`BODY_BYTES_MAX`].
    #[error("a body of more than {BODY_BYTES_MAX} bytes")]
    TooLong,
    /// No connection, or it broke; for TLS with the reason.
    #[error("{reason}")]
    Io {
        /// What the system said.
        reason: String,
    },
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A new body.
    Body(Vec<u8>),
    /// The body of last time stands.
    Unchanged,
}

/// GETs one address again and again, asking only for news where the server gives an ETag.
pub struct Poll {
    url: String,
    etag: Option<String>,
    /// Name and value of a header that is sent and never shown.
    secret: Option<(&'static str, String)>,
}

impl Poll {
    /// Nothing fetched yet.
    pub fn new(url: String) -> Poll {
        Poll { url, etag: None, secret: None }
    }

    /// With a header that holds a secret.
    pub fn with_secret(self, name: &'static str, value: String) -> Poll {
        Poll { secret: Some((name, value)), ..self }
    }

    /// One request.
    pub fn fetch(&mut self, agent: &ureq::Agent) -> Result<Fetched, FetchError> {
        let mut request = agent.get(&self.url);
        if let Some(etag) = &self.etag {
            request = request.header("If-None-Match", etag);
        }
        if let Some((name, value)) = &self.secret {
            request = request.header(*name, value);
        }
        let mut response = request.call().map_err(|error| in_words(&error))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (etag, retry_after) = (header("etag"), header("retry-after"));
        match response.status().as_u16() {
            304 if self.etag.is_some() => Ok(Fetched::Unchanged),
            200 => {
                let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec();
                let body = body.map_err(|error| in_words(&error))?;
                self.etag = etag;
                Ok(Fetched::Body(body))
            }
            status => {
                Err(FetchError::Status { status, retry_after_s: retry_after.and_then(|text| text.trim().parse().ok()) })
            }
        }
    }

    /// The body was of no use: ask for it anew, whole.
    pub fn forget(&mut self) {
        self.etag = None;
    }
}

/// What went wrong, without the address, which may hold a key.
pub fn in_words(error: &ureq::Error) -> FetchError {
    match error {
        ureq::Error::Timeout(_) => FetchError::Timeout,
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLong,
        ureq::Error::Io(error) => FetchError::Io { reason: error.to_string() },
        ureq::Error::HostNotFound => FetchError::Io { reason: "host not found".to_owned() },
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            FetchError::Io { reason: "the address is malformed".to_owned() }
        }
        ureq::Error::ConnectionFailed => FetchError::Io { reason: "connection failed".to_owned() },
        _ => FetchError::Io { reason: "the answer is not HTTP".to_owned() },
    }
}

/// Puts TLS around the connections that need it.
struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(plain) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(plain)));
        }
        let host = details.uri.host().unwrap_or("").trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| ureq::Error::Tls("the host is no name for TLS"))?;
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).map_err(|e| refused(&host, &e))?;
        let mut socket = TransportAdapter::new(plain.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        session.complete_io(&mut socket).map_err(|error| {
            let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            cause.map_or_else(
                || ureq::Error::Io(std::io::Error::new(error.kind(), error.to_string())),
                |e| refused(&host, e),
            )
        })?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(session, socket) })))
    }
}

fn refused(host: &str, error: &rustls::Error) -> ureq::Error {
    ureq::Error::Io(std::io::Error::other(describe_tls_error(host, error)))
}

/// One TLS connection as `ureq` sees it.
struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }
    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }
    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::JoinHandle;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    /// The head of a request, as it came.
    pub(in crate::threads::helpers) struct Request(String);

    impl Request {
        pub(in crate::threads::helpers) fn path(&self) -> &str {
            self.0.split(' ').nth(1).unwrap_or("")
        }
        pub(in crate::threads::helpers) fn header(&self, name: &str) -> Option<&str> {
            let named = |line: &&str| line.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name));
            self.0.lines().find(named).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
        }
    }

    /// A server on loopback that answers one request a connection.
    pub(in crate::threads::helpers) struct Server {
        addr: SocketAddr,
        stop: Arc<AtomicBool>,
        heads: Arc<Mutex<Vec<String>>>,
        thread: Option<JoinHandle<()>>,
    }

    impl Server {
        pub(in crate::threads::helpers) fn start(
            tls: Option<Arc<ServerConfig>>,
            mut answer: impl FnMut(&Request) -> String + Send + 'static,
        ) -> Server {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
            let addr = listener.local_addr().expect("its address");
            let (stop, heads) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
            let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&heads));
            let thread = std::thread::spawn(move || {
                while let Ok((socket, _)) = listener.accept() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that hangs up early, or refuses the certificate, is part of the tests.
                    let _ = Server::serve(socket, tls.as_ref(), &seen, &mut answer);
                }
            });
            Server { addr, stop, heads, thread: Some(thread) }
        }

        fn serve(
            socket: TcpStream,
            tls: Option<&Arc<ServerConfig>>,
            seen: &Mutex<Vec<String>>,
            answer: &mut impl FnMut(&Request) -> String,
        ) -> std::io::Result<()> {
            match tls {
                None => Server::exchange(BufReader::new(socket), seen, answer),
                Some(config) => {
                    let session = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
                    Server::exchange(BufReader::new(StreamOwned::new(session, socket)), seen, answer)
                }
            }
        }

        fn exchange<S: Read + Write>(
            mut stream: BufReader<S>,
            seen: &Mutex<Vec<String>>,
            answer: &mut impl FnMut(&Request) -> String,
        ) -> std::io::Result<()> {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {}
            seen.lock().expect("no test panicked").push(head.clone());
            let reply = answer(&Request(head));
            stream.get_mut().write_all(reply.as_bytes())?;
            stream.get_mut().flush()
        }

        pub(in crate::threads::helpers) fn ok(headers: &str, body: &str) -> String {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        }
        pub(in crate::threads::helpers) fn url(&self, path: &str) -> String {
            format!("http://{}{path}", self.addr)
        }
        pub(in crate::threads::helpers) fn requests(&self) -> Vec<String> {
            self.heads.lock().expect("no test panicked").clone()
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.stop.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(self.addr));
            self.thread.take().map(JoinHandle::join);
        }
    }

    /// A throw-away authority and a server certificate for `name`, as (PEM of the authority, server settings).
    fn authority(name: &str) -> (String, Arc<ServerConfig>) {
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&ca_key).expect("an authority").pem();
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&ca, &ca_key)).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key);
        (pem, Arc::new(config.expect("a certificate with its key")))
    }

    fn fetch_over_tls(name: &str, trusts_it: bool) -> Result<Fetched, FetchError> {
        let (pem, config) = authority(name);
        let file = std::env::temp_dir().join(format!("svb-web-{name}-{trusts_it}-{}.pem", std::process::id()));
        std::fs::write(&file, pem).expect("a writable temporary folder");
        let server = Server::start(Some(config), |_| Server::ok("", "hello"));
        let agent = agent(trusts_it.then_some(file.as_path())).expect("roots");
        let fetched = Poll::new(format!("https://localhost:{}/", server.addr.port())).fetch(&agent);
        std::fs::remove_file(file).expect("it was ours");
        fetched
    }

    #[test]
    fn tls_is_answered_where_ca_file_names_the_authority_and_refused_with_the_reason_elsewhere() {
        assert_eq!(fetch_over_tls("localhost", true), Ok(Fetched::Body(b"hello".to_vec())));
        let reason =
            |fetched: Result<Fetched, FetchError>| fetched.err().map(|error| error.to_string()).unwrap_or_default();
        let unknown = reason(fetch_over_tls("localhost", false));
        assert!(unknown.contains("unknown authority"), "{unknown}");
        let wrong = reason(fetch_over_tls("example.org", true));
        assert!(wrong.contains("another name"), "{wrong}");
    }

    #[test]
    fn a_redirect_is_not_followed_and_a_dead_port_is_an_error_without_the_address() {
        let agent = agent(None).expect("roots");
        let server = Server::start(None, |_| {
            "HTTP/1.1 302 Found\r\nLocation: /else\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()
        });
        let moved = Poll::new(server.url("/")).fetch(&agent);
        assert_eq!(moved, Err(FetchError::Status { status: 302, retry_after_s: None }));
        let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let error = Poll::new(format!("http://{gone}/?key=secret")).fetch(&agent).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|text| text.contains("refused") && !text.contains("secret")), "{error:?}");
    }

    #[test]
    fn a_body_that_is_cut_short_is_an_error() {
        let agent = agent(None).expect("roots");
        let server = Server::start(None, |_| {
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900\r\n\r\n{\"total".to_owned()
        });
        assert!(matches!(Poll::new(server.url("/")).fetch(&agent), Err(FetchError::Io { .. })));
    }
}
