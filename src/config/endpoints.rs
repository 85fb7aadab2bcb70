//! `[endpoints]`: where every peer is. TLS everywhere, plain text to loopback only.
//!
//! Thread: any.  Invariants: a URL here has a known scheme, a host and no credentials; an empty one is `None`: that
//! peer is not used.

use std::net::IpAddr;
use std::path::PathBuf;

use super::reader::Reader;

/// Base URLs of all peers; what is appended to each stands in the README.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// `+ /api/v3/...`
    pub binance_rest: String,
    /// `+ /stream?streams=...` or `/ws/...`
    pub binance_stream: String,
    /// Whole URL.
    pub binance_ws_api: String,
    /// Whole URL; `None` = Kraken is not heard.
    pub kraken_ws: Option<String>,
    /// Whole URL.
    pub kraken_ws_auth: String,
    /// `+ /0/...`
    pub kraken_rest: String,
    /// Whole URL.
    pub solana_rpc: String,
    /// Whole URL.
    pub solana_ws: String,
    /// Further nodes that tell slots, whole URLs.
    pub solana_ws_more: Vec<String>,
    /// `+ /swap/...`; `None` = no quotes are asked for.
    pub jupiter: Option<String>,
    /// Whole URL; `None` = this source is not read.
    pub pumpfun: Option<String>,
    /// `+ /overview/...`, `/summary/...`; `None` = this source is not read.
    pub defillama: Option<String>,
    /// `+ /coins/...`; `None` = this source is not read.
    pub coingecko: Option<String>,
    /// Whole URL of the counter that fills the first 48 h of volume in; `None` = the engine counts them itself.
    pub bitquery: Option<String>,
    /// `+ /bot<token>/...`
    pub telegram: String,
    /// Replaces scheme and host of the webhook; `None` = the webhook's own.
    pub slack: Option<String>,
    /// A further root certificate, PEM.
    pub ca_file: Option<PathBuf>,
}

/// What kind of peer a URL names.
#[derive(Clone, Copy)]
enum Kind {
    Http,
    Socket,
    Nats,
}

impl Kind {
    /// Scheme with TLS, scheme without, what to say.
    fn schemes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::Http => {
                ("https://", "http://", "an https:// URL; http:// for loopback only; no user name or password")
            }
            Kind::Socket => ("wss://", "ws://", "a wss:// URL; ws:// for loopback only; no user name or password"),
            Kind::Nats => (
                "tls://",
                "nats://",
                "\"\" (off) or a tls:// URL; nats:// for loopback only; no user name, password or path (a token has \
                 its variable in feeds.nats_token)",
            ),
        }
    }

    fn accepts(self, url: &str) -> bool {
        let (tls, plain, _) = self.schemes();
        let host = host_of(url);
        let sound = !host.is_empty()
            && !authority(url).contains('@')
            && !url.chars().any(|c| c.is_whitespace() || c.is_control());
        sound && (url.starts_with(tls) || (url.starts_with(plain) && is_loopback_url(url)))
    }
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn host_of(url: &str) -> &str {
    let authority = authority(url);
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Whether a URL's host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub fn is_loopback_url(url: &str) -> bool {
    let host = host_of(url);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A URL as it may be shown: without user name and password, without query, which often is a key.
pub(super) fn without_query(url: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, _)| (before, "?(not shown)"));
    let open = before.split_once("://").filter(|(_, rest)| rest.contains('@'));
    match open.and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://(not shown)@{rest}{query}"),
        None => format!("{before}{query}"),
    }
}

/// Reads `feeds.nats`; empty = no bus.
pub(super) fn nats_url(reader: &mut Reader) -> String {
    let is_bare = |url: &str| {
        url.split_once("://").is_some_and(|(_, rest)| !rest.trim_end_matches('/').contains(['/', '?', '#', ',']))
    };
    let sound = |url: &str| url.is_empty() || (Kind::Nats.accepts(url) && is_bare(url));
    let url = reader.url("feeds.nats", "", Kind::Nats.schemes().2, sound);
    url.trim_end_matches('/').to_owned()
}

