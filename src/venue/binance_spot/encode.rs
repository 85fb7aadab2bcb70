//! Request texts of the WebSocket API, written straight into the caller's buffer.
//!
//! Thread: any.  Invariants: parameters are written in the order of their names, so the text that is sent and the
//! payload that is signed are made in one pass; decimals are strings with exactly the symbol's digits; with a buffer
//! of [`REQUEST_BYTES_MAX`] nothing allocates.
//!
//! Orders ask for `newOrderRespType: ACK`: the smallest and earliest answer. Fills are told once, by the account's
//! events; the session asks for what an event should have told and did not.

use super::resync::TRADES_PER_PAGE;
use super::sign::{SIGNATURE_TEXT_BYTES, Signer};
use crate::types::command::{NewOco, NewOrder};
use crate::types::{ClientOrderId, Instrument, Millis, OrderKind, Price, Qty, Side, TimeInForce, VenueOrderId};

/// Longest request text: an OCO with a long key and a signature needs about 700.
pub const REQUEST_BYTES_MAX: usize = 1_024;

/// What changes with every request.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Comes back in the answer.
    pub request_id: u64,
    /// The venue's time now.
    pub timestamp: Millis,
    /// After `session.logon`: neither key nor signature is sent.
    pub logged_on: bool,
    /// How much earlier than it is the request says that it is, with a receive window longer by twice that: for what
    /// must arrive although our idea of the venue's clock is poor.
    pub slack_ms: u32,
}

/// How an order, a list or the trades of an order are named to the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its number: the fast way.
    Number(i64),
    /// By the name we gave it.
    Name(ClientOrderId),
}

impl Target {
    /// By number if one is known, else by name.
    pub fn of(number: i64, name: ClientOrderId) -> Target {
        if number > 0 { Target::Number(number) } else { Target::Name(name) }
    }
    /// The same for an order.
    pub fn order(number: VenueOrderId, name: ClientOrderId) -> Target {
        Target::of(number.0, name)
    }
}

/// Writes requests of one symbol and one key.
#[derive(Debug)]
pub struct Encoder {
    instrument: Instrument,
    price_decimals: u32,
    qty_decimals: u32,
    api_key: String,
    signer: Signer,
    recv_window_orders_ms: u32,
    recv_window_queries_ms: u32,
    payload: Vec<u8>,
}

/// Digits after the point that a grid of `step`, in units of `10^-scale`, needs.
fn decimals_of(mut step: i64, scale: u32) -> u32 {
    let mut decimals = scale;
    while decimals > 0 && step > 0 && step % 10 == 0 {
        step /= 10;
        decimals -= 1;
    }
    decimals
}

impl Encoder {
    /// Ready to write; the payload buffer is taken here.
    pub fn new(instrument: Instrument, api_key: String, signer: Signer, windows_ms: (u32, u32)) -> Self {
        Self {
            price_decimals: decimals_of(instrument.tick.0, 8),
            qty_decimals: decimals_of(instrument.lot.0, 9),
            instrument,
            api_key,
            signer,
            recv_window_orders_ms: windows_ms.0,
            recv_window_queries_ms: windows_ms.1,
            payload: Vec::with_capacity(REQUEST_BYTES_MAX),
        }
    }

    /// Whether this key can log a session on.
    pub fn can_log_on(&self) -> bool {
        self.signer.can_log_on()
    }

    /// `time`: the venue's clock.
    pub fn time(&mut self, head: Head, buf: &mut Vec<u8>) {
        self.bare(head, "time", buf);
    }

    /// `ping`.
    pub fn ping(&mut self, head: Head, buf: &mut Vec<u8>) {
        self.bare(head, "ping", buf);
    }

    /// `session.logon`; always signed.
    pub fn logon(&mut self, head: Head, buf: &mut Vec<u8>) {
        let signed = Head { logged_on: false, ..head };
        let mut params = self.open(signed, "session.logon", buf);
        params.key();
        params.close(Window::Query);
    }

