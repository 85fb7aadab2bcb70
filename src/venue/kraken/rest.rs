//! The audit: once a minute the REST depth is asked for, and its best prices compared with the local book's.
//!
//! Thread: any.  Invariants: never more than one request in [`EVERY_NS_MIN`]; a reply is of some instant between request
//! and answer, so it is held against all tops that the book had meanwhile; a book that was lost meanwhile proves nothing.
//! REST has no checksum, no sequence and only three decimals of size: prices are all that can be compared.
//! Source: kraken fact sheet, section 5.

use super::Pair;
use crate::types::event::Bbo;
use crate::types::time::NANOS_PER_SEC;
use crate::types::units::Bps;
use crate::types::{Price, Time};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Shortest time between two requests: the venue allows one a second to all that we do at its public REST.
pub const EVERY_NS_MIN: i64 = 5 * NANOS_PER_SEC;
/// A request without any answer for so long is taken for failed.
const ANSWER_NS_MAX: i64 = 30 * NANOS_PER_SEC;
/// After failures the interval is doubled so often at most.
const DOUBLINGS_MAX: u32 = 4;
/// Longest body read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How the book is looked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How often, ns; at least [`EVERY_NS_MIN`].
    pub every_ns: i64,
    /// How far best prices may lie apart.
    pub tolerance: Bps,
}

impl Default for AuditSettings {
    /// Once a minute, 5 basis points.
    fn default() -> Self {
        AuditSettings { every_ns: 60 * NANOS_PER_SEC, tolerance: Bps(500) }
    }
}

/// What an audit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether both best prices lie within the tolerance of a top that the book had.
    pub agrees: bool,
    /// How far the worse one lies from the nearest such top.
    pub off: Bps,
    /// Best bid of REST.
    pub bid: Price,
    /// Best ask of REST.
    pub ask: Price,
    /// Lowest and highest best bid that the book had meanwhile.
    pub local_bid: (Price, Price),
    /// Lowest and highest best ask that the book had meanwhile.
    pub local_ask: (Price, Price),
}

/// Why the venue refused a REST request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueError {
    /// It was asked too much.
    TooMany,
    /// It does not know the pair.
    Pair,
    /// It does not work right now.
    Unavailable,
    /// Anything else.
    Other,
}

/// Why a reply is no depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The venue's own error list.
    #[error("the venue refused: {0:?}")]
    Venue(VenueError),
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Best prices of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BestPrices {
    /// Best price to sell at.
    pub bid: Price,
    /// Best price to buy at.
    pub ask: Price,
}

/// The tops that the book had since the request.
#[derive(Clone, Copy, Debug)]
struct Seen {
    bid: (Price, Price),
    ask: (Price, Price),
}

impl Seen {
    fn note(&mut self, top: &Bbo) {
        self.bid = (self.bid.0.min(top.bid), self.bid.1.max(top.bid));
        self.ask = (self.ask.0.min(top.ask), self.ask.1.max(top.ask));
    }
}

/// The schedule and the request under way.
#[derive(Debug)]
pub struct Audit {
    settings: AuditSettings,
    path: String,
    due: Time,
    asked_at: Option<Time>,
    seen: Option<Seen>,
    failures: u32,
}

impl Audit {
    /// Of one pair's book; the first one is due at once.
    pub fn new(pair: Pair, settings: AuditSettings) -> Audit {
        let path = format!("/0/public/Depth?pair={}&count=10", pair.rest_name());
        Audit { settings, path, due: Time::NONE, asked_at: None, seen: None, failures: 0 }
    }

    /// Path to ask for now, if an audit is due and there is a top to hold it against; it then counts as asked.
    pub fn wanted(&mut self, top: Option<&Bbo>, now: Time) -> Option<String> {
        if self.asked_at.is_some_and(|asked_at| now.since(asked_at) >= ANSWER_NS_MAX) {
            self.on_failed(now);
        }
        let top = top.filter(|_| self.asked_at.is_none() && now >= self.due)?;
        self.asked_at = Some(now);
        self.due = now.plus(self.settings.every_ns.max(EVERY_NS_MIN));
        self.seen = Some(Seen { bid: (top.bid, top.bid), ask: (top.ask, top.ask) });
        Some(self.path.clone())
    }

    /// The book has this top.
    pub fn note(&mut self, top: &Bbo) {
        if let Some(seen) = &mut self.seen {
            seen.note(top);
        }
    }

