//! The guard's own connection to the venue's WebSocket API, open and proven before it is needed.
//!
//! Thread: main.  Invariants: every request is signed by itself, so an open socket is all a cancel needs; an answer is
//! known by its request's number; a request that was lost with its connection is never taken for refused.

use crate::sys::clock::Clock;
use crate::sys::net::{ConnId, DownReason, FrameVerdict, Link, LinkConfig, LinkHandler, Net, Outbox, Target};
use crate::sys::poller::Poller;
use crate::types::command::NewOrder;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{ClientOrderId, Instrument, Millis, Qty, Side, Time};
use crate::venue::binance_spot::clock::VenueClock;
use crate::venue::binance_spot::encode::{self, Encoder, Head, REQUEST_BYTES_MAX};
use crate::venue::binance_spot::messages::venue_time;
use crate::venue::binance_spot::sign::Signer;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_NS_MAX: i64 = 1_500 * NANOS_PER_MILLI;
/// How late a request may reach the matching engine, ms: all that is sent may be sent twice without harm but the sale,
/// which is asked about by name.
const RECV_WINDOW_MS: u32 = 5_000;
/// Answers kept that nobody asked for any more.
const INBOX_MAX: usize = 256;
/// Request numbers of the two that are sent without being waited for.
const HELLO: u64 = 1;
const FIRST: u64 = 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No connection.
    #[error("not connected to the venue")]
    NotOpen,
    /// Sent, but nothing came back.
    #[error("the venue did not answer {0} in time")]
    Silent(&'static str),
    /// The venue said no.
    #[error("the venue refused {what}: {msg} (code {code})")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its code.
        code: i32,
        /// Its text.
        msg: String,
    },
    /// Not the answer that belongs there.
    #[error("the venue's answer to {what} is not as documented: {why}")]
    Shape {
        /// What was asked.
        what: &'static str,
        /// What the parser found.
        why: String,
    },
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    status: u16,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorBody>,
    #[serde(default)]
    event: Option<EventBody>,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: i32,
    #[serde(default)]
    msg: String,
}

#[derive(Deserialize)]
struct EventBody {
    #[serde(default, rename = "e")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeBody {
    server_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderBody {
    client_order_id: String,
    #[serde(default)]
    status: String,
    side: String,
    orig_qty: String,
    executed_qty: String,
    #[serde(default)]
    stop_price: String,
}

#[derive(Deserialize)]
struct AccountBody {
    balances: Vec<BalanceBody>,
}

#[derive(Deserialize)]
struct BalanceBody {
    asset: String,
    free: String,
}

/// An order of ours as the venue tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurOrder {
    /// Our name of it.
    pub id: ClientOrderId,
    /// Which way.
    pub side: Side,
    /// Not filled yet.
    pub leaves: Qty,
    /// Filled so far.
    pub cum_qty: Qty,
    /// Whether it is a stop.
    pub is_stop: bool,
    /// Whether it may still execute.
    pub is_live: bool,
}

impl OrderBody {
    /// `None` for an order that is not ours.
    fn ours(self) -> Result<Option<OurOrder>, String> {
        let Some(id) = ClientOrderId::parse(self.client_order_id.as_bytes()) else { return Ok(None) };
        let qty = |name: &str, text: &str| Qty::parse(text.as_bytes()).map_err(|why| format!("{name}: {why}"));
        let cum_qty = qty("executedQty", &self.executed_qty)?;
        let side = match self.side.as_str() {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            other => return Err(format!("side {other:?}")),
        };
        let is_live = matches!(self.status.as_str(), "NEW" | "PARTIALLY_FILLED" | "PENDING_NEW" | "");
        let leaves = Qty(qty("origQty", &self.orig_qty)?.0.saturating_sub(cum_qty.0));
        let is_stop = self.stop_price.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        Ok(Some(OurOrder { id, side, leaves, cum_qty, is_stop, is_live }))
    }
}

/// What the link talks to.
struct Inbox {
    hello: Vec<u8>,
    frames: VecDeque<(u64, Vec<u8>, Time)>,
    opened: u64,
}

impl LinkHandler for Inbox {
    fn on_open(&mut self, _: ConnId, _: Time, out: &mut Outbox<'_>) {
        self.opened += 1;
        if let Err(why) = out.text(&self.hello) {
            log::warn!("the first question was not written: {why}");
        }
    }
    fn on_frame(&mut self, _: ConnId, frame: &[u8], recv: Time, _: &mut Outbox<'_>) -> FrameVerdict {
        let Ok(found) = serde_json::from_slice::<Frame<'_>>(frame) else { return FrameVerdict::Control };
        if found.event.is_some_and(|event| event.kind == "serverShutdown") {
            return FrameVerdict::Shutdown;
        }
        let Some(id) = found.id else { return FrameVerdict::Control };
        if self.frames.len() >= INBOX_MAX {
            self.frames.pop_front(); // nobody waits for it any more
        }
        self.frames.push_back((id, frame.to_vec(), recv));
        FrameVerdict::Data
    }
    fn on_down(&mut self, _: ConnId, reason: &DownReason, _: Time) {
        log::warn!("the guard's connection ended: {reason}");
    }
}