fn required(reader: &mut Reader, name: &str, default: &str, kind: Kind) -> String {
    let key = format!("endpoints.{name}");
    let url = reader.url(&key, default, kind.schemes().2, |url| kind.accepts(url));
    url.trim_end_matches('/').to_owned()
}

fn optional(reader: &mut Reader, name: &str, default: &str, kind: Kind) -> Option<String> {
    let key = format!("endpoints.{name}");
    let url = reader.url(&key, default, kind.schemes().2, |url| url.is_empty() || kind.accepts(url));
    Some(url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty())
}

/// Several URLs under one key.
fn more(reader: &mut Reader, name: &str, kind: Kind) -> Vec<String> {
    let key = format!("endpoints.{name}");
    let urls = reader.list(&key, &[], kind.schemes().2, |url| kind.accepts(url));
    urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect()
}

/// Reads `[endpoints]`.
pub(super) fn endpoints(reader: &mut Reader) -> Endpoints {
    let ca_file = reader.text("endpoints.ca_file", "", "path of a PEM file", |_| true);
    Endpoints {
        binance_rest: required(reader, "binance_rest", "https://api.binance.com", Kind::Http),
        binance_stream: required(reader, "binance_stream", "wss://stream.binance.com:9443", Kind::Socket),
        binance_ws_api: required(reader, "binance_ws_api", "wss://ws-api.binance.com:443/ws-api/v3", Kind::Socket),
        kraken_ws: optional(reader, "kraken_ws", "wss://ws.kraken.com/v2", Kind::Socket),
        kraken_ws_auth: required(reader, "kraken_ws_auth", "wss://ws-auth.kraken.com/v2", Kind::Socket),
        kraken_rest: required(reader, "kraken_rest", "https://api.kraken.com", Kind::Http),
        solana_rpc: required(reader, "solana_rpc", "https://api.mainnet-beta.solana.com", Kind::Http),
        solana_ws: required(reader, "solana_ws", "wss://api.mainnet-beta.solana.com", Kind::Socket),
        solana_ws_more: more(reader, "solana_ws_more", Kind::Socket),
        jupiter: optional(reader, "jupiter", "https://api.jup.ag", Kind::Http),
        pumpfun: optional(reader, "pumpfun", "", Kind::Http),
        defillama: optional(reader, "defillama", "https://api.llama.fi", Kind::Http),
        coingecko: optional(reader, "coingecko", "https://api.coingecko.com/api/v3", Kind::Http),
        bitquery: optional(reader, "bitquery", "", Kind::Http),
        telegram: required(reader, "telegram", "https://api.telegram.org", Kind::Http),
        slack: optional(reader, "slack", "", Kind::Http),
        ca_file: Some(PathBuf::from(ca_file)).filter(|path| !path.as_os_str().is_empty()),
    }
}

/// Whether a webhook secret is a URL that may be posted to.
pub(super) fn is_sound_webhook(url: &str) -> bool {
    Kind::Http.accepts(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_loopback_only() {
        let ok = [
            "https://a.example",
            "http://127.0.0.1:80/x",
            "http://[::1]:9/x",
            "http://localhost/api",
            "http://127.8.8.8",
        ];
        let bad = [
            "http://a.example",
            "http://127.0.0.1.example",
            "ftp://a",
            "https://",
            "http://localhost.example:80",
            "https://user:pass@a.example",
            "http://127.0.0.1@evil.example/",
            "http://10.0.0.1",
            "127.0.0.1",
            "https://a b",
        ];
        for url in ok {
            assert!(Kind::Http.accepts(url), "{url}");
        }
        for url in bad {
            assert!(!Kind::Http.accepts(url), "{url}");
        }
        assert!(!Kind::Socket.accepts("https://a.example"));
    }

    #[test]
    fn neither_a_query_nor_credentials_are_shown() {
        for (url, shown) in [
            ("https://a.example/x?key=5", "https://a.example/x?(not shown)"),
            ("nats://me:word@127.0.0.1:4222", "nats://(not shown)@127.0.0.1:4222"),
            ("nats://me:w@rd@127.0.0.1", "nats://(not shown)@127.0.0.1"),
            ("tls://a.example:4222", "tls://a.example:4222"),
        ] {
            assert_eq!(without_query(url), shown);
        }
    }
}