    /// `userDataStream.subscribe` on a session that is logged on, else `userDataStream.subscribe.signature`.
    pub fn subscribe(&mut self, head: Head, buf: &mut Vec<u8>) {
        if head.logged_on {
            return self.bare(head, "userDataStream.subscribe", buf);
        }
        let mut params = self.open(head, "userDataStream.subscribe.signature", buf);
        params.key();
        params.close(Window::Query);
    }

    /// `order.place`.
    pub fn place(&mut self, head: Head, order: &NewOrder, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "order.place", buf);
        params.key();
        params.order(order);
    }

    /// `order.cancelReplace`, in the mode that sends nothing if the cancel failed; and it fails for an order that began to
    /// fill, because the new one was sized by an order that stood whole.
    pub fn cancel_replace(&mut self, head: Head, target: Target, new: &NewOrder, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "order.cancelReplace", buf);
        params.key();
        params.target(target, "cancelOrderId", "cancelOrigClientOrderId");
        params.text("cancelReplaceMode", b"STOP_ON_FAILURE");
        params.text("cancelRestrictions", b"ONLY_NEW");
        params.order(new);
    }

    /// `orderList.place.oco`, always a sale: limit maker above, stop below.
    pub fn place_oco(&mut self, head: Head, oco: &NewOco, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "orderList.place.oco", buf);
        params.text("aboveClientOrderId", &oco.take_profit.text());
        params.price("abovePrice", oco.tp_price);
        params.text("aboveType", b"LIMIT_MAKER");
        params.key();
        params.text("belowClientOrderId", &oco.stop.text());
        let limited = oco.stop_limit > Price::ZERO;
        if limited {
            params.price("belowPrice", oco.stop_limit);
        }
        params.price("belowStopPrice", oco.stop_price);
        if limited {
            params.text("belowTimeInForce", b"GTC");
        }
        params.text("belowType", if limited { b"STOP_LOSS_LIMIT" } else { b"STOP_LOSS" });
        params.text("listClientOrderId", &oco.list.text());
        params.text("newOrderRespType", b"ACK");
        params.qty("quantity", oco.qty);
        params.recv_window(Window::Order);
        params.text("side", b"SELL");
        params.symbol();
        params.end();
    }

    /// `order.cancel`. No `newClientOrderId`: the event then says `C` = our name.
    pub fn cancel(&mut self, head: Head, target: Target, buf: &mut Vec<u8>) {
        self.targeted(head, "order.cancel", target, Window::Order, buf);
    }

    /// `order.status`.
    pub fn order_status(&mut self, head: Head, target: Target, buf: &mut Vec<u8>) {
        self.targeted(head, "order.status", target, Window::Query, buf);
    }

    /// `orderList.cancel`: both legs.
    pub fn cancel_list(&mut self, head: Head, target: Target, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "orderList.cancel", buf);
        params.key();
        params.target(target, "orderListId", "listClientOrderId");
        params.recv_window(Window::Order);
        params.symbol();
        params.end();
    }

    /// `orderList.status`.
    pub fn list_status(&mut self, head: Head, target: Target, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "orderList.status", buf);
        params.key();
        params.target(target, "orderListId", "origClientOrderId");
        params.close(Window::Query);
    }

    /// `openOrders.cancelAll` of the symbol.
    pub fn cancel_all(&mut self, head: Head, buf: &mut Vec<u8>) {
        self.symbol_only(head, "openOrders.cancelAll", Window::Order, buf);
    }

    /// `openOrders.status` of the symbol.
    pub fn open_orders(&mut self, head: Head, buf: &mut Vec<u8>) {
        self.symbol_only(head, "openOrders.status", Window::Query, buf);
    }

    /// `openOrderLists.status` of the account.
    pub fn open_lists(&mut self, head: Head, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "openOrderLists.status", buf);
        params.key();
        params.close(Window::Query);
    }

    /// `myTrades` of the symbol from trade number `from` on.
    pub fn trades_from(&mut self, head: Head, from: i64, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "myTrades", buf);
        params.key();
        params.number("fromId", from);
        params.number("limit", i64::from(TRADES_PER_PAGE));
        params.recv_window(Window::Query);
        params.symbol();
        params.end();
    }

    /// `account.status` without zero balances.
    pub fn account(&mut self, head: Head, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "account.status", buf);
        params.key();
        params.bare("omitZeroBalances", b"true");
        params.close(Window::Query);
    }

    /// `myTrades` of one order, by its number.
    pub fn trades(&mut self, head: Head, order: VenueOrderId, buf: &mut Vec<u8>) {
        let mut params = self.open(head, "myTrades", buf);
        params.key();
        params.number("limit", 1_000);
        params.number("orderId", order.0);
        params.recv_window(Window::Query);
        params.symbol();
        params.end();
    }

    fn targeted(&mut self, head: Head, method: &str, target: Target, window: Window, buf: &mut Vec<u8>) {
        let mut params = self.open(head, method, buf);
        params.key();
        params.target(target, "orderId", "origClientOrderId");
        params.recv_window(window);
        params.symbol();
        params.end();
    }

    fn symbol_only(&mut self, head: Head, method: &str, window: Window, buf: &mut Vec<u8>) {
        let mut params = self.open(head, method, buf);
        params.key();
        params.recv_window(window);
        params.symbol();
        params.end();
    }

    fn bare(&mut self, head: Head, method: &str, buf: &mut Vec<u8>) {
        start(buf, head.request_id, method);
        buf.push(b'}');
    }

    fn open<'a>(&'a mut self, head: Head, method: &str, buf: &'a mut Vec<u8>) -> Params<'a> {
        start(buf, head.request_id, method);
        buf.extend_from_slice(b",\"params\":{");
        self.payload.clear();
        Params {
            buf,
            payload: &mut self.payload,
            signer: (!head.logged_on).then_some(&self.signer),
            api_key: &self.api_key,
            instrument: &self.instrument,
            decimals: (self.price_decimals, self.qty_decimals),
            windows_ms: (
                self.recv_window_orders_ms.saturating_add(2 * head.slack_ms),
                self.recv_window_queries_ms.saturating_add(2 * head.slack_ms),
            ),
            timestamp: Millis(head.timestamp.0.saturating_sub(i64::from(head.slack_ms))),
            first: true,
        }
    }
}