/// The connection.
pub struct Wire {
    link: Link,
    inbox: Inbox,
    poller: Poller,
    encoder: Encoder,
    instrument: Instrument,
    venue_clock: VenueClock,
    clock: Clock,
    next_id: u64,
    /// Number and time of the clock question under way.
    clock_asked: Option<(u64, Time)>,
    buf: Vec<u8>,
}

impl Wire {
    /// Not connected yet; `offset_ns` is the venue's clock minus ours.
    pub fn open(
        config: LinkConfig,
        net: Net,
        instrument: Instrument,
        (api_key, signer): (String, Signer),
        offset_ns: i64,
    ) -> io::Result<Wire> {
        let clock = net.clock;
        let poller = Poller::new()?;
        let mut link = Link::new(config, net);
        link.register(&poller.registry()?, 0)?;
        let mut encoder = Encoder::new(instrument, api_key, signer, (RECV_WINDOW_MS, RECV_WINDOW_MS));
        let mut hello = Vec::new();
        encoder.time(Head { request_id: HELLO, timestamp: Millis(0), slack_ms: 0, logged_on: false }, &mut hello);
        let mut venue_clock = VenueClock::default();
        venue_clock.set_offset(offset_ns);
        let inbox = Inbox { hello, frames: VecDeque::new(), opened: 0 };
        let buf = Vec::with_capacity(REQUEST_BYTES_MAX);
        Ok(Wire {
            link,
            inbox,
            poller,
            encoder,
            instrument,
            venue_clock,
            clock,
            next_id: FIRST,
            clock_asked: None,
            buf,
        })
    }

    /// Whether a connection serves.
    pub fn is_open(&self) -> bool {
        self.link.current().is_some()
    }
    /// Connections so far.
    pub fn opened(&self) -> u64 {
        self.inbox.opened
    }

    /// Reads what is there, keeps the clock; sleeps until `until` if there was nothing.
    pub fn turn(&mut self, until: Time) {
        let now = self.clock.now();
        let work = self.link.turn(now, &mut self.inbox);
        self.keep_time(now);
        if work == 0 {
            let until = until.min(self.link.next_deadline());
            self.poller.sleep(Duration::from_nanos(until.since(self.clock.now()).max(0).unsigned_abs()));
        }
    }

    fn keep_time(&mut self, now: Time) {
        if let Some((id, sent)) = self.clock_asked {
            match self.take(id) {
                Some((frame, recv)) => {
                    self.clock_asked = None;
                    let body = result_of::<TimeBody>("time", &frame);
                    let more = body.is_ok_and(|body| self.venue_clock.sample(venue_time(body.server_time), sent, recv));
                    if more {
                        self.ask_time(now);
                    }
                }
                None if now.since(sent) > ANSWER_NS_MAX => self.clock_asked = None,
                None => {}
            }
        } else if self.is_open() && self.venue_clock.begin_round(now) {
            self.ask_time(now);
        }
    }

    fn ask_time(&mut self, now: Time) {
        let asked = self.send(|encoder, head, buf| encoder.time(head, buf));
        self.clock_asked = asked.ok().map(|id| (id, now));
    }

    fn send(&mut self, encode: impl FnOnce(&mut Encoder, Head, &mut Vec<u8>)) -> Result<u64, WireError> {
        let id = self.next_id;
        self.next_id += 1;
        let timestamp = self.venue_clock.timestamp(self.clock.now());
        encode(&mut self.encoder, Head { request_id: id, timestamp, slack_ms: 0, logged_on: false }, &mut self.buf);
        match self.link.send(Target::Current, &self.buf) {
            Ok(_) => Ok(id),
            Err(why) if why.nothing_left() => Err(WireError::NotOpen),
            Err(_) => Ok(id), // it may have left: an answer may come, or silence
        }
    }

    fn take(&mut self, id: u64) -> Option<(Vec<u8>, Time)> {
        let at = self.inbox.frames.iter().position(|(found, ..)| *found == id)?;
        self.inbox.frames.remove(at).map(|(_, frame, recv)| (frame, recv))
    }

    fn wait(&mut self, id: u64, what: &'static str) -> Result<Vec<u8>, WireError> {
        let until = self.clock.now().plus(ANSWER_NS_MAX);
        loop {
            if let Some((frame, _)) = self.take(id) {
                return Ok(frame);
            }
            if self.clock.now() >= until {
                return Err(WireError::Silent(what));
            }
            self.turn(until);
        }
    }

    /// Drops a connection that does not answer and dials afresh; waits until one is open, at most `patience_ns`.
    pub fn reconnect(&mut self, patience_ns: i64) {
        if self.is_open() {
            self.link.reset(self.clock.now(), &mut self.inbox);
        }
        let until = self.clock.now().plus(patience_ns);
        while !self.is_open() && self.clock.now() < until {
            self.turn(until);
        }
    }

