//! One connection: what was asked on it, what was answered, the book it keeps.
//!
//! Thread: any.  Invariants: nothing is asked before the venue said that it works; an answer counts only for the request
//! of its number; a book that failed its check is left and subscribed anew, more slowly each time and only so often,
//! then the connection is doomed; so it is when an answer does not come.

use super::Pair;
use super::book::{Book, Fault};
use super::decode::{Level, Method, System};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{StreamId, Time};

/// Longest wait for an answer to a request, and for the snapshot after it.
const ANSWER_NS: i64 = 10 * NANOS_PER_SEC;
/// Pause after the venue said that we ask too much.
const RATE_PAUSE_NS: i64 = 5 * NANOS_PER_SEC;
/// Books that may fail in a row before the connection is given up.
pub const RESYNCS_MAX: u32 = 3;
/// A book that lived so long was good: failures before it no longer count.
const SETTLED_NS: i64 = 60 * NANOS_PER_SEC;

/// The three subscriptions, in the order in which they are asked for.
pub const STREAMS: [StreamId; 3] = [StreamId::KrakenBook, StreamId::KrakenTicker, StreamId::KrakenTrade];

/// Why the venue refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the pair.
    Pair,
    /// It does not offer the depth.
    Depth,
    /// It does not know the channel.
    Channel,
    /// It sends that already.
    AlreadySubscribed,
    /// It was asked too much.
    MessageRate,
    /// It wants a token.
    Session,
    /// It does not serve that at this address.
    WrongHost,
    /// Anything else.
    Other,
}

impl Refusal {
    /// From the venue's words.
    pub fn of(words: &[u8]) -> Refusal {
        let says = |part: &str| words.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
        match () {
            () if says("pair not supported") => Refusal::Pair,
            () if says("depth not supported") => Refusal::Depth,
            () if says("name invalid") => Refusal::Channel,
            () if says("already subscribed") => Refusal::AlreadySubscribed,
            () if says("exceeded msg rate") => Refusal::MessageRate,
            () if says("invalid session") || says("invalid token") => Refusal::Session,
            () if says("on this endpoint") => Refusal::WrongHost,
            () => Refusal::Other,
        }
    }
    /// Name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Pair => "currency pair not supported",
            Refusal::Depth => "book depth not supported",
            Refusal::Channel => "unknown channel",
            Refusal::AlreadySubscribed => "already subscribed",
            Refusal::MessageRate => "message rate exceeded",
            Refusal::Session => "session invalid",
            Refusal::WrongHost => "not served at this address",
            Refusal::Other => "refused",
        }
    }
}

/// Writes requests, each with a number of its own.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) pair: Pair,
    pub(super) depth: usize,
    pub(super) last: u64,
}