fn start(buf: &mut Vec<u8>, request_id: u64, method: &str) {
    buf.clear();
    buf.extend_from_slice(b"{\"id\":");
    put_fixed(buf, request_id, 0, 0);
    buf.extend_from_slice(b",\"method\":\"");
    buf.extend_from_slice(method.as_bytes());
    buf.push(b'"');
}

/// Which receive window a request gets.
#[derive(Clone, Copy)]
enum Window {
    Order,
    Query,
}

/// The parameters of one request, written once as JSON and once as the payload to sign.
struct Params<'a> {
    buf: &'a mut Vec<u8>,
    payload: &'a mut Vec<u8>,
    signer: Option<&'a Signer>,
    api_key: &'a str,
    instrument: &'a Instrument,
    decimals: (u32, u32),
    windows_ms: (u32, u32),
    timestamp: Millis,
    first: bool,
}

impl Params<'_> {
    /// One parameter; `quote` says whether its JSON value is a string. Signed text and JSON text are the same bytes.
    fn put(&mut self, name: &str, quote: bool, value: impl Fn(&mut Vec<u8>)) {
        if !self.first {
            self.buf.push(b',');
        }
        self.buf.push(b'"');
        self.buf.extend_from_slice(name.as_bytes());
        self.buf.extend_from_slice(if quote { b"\":\"" } else { b"\":" });
        value(self.buf);
        if quote {
            self.buf.push(b'"');
        }
        if self.signer.is_some() {
            if !self.first {
                self.payload.push(b'&');
            }
            self.payload.extend_from_slice(name.as_bytes());
            self.payload.push(b'=');
            value(self.payload);
        }
        self.first = false;
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.put(name, true, |out| out.extend_from_slice(value));
    }
    fn bare(&mut self, name: &str, value: &[u8]) {
        self.put(name, false, |out| out.extend_from_slice(value));
    }
    fn number(&mut self, name: &str, value: i64) {
        self.put(name, false, |out| put_fixed(out, value.unsigned_abs(), 0, 0));
    }
    fn price(&mut self, name: &str, price: Price) {
        let keep = self.decimals.0;
        self.put(name, true, |out| put_fixed(out, price.0.unsigned_abs(), 8, keep));
    }
    fn qty(&mut self, name: &str, qty: Qty) {
        let keep = self.decimals.1;
        self.put(name, true, |out| put_fixed(out, qty.0.unsigned_abs(), 9, keep));
    }
    fn symbol(&mut self) {
        let symbol = self.instrument.symbol;
        self.text("symbol", symbol.as_bytes());
    }
    fn key(&mut self) {
        if self.signer.is_some() {
            self.text("apiKey", self.api_key.as_bytes());
        }
    }
    fn target(&mut self, target: Target, number: &str, name: &str) {
        match target {
            Target::Number(value) => self.number(number, value),
            Target::Name(id) => self.text(name, &id.text()),
        }
    }
    fn recv_window(&mut self, window: Window) {
        let window_ms = match window {
            Window::Order => self.windows_ms.0,
            Window::Query => self.windows_ms.1,
        };
        self.number("recvWindow", i64::from(window_ms));
    }

    /// From `newClientOrderId` to `type`: the tail that `order.place` and `order.cancelReplace` share.
    fn order(mut self, order: &NewOrder) {
        let limited = order.kind != OrderKind::Market;
        self.text("newClientOrderId", &order.id.text());
        self.text("newOrderRespType", b"ACK");
        if limited {
            self.price("price", order.price);
        }
        self.qty("quantity", order.qty);
        self.recv_window(Window::Order);
        self.text("side", side_text(order.side));
        self.symbol();
        if order.kind == OrderKind::Limit {
            self.text("timeInForce", tif_text(order.tif));
        }
        self.number("timestamp", self.timestamp.0);
        self.text("type", kind_text(order.kind));
        self.sign();
    }

    /// `recvWindow`, `timestamp` and the end.
    fn close(mut self, window: Window) {
        self.recv_window(window);
        self.end();
    }

    /// `timestamp` and the end.
    fn end(mut self) {
        self.number("timestamp", self.timestamp.0);
        self.sign();
    }

    fn sign(self) {
        if let Some(signer) = self.signer {
            self.buf.extend_from_slice(b",\"signature\":\"");
            self.buf.extend_from_slice(signer.sign(self.payload).as_bytes());
            self.buf.push(b'"');
        }
        self.buf.extend_from_slice(b"}}");
    }
}