    /// Asks for the open orders without waiting; [`Wire::told`] brings them.
    pub fn begin_open_orders(&mut self) -> Result<u64, WireError> {
        self.send(|encoder, head, buf| encoder.open_orders(head, buf))
    }
    /// The answer to [`Wire::begin_open_orders`], once it is there.
    pub fn told(&mut self, id: u64) -> Option<Result<Vec<OurOrder>, WireError>> {
        self.take(id).map(|(frame, _)| our_orders(&frame))
    }
    /// Every order of ours that rests, in whichever run it was placed.
    pub fn open_orders(&mut self) -> Result<Vec<OurOrder>, WireError> {
        let id = self.begin_open_orders()?;
        self.wait(id, OPEN_ORDERS).and_then(|frame| our_orders(&frame))
    }

    /// Sends one cancel without waiting. Output: its number, for [`Wire::canceled`].
    pub fn begin_cancel(&mut self, order: ClientOrderId) -> Result<u64, WireError> {
        self.send(|encoder, head, buf| encoder.cancel(head, encode::Target::Name(order), buf))
    }
    /// Waits for the answer of a cancel: true if it cancelled, false if there was nothing to cancel any more.
    pub fn canceled(&mut self, id: u64) -> Result<bool, WireError> {
        const GONE: i32 = -2011;
        let frame = self.wait(id, "order.cancel")?;
        match result_of::<serde::de::IgnoredAny>("order.cancel", &frame) {
            Ok(_) => Ok(true),
            Err(WireError::Refused { code: GONE, .. }) => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Coins that no order locks.
    pub fn free_coins(&mut self) -> Result<Qty, WireError> {
        const WHAT: &str = "account.status";
        let id = self.send(|encoder, head, buf| encoder.account(head, buf))?;
        let frame = self.wait(id, WHAT)?;
        let account: AccountBody = result_of(WHAT, &frame)?;
        let base = self.instrument.base;
        let own = account.balances.iter().find(|balance| balance.asset == base.as_str());
        let free = own.map_or(Ok(Qty::ZERO), |balance| Qty::parse(balance.free.as_bytes()));
        free.map_err(|why| WireError::Shape { what: WHAT, why: why.to_string() })
    }

    /// Sends an order. Errors: refused for certain, or nobody knows (ask by name).
    pub fn place(&mut self, order: &NewOrder) -> Result<(), WireError> {
        let id = self.send(|encoder, head, buf| encoder.place(head, order, buf))?;
        let frame = self.wait(id, "order.place")?;
        result_of::<serde::de::IgnoredAny>("order.place", &frame).map(drop)
    }

    /// One of our orders, live or not; `None` if the venue never heard of it.
    pub fn order(&mut self, order: ClientOrderId) -> Result<Option<OurOrder>, WireError> {
        const WHAT: &str = "order.status";
        const NO_SUCH_ORDER: i32 = -2013;
        let id = self.send(|encoder, head, buf| encoder.order_status(head, encode::Target::Name(order), buf))?;
        let frame = self.wait(id, WHAT)?;
        match result_of::<OrderBody>(WHAT, &frame) {
            Ok(body) => body.ours().map_err(|why| WireError::Shape { what: WHAT, why }),
            Err(WireError::Refused { code: NO_SUCH_ORDER, .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Closes it.
    pub fn close(mut self) {
        self.link.stop(self.clock.now(), &mut self.inbox);
    }
}

const OPEN_ORDERS: &str = "openOrders.status";

fn our_orders(frame: &[u8]) -> Result<Vec<OurOrder>, WireError> {
    let bodies: Vec<OrderBody> = result_of(OPEN_ORDERS, frame)?;
    let ours: Result<Vec<Option<OurOrder>>, String> = bodies.into_iter().map(OrderBody::ours).collect();
    let ours = ours.map_err(|why| WireError::Shape { what: OPEN_ORDERS, why })?;
    Ok(ours.into_iter().flatten().collect())
}

fn result_of<'a, T: Deserialize<'a>>(what: &'static str, frame: &'a [u8]) -> Result<T, WireError> {
    let shape = |why: &dyn std::fmt::Display| WireError::Shape { what, why: why.to_string() };
    let found: Frame<'a> = serde_json::from_slice(frame).map_err(|why| shape(&why))?;
    if let Some(error) = found.error {
        return Err(WireError::Refused { what, code: error.code, msg: error.msg });
    }
    let result = found.result.filter(|_| found.status == 200).ok_or_else(|| shape(&"no result"))?;
    serde_json::from_str(result.get()).map_err(|why| shape(&why))
}

/// How a link to the WebSocket API is configured: as the engine's, but a dead one is noticed sooner.
pub fn link_config(endpoint: crate::sys::net::Endpoint) -> LinkConfig {
    let mut config = LinkConfig::new(endpoint);
    config.silence_timeout_ns = 20 * NANOS_PER_SEC;
    config
}
