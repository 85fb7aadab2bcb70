//! CoinGecko: the category list with its rolling 24 h volumes.
//!
//! Thread: any.  Invariants: the provider's own time is five minutes back at most, as its cache is, unless the state says
//! otherwise.

use super::fault::FeedState;
use super::feeds::{unwell, usd};
use super::http::Response;
use super::json::{Obj, array, quoted};
use crate::telemetry::lines::rfc3339_us;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Notional, Time};

/// How long the real one answers from its cache.
const CACHE_NS: i64 = 300 * NANOS_PER_SEC;
/// Age of a list that nobody renews.
const STUCK_NS: i64 = 3_600 * NANOS_PER_SEC;

/// State of the peer.
pub(super) struct Gecko {
    /// Volume of the category `solana-meme-coins`.
    pub(super) volume: Notional,
    pub(super) state: FeedState,
}

impl Gecko {
    pub(super) fn new() -> Gecko {
        Gecko { volume: Notional(84_000_000_000_000_000), state: FeedState::Ok }
    }

    /// Answers a path below `/coingecko/`.
    pub(super) fn answer(&self, rest: &str, now: Time) -> Response {
        if let Some(refusal) = unwell(self.state) {
            return refusal;
        }
        if rest != "coins/categories" {
            return Response::json(404, Obj::new().text("error", "not found").end());
        }
        let updated = match self.state {
            FeedState::Stale => now.plus(-STUCK_NS),
            FeedState::Contradicting => now.plus(STUCK_NS),
            _ => Time(now.0 - now.0.rem_euclid(CACHE_NS)),
        };
        let volume = match self.state {
            FeedState::Zero => "0".to_owned(),
            FeedState::Null => "null".to_owned(),
            _ => usd(self.volume),
        };
        let one = |id: &str, name: &str, volume: &str| {
            let head = Obj::new().text("id", id).text("name", name).raw("market_cap", "3100000000.5");
            let head = head.raw("market_cap_change_24h", "-4.2").text("content", "").raw("top_3_coins_id", "[]");
            head.raw("top_3_coins", "[]")
                .raw("volume_24h", volume)
                .raw("updated_at", &quoted(&rfc3339_us(updated)))
                .end()
        };
        let listed = [one("solana-meme-coins", "Solana Meme", &volume), one("pump-fun", "Pump.fun Ecosystem", "null")];
        Response::json(200, array(listed))
    }
}