impl Requests {
    fn send(&mut self, method: &str, params: &str, out: &mut impl FnMut(&[u8])) -> u64 {
        self.last += 1;
        out(format!(r#"{{"method":"{method}"{params},"req_id":{}}}"#, self.last).as_bytes());
        self.last
    }

    fn subscribe(&mut self, stream: StreamId, out: &mut impl FnMut(&[u8])) -> u64 {
        let (pair, depth) = (self.pair, self.depth);
        let of_channel = match stream {
            StreamId::KrakenBook => format!(r#""book","symbol":["{pair}"],"depth":{depth},"snapshot":true"#),
            StreamId::KrakenTicker => format!(r#""ticker","symbol":["{pair}"],"event_trigger":"bbo","snapshot":true"#),
            _ => format!(r#""trade","symbol":["{pair}"],"snapshot":false"#),
        };
        self.send("subscribe", &format!(r#","params":{{"channel":{of_channel}}}"#), out)
    }

    fn leave_book(&mut self, out: &mut impl FnMut(&[u8])) -> u64 {
        let (pair, depth) = (self.pair, self.depth);
        let params = format!(r#","params":{{"channel":"book","symbol":["{pair}"],"depth":{depth}}}"#);
        self.send("unsubscribe", &params, out)
    }
}

/// How far one subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sub {
    /// Not asked for.
    Idle,
    /// Asked for; the answer is on its way.
    Asked { req_id: u64, at: Time },
    /// Granted.
    Live { at: Time },
    /// Given up; the answer is on its way, and until then news of it are the past's.
    Leaving { req_id: u64, at: Time },
    /// To be asked for later.
    Pause { until: Time },
    /// Refused for good.
    Refused,
}

/// One message about the book.
pub(super) struct BookMessage<'a> {
    pub(super) snapshot: bool,
    pub(super) bids: &'a [Level],
    pub(super) asks: &'a [Level],
    pub(super) checksum: u32,
    pub(super) venue_time: Time,
}

/// What a book message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BookNews {
    /// Nothing: it belongs to no book that is kept.
    None,
    /// The book is whole.
    Whole,
    /// The book is lost.
    Lost(Fault),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) conn: Option<u32>,
    pub(super) opened: Time,
    /// When any frame came last.
    pub(super) heard: Time,
    pub(super) has_ticker: bool,
    /// It is of no use any more: its next frame says so to the agent.
    pub(super) doomed: bool,
    system: Option<System>,
    subs: [Sub; 3],
    book: Book,
    is_whole: bool,
    whole_since: Time,
    book_heard: Time,
    /// Books that failed in a row.
    failed: u32,
    unanswered_ping: Option<u64>,
    ping_at: Time,
}

impl Feed {
    pub(super) fn new(depth: usize) -> Feed {
        Feed {
            conn: None,
            opened: Time::NONE,
            heard: Time::NONE,
            has_ticker: false,
            doomed: false,
            system: None,
            subs: [Sub::Idle; 3],
            book: Book::new(depth),
            is_whole: false,
            whole_since: Time::NONE,
            book_heard: Time::NONE,
            failed: 0,
            unanswered_ping: None,
            ping_at: Time::NONE,
        }
    }

    /// A connection begins; nothing of the one before is left.
    pub(super) fn open(&mut self, conn: u32, ping_every_ns: i64, now: Time) {
        self.close();
        (self.conn, self.opened, self.heard, self.ping_at) = (Some(conn), now, now, now.plus(ping_every_ns));
    }

    pub(super) fn close(&mut self) {
        self.conn = None;
        (self.has_ticker, self.doomed, self.is_whole) = (false, false, false);
        self.system = None;
        self.subs = [Sub::Idle; 3];
        self.book.clear();
        self.failed = 0;
        self.unanswered_ping = None;
    }

    /// The book, while it is whole.
    pub(super) fn book(&self) -> Option<&Book> {
        (self.is_whole && self.conn.is_some()).then_some(&self.book)
    }

    /// Whether the venue works, so that what it sends is the market.
    pub(super) fn is_working(&self) -> bool {
        self.system.is_some_and(|system| system != System::Maintenance)
    }

    /// The venue said what it does. From maintenance a book comes back by a fresh snapshot only.
    pub(super) fn on_status(
        &mut self,
        system: System,
        now: Time,
        requests: &mut Requests,
        out: &mut impl FnMut(&[u8]),
    ) {
        let was_working = self.is_working();
        self.system = Some(system);
        if !self.is_working() {
            self.drop_book();
        } else if !was_working {
            for (sub, stream) in self.subs.iter_mut().zip(STREAMS) {
                if *sub == Sub::Idle {
                    *sub = Sub::Asked { req_id: requests.subscribe(stream, out), at: now };
                } else if stream == StreamId::KrakenBook && matches!(*sub, Sub::Live { .. } | Sub::Asked { .. }) {
                    *sub = Sub::Leaving { req_id: requests.leave_book(out), at: now };
                }
            }
        }
    }

    /// A request was granted.
    pub(super) fn on_ack(
        &mut self,
        (method, req_id): (Method, u64),
        now: Time,
        requests: &mut Requests,
        out: &mut impl FnMut(&[u8]),
    ) {
        match method {
            Method::Subscribe => {
                if let Some((sub, _)) = self.asked(req_id) {
                    *sub = Sub::Live { at: now };
                }
            }
            Method::Unsubscribe => self.left(req_id, now, requests, out),
            Method::Ping | Method::Unsaid => self.on_pong(Some(req_id)),
        }
    }

    /// A request was refused. Output: the stream that will not come.
    pub(super) fn on_refused(
        &mut self,
        req_id: u64,
        why: Refusal,
        now: Time,
        requests: &mut Requests,
        out: &mut impl FnMut(&[u8]),
    ) -> Option<StreamId> {
        self.left(req_id, now, requests, out); // nothing to leave: gone is gone
        self.on_pong(Some(req_id)); // a refused ping is an answer
        let (sub, stream) = self.asked(req_id)?;
        *sub = match why {
            Refusal::MessageRate => Sub::Pause { until: now.plus(RATE_PAUSE_NS) },
            Refusal::AlreadySubscribed => Sub::Live { at: now }, // a book then lacks its snapshot, and that is seen
            _ => Sub::Refused,
        };
        Some(stream)
    }

    fn asked(&mut self, req_id: u64) -> Option<(&mut Sub, StreamId)> {
        let is_it = |sub: &Sub| matches!(sub, Sub::Asked { req_id: asked, .. } if *asked == req_id);
        self.subs.iter_mut().zip(STREAMS).find(|(sub, _)| is_it(sub))
    }

    /// The book was left: subscribes anew, at once the first time.
    fn left(&mut self, req_id: u64, now: Time, requests: &mut Requests, out: &mut impl FnMut(&[u8])) {
        let [book, ..] = &mut self.subs;
        if !matches!(*book, Sub::Leaving { req_id: asked, .. } if asked == req_id) {
            return;
        }
        *book = if self.failed <= 1 {
            Sub::Asked { req_id: requests.subscribe(StreamId::KrakenBook, out), at: now }
        } else {
            let pause_s = 1_i64 << (self.failed - 1).min(RESYNCS_MAX);
            Sub::Pause { until: now.plus(pause_s * NANOS_PER_SEC) }
        };
    }

    /// Our ping came back.
    pub(super) fn on_pong(&mut self, req_id: Option<u64>) {
        if self.unanswered_ping == req_id {
            self.unanswered_ping = None;
        }
    }

    /// Takes one message about the book. After [`BookNews::Lost`] call [`Feed::lose_book`].
    pub(super) fn on_book(&mut self, message: &BookMessage<'_>, recv: Time) -> BookNews {
        let [sub, ..] = self.subs;
        if !self.is_working() || !matches!(sub, Sub::Asked { .. } | Sub::Live { .. }) {
            return BookNews::None;
        }
        let BookMessage { snapshot, bids, asks, checksum, venue_time } = *message;
        let taken = match (snapshot, self.is_whole) {
            (true, _) => self.book.load(bids, asks, checksum, venue_time),
            (false, true) => self.book.apply(bids, asks, checksum, venue_time),
            (false, false) => return BookNews::None,
        };
        if let Err(fault) = taken {
            return BookNews::Lost(fault);
        }
        if !self.is_whole {
            (self.is_whole, self.whole_since) = (true, recv);
        }
        self.book_heard = recv;
        BookNews::Whole
    }

    /// The book cannot be believed: leaves it, to begin anew; after too many failures gives the connection up.
    pub(super) fn lose_book(&mut self, now: Time, requests: &mut Requests, out: &mut impl FnMut(&[u8])) {
        if self.is_whole && now.since(self.whole_since) >= SETTLED_NS {
            self.failed = 0;
        }
        self.drop_book();
        self.failed += 1;
        self.doomed |= self.failed > RESYNCS_MAX;
        if !self.doomed {
            self.leave_book(now, requests, out);
        }
    }

    fn drop_book(&mut self) {
        self.is_whole = false;
        self.book.clear();
    }

    fn leave_book(&mut self, now: Time, requests: &mut Requests, out: &mut impl FnMut(&[u8])) {
        let [book, ..] = &mut self.subs;
        if matches!(book, Sub::Asked { .. } | Sub::Live { .. }) {
            *book = Sub::Leaving { req_id: requests.leave_book(out), at: now };
        }
    }

    /// Looks at the clock: pings, asks again, gives up what was not answered. A book without news for `mute_ns`, though
    /// the venue says that it works, is asked for anew.
    pub(super) fn on_timer(
        &mut self,
        now: Time,
        (ping_every_ns, mute_ns): (i64, i64),
        requests: &mut Requests,
        out: &mut impl FnMut(&[u8]),
    ) {
        if now >= self.ping_at {
            self.doomed |= self.unanswered_ping.is_some();
            self.unanswered_ping = Some(requests.send("ping", "", out));
            self.ping_at = now.plus(ping_every_ns);
        }
        if !self.is_working() {
            return;
        }
        for (sub, stream) in self.subs.iter_mut().zip(STREAMS) {
            match *sub {
                Sub::Asked { at, .. } | Sub::Leaving { at, .. } => self.doomed |= now.since(at) >= ANSWER_NS,
                Sub::Pause { until } if now >= until => {
                    *sub = Sub::Asked { req_id: requests.subscribe(stream, out), at: now };
                }
                Sub::Live { at } if stream == StreamId::KrakenBook && !self.is_whole => {
                    self.doomed |= now.since(at) >= ANSWER_NS;
                }
                _ => {}
            }
        }
        if self.is_whole && now.since(self.book_heard) >= mute_ns {
            self.drop_book();
            self.leave_book(now, requests, out);
        }
    }
}
