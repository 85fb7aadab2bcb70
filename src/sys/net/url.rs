//! Where to connect: a URL taken apart.
//!
//! Thread: any.  Invariants: an [`Endpoint`] has a host that is not empty, a port, and a path that begins with `/`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A peer's address as a URL says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `wss` or `https`.
    pub tls: bool,
    /// Name or literal address, without the brackets of an IPv6 literal.
    pub host: String,
    /// Said, or the scheme's own: 80, 443.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// Why a text is not a URL we can connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No or an unknown scheme.
    #[error("`{url}`: begins with none of ws://, wss://, http://, https://")]
    Scheme {
        /// The text.
        url: String,
    },
    /// Nothing between the scheme and the path, or a character that no host has.
    #[error("`{url}`: the host is missing or not a name; write scheme://host[:port][/path]")]
    Host {
        /// The text.
        url: String,
    },
    /// Not 1 to 65535.
    #[error("`{url}`: the port must be a number from 1 to 65535")]
    Port {
        /// The text.
        url: String,
    },
    /// A user name, a fragment, a space or a control character.
    #[error("`{url}`: may not hold a user name, `#`, a space or a control character")]
    Forbidden {
        /// The text, without what stood before the `@`.
        url: String,
    },
}

impl Endpoint {
    /// Takes a `ws`, `wss`, `http` or `https` URL apart; a path prefix is kept, a slash at its end is not.
    pub fn parse(url: &str) -> Result<Endpoint, UrlError> {
        let (tls, rest) = split_scheme(url)?;
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        if let Some((_, after)) = authority.rsplit_once('@') {
            return Err(UrlError::Forbidden { url: format!("...@{after}{path}") });
        }
        if rest.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'#') {
            return Err(UrlError::Forbidden { url: url.to_owned() });
        }
        let (host, port) = split_port(authority, url)?;
        let port = match port {
            None if tls => 443,
            None => 80,
            Some(text) => match text.parse::<u16>() {
                Ok(port) if port != 0 => port,
                _ => return Err(UrlError::Port { url: url.to_owned() }),
            },
        };
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let path = if path.is_empty() { "/".to_owned() } else { path };
        Ok(Endpoint { tls, host, port, path })
    }

    /// This endpoint's base with `suffix` (which begins with `/` or `?`) appended to its path: a prefix is kept.
    pub fn join(&self, suffix: &str) -> Endpoint {
        let base = self.path.trim_end_matches('/');
        let path =
            if base.is_empty() && !suffix.starts_with('/') { format!("/{suffix}") } else { format!("{base}{suffix}") };
        Endpoint { path, ..self.clone() }
    }

    /// True for `localhost` and the loopback addresses: the only places where plain `ws` and `http` are allowed.
    pub fn is_loopback(&self) -> bool {
        if self.host.eq_ignore_ascii_case("localhost") {
            return true;
        }
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => false,
        }
    }

    /// The `Host` header: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> String {
        let host = if self.host.parse::<Ipv6Addr>().is_ok() { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    /// Scheme, host and port; the path may hold a token and stays out of logs.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host: &dyn fmt::Display = &self.host;
        let scheme = if self.tls { "tls" } else { "tcp" };
        if self.host.contains(':') {
            write!(out, "{scheme}://[{host}]:{}", self.port)
        } else {
            write!(out, "{scheme}://{host}:{}", self.port)
        }
    }
}

fn split_scheme(url: &str) -> Result<(bool, &str), UrlError> {
    let known = [("ws://", false), ("wss://", true), ("http://", false), ("https://", true)];
    for (scheme, tls) in known {
        match url.get(..scheme.len()) {
            Some(head) if head.eq_ignore_ascii_case(scheme) => return Ok((tls, &url[scheme.len()..])),
            _ => {}
        }
    }
    Err(UrlError::Scheme { url: url.to_owned() })
}

fn split_port<'a>(authority: &'a str, url: &str) -> Result<(String, Option<&'a str>), UrlError> {
    let bad = || UrlError::Host { url: url.to_owned() };
    if let Some(rest) = authority.strip_prefix('[') {
        let (literal, after) = rest.split_once(']').ok_or_else(bad)?;
        literal.parse::<Ipv6Addr>().map_err(|_| bad())?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((literal.to_owned(), Some(port))),
            None if after.is_empty() => Ok((literal.to_owned(), None)),
            None => Err(bad()),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || !host.bytes().all(fits) {
        return Err(bad());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (bool, String, u16, String) {
        let endpoint = Endpoint::parse(url).expect(url);
        (endpoint.tls, endpoint.host, endpoint.port, endpoint.path)
    }

    #[test]
    fn url_is_taken_apart_with_the_ports_and_paths_it_implies() {
        assert_eq!(parts("wss://a.example"), (true, "a.example".into(), 443, "/".into()));
        assert_eq!(parts("ws://127.0.0.1:9/ws?x=1/2"), (false, "127.0.0.1".into(), 9, "/ws?x=1/2".into()));
        assert_eq!(parts("HTTPS://[::1]:8443/p"), (true, "::1".into(), 8443, "/p".into()));
        assert_eq!(parts("http://h?q=1"), (false, "h".into(), 80, "/?q=1".into()));
    }

    #[test]
    fn url_that_cannot_be_connected_to_is_refused_with_its_reason() {
        for (url, word) in [
            ("", "begins with none"),
            ("ftp://h", "begins with none"),
            ("ws://", "host"),
            ("ws://:80", "host"),
            ("ws://[::g]/", "host"),
            ("ws://h:0", "port"),
            ("ws://h:65536", "port"),
            ("ws://h:", "port"),
            ("ws://h/a b", "space"),
            ("ws://h/#x", "#"),
        ] {
            let error = Endpoint::parse(url).expect_err(url).to_string();
            assert!(error.contains(word), "{url}: {error}");
        }
        let error = Endpoint::parse("https://user:secret@host/p").expect_err("user name").to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn base_keeps_its_prefix_when_a_path_is_appended() {
        let join = |base: &str, suffix: &str| Endpoint::parse(base).expect(base).join(suffix).path;
        assert_eq!(join("http://h", "/api/v3/time"), "/api/v3/time");
        assert_eq!(join("http://h/pre/", "/api"), "/pre/api");
        assert_eq!(join("http://h/pre", "?a=1"), "/pre?a=1");
    }

    #[test]
    fn loopback_is_told_from_names_that_only_look_like_it() {
        for (url, expected) in [
            ("ws://localhost", true),
            ("ws://127.8.9.1", true),
            ("ws://[::1]", true),
            ("ws://[::ffff:127.0.0.1]", true),
            ("ws://localhost.example", false),
            ("ws://127.0.0.1.example", false),
            ("ws://10.0.0.1", false),
        ] {
            assert_eq!(Endpoint::parse(url).expect(url).is_loopback(), expected, "{url}");
        }
    }

    #[test]
    fn endpoint_in_a_log_line_shows_no_path_and_the_host_header_shows_no_default_port() {
        let endpoint = Endpoint::parse("https://api.example/bot123:token/send").expect("url");
        assert_eq!(endpoint.to_string(), "tls://api.example:443");
        assert_eq!(endpoint.host_header(), "api.example");
        assert_eq!(Endpoint::parse("ws://[::1]:9").expect("url").host_header(), "[::1]:9");
    }
}