fn side_text(side: Side) -> &'static [u8] {
    match side {
        Side::Buy => b"BUY",
        Side::Sell => b"SELL",
    }
}

fn tif_text(tif: TimeInForce) -> &'static [u8] {
    match tif {
        TimeInForce::Gtc => b"GTC",
        TimeInForce::Ioc => b"IOC",
        TimeInForce::Fok => b"FOK",
    }
}

fn kind_text(kind: OrderKind) -> &'static [u8] {
    match kind {
        OrderKind::Limit => b"LIMIT",
        OrderKind::LimitMaker => b"LIMIT_MAKER",
        OrderKind::Market => b"MARKET",
        OrderKind::StopLoss => b"STOP_LOSS",
        OrderKind::StopLossLimit => b"STOP_LOSS_LIMIT",
    }
}

/// Writes `value`, an integer of `scale` decimals, with `keep` of them (the rest are zeros: it is on the grid).
fn put_fixed(out: &mut Vec<u8>, value: u64, scale: u32, keep: u32) {
    let mut digits = [b'0'; 20];
    let mut rest = value / 10_u64.pow(scale.saturating_sub(keep));
    let mut used = 0_usize;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 && used > keep as usize {
            break;
        }
    }
    let point = digits.len().saturating_sub(keep as usize);
    out.extend_from_slice(digits.get(digits.len() - used..point).unwrap_or_default());
    if keep > 0 {
        out.push(b'.');
        out.extend_from_slice(digits.get(point..).unwrap_or_default());
    }
}

const _: () = assert!(REQUEST_BYTES_MAX > 700 + SIGNATURE_TEXT_BYTES);