    /// The book is lost: what is under way proves nothing.
    pub fn forget_book(&mut self) {
        self.seen = None;
    }

    /// Takes the reply. Errors: [`RestError`]; it then counts as failed.
    pub fn on_reply(&mut self, body: &[u8], now: Time) -> Result<Option<Finding>, RestError> {
        let best = depth(body).inspect_err(|_| self.on_failed(now))?;
        self.asked_at = None;
        self.failures = 0;
        Ok(self.seen.take().map(|seen| compare(best, &seen, self.settings.tolerance)))
    }

    /// No answer: the next request after a pause that doubles each time.
    pub fn on_failed(&mut self, now: Time) {
        self.asked_at = None;
        self.seen = None;
        self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        self.due = now.plus(self.settings.every_ns.max(EVERY_NS_MIN).saturating_mul(1 << self.failures));
    }
}

fn compare(best: BestPrices, seen: &Seen, tolerance: Bps) -> Finding {
    let off = outside(best.bid, seen.bid).max(outside(best.ask, seen.ask));
    let BestPrices { bid, ask } = best;
    Finding { agrees: off <= tolerance, off, bid, ask, local_bid: seen.bid, local_ask: seen.ask }
}

/// How far a price lies outside of a range.
fn outside(price: Price, (low, high): (Price, Price)) -> Bps {
    let off = match () {
        () if price > high => Bps::above(price, high),
        () if price < low => Bps::above(low, price),
        () => Some(Bps(0)),
    };
    off.unwrap_or(Bps(i32::MAX))
}

/// Decodes the reply to a depth request: the best prices of its only result, whatever the name of that.
///
/// Errors: [`RestError`]: the venue's error list, or the byte.  Cost: one pass.
pub fn depth(body: &[u8]) -> Result<BestPrices, RestError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(DecodeError::TooLong { got: body.len() }.into());
    }
    let (mut refused, mut found, mut results) = (None, None, 0_u32);
    let mut scan = Scanner::new(body);
    scan.object(|scan, key| match (key, scan.peek()?) {
        (b"error", b'[') => scan.array(|scan| {
            let words = scan.string()?;
            if !words.starts_with(b"W") {
                refused = refused.or(Some(venue_error(words))); // W marks a mere warning
            }
            Ok(())
        }),
        (b"result", b'{') => scan.object(|scan, _| {
            results += 1;
            both_sides(scan).map(|sides| found = Some(sides))
        }),
        _ => scan.skip(),
    })?;
    scan.end()?;
    if let Some(refused) = refused {
        return Err(RestError::Venue(refused));
    }
    if results > 1 {
        return Err(DecodeError::Contradiction { name: "result" }.into());
    }
    let (bid, ask) = found.ok_or(DecodeError::Missing { name: "result" })?;
    let bid = bid.ok_or(DecodeError::Missing { name: "bids" })?;
    let ask = ask.ok_or(DecodeError::Missing { name: "asks" })?;
    if bid.0 <= 0 || bid >= ask {
        return Err(DecodeError::Contradiction { name: "bids" }.into());
    }
    Ok(BestPrices { bid, ask })
}

fn venue_error(words: &[u8]) -> VenueError {
    let says = |part: &[u8]| words.windows(part.len()).any(|window| window == part);
    match () {
        () if says(b"Too many requests") || says(b"Rate limit") || says(b"Throttled") => VenueError::TooMany,
        () if says(b"Unknown asset pair") => VenueError::Pair,
        () if words.starts_with(b"EService") => VenueError::Unavailable,
        () => VenueError::Other,
    }
}

/// First price of both sides.
fn both_sides(scan: &mut Scanner) -> Result<(Option<Price>, Option<Price>), DecodeError> {
    let (mut bid, mut ask) = (None, None);
    scan.object(|scan, key| match key {
        b"bids" => first_price(scan).map(|price| bid = price),
        b"asks" => first_price(scan).map(|price| ask = price),
        _ => scan.skip(),
    })?;
    Ok((bid, ask))
}

fn first_price(scan: &mut Scanner) -> Result<Option<Price>, DecodeError> {
    let mut first = None;
    scan.array(|scan| {
        let mut column = 0_u32;
        scan.array(|scan| {
            column += 1;
            if column == 1 && first.is_none() {
                return scan.price().map(|price| first = Some(price));
            }
            scan.skip()
        })
    })?;
    Ok(first)
}
