//! A scripted venue: enough of Binance's streams and WebSocket API, and of Solana's slots, to make the engine trade.
//!
//! Thread: its own; it spins.  Invariants: every request is answered, an unknown one ends the run; a trigger is sent
//! only after all orders of the round before are settled, so each round begins alike.
//!
//! Two rounds. *Slot*: the book moved by more than 0.1 %, a slot comes, the resting pair is cancelled and posted anew.
//! *Entry*: a book tick brings the mid into the band, the first tranche goes out and expires unfilled.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::ServerConfig;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Time;
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

use super::peer::{Peer, listen};

/// Longest wait for an order.
const ORDER_NS_MAX: i64 = 10 * NANOS_PER_SEC;
/// For the last answers to reach the engine before the first trigger.
const READY_NS: i64 = 20 * NANOS_PER_MILLI;
/// A trigger unanswered for so long is followed by another one.
const OVERTAKEN_NS: i64 = 100 * NANOS_PER_MILLI;

/// What makes the engine send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A Solana slot, after the top of book moved: `orderList.cancel`.
    Slot,
    /// A book tick into the band: `order.place`.
    Entry,
}

impl Trigger {
    /// Name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Slot => "slot",
            Trigger::Entry => "entry",
        }
    }
    /// The order that answers it.
    fn method(self) -> &'static str {
        match self {
            Trigger::Slot => "orderList.cancel",
            Trigger::Entry => "order.place",
        }
    }
}

/// The three listening sockets, before anybody came.
pub struct Doors {
    listeners: [TcpListener; 3],
    /// Market streams, slots, WebSocket API.
    pub addrs: [SocketAddr; 3],
    tls: Option<Arc<ServerConfig>>,
}

impl Doors {
    /// Opens them.
    pub fn open(tls: Option<Arc<ServerConfig>>) -> Doors {
        let [(a, a_addr), (b, b_addr), (c, c_addr)] = [listen(), listen(), listen()];
        Doors { listeners: [a, b, c], addrs: [a_addr, b_addr, c_addr], tls }
    }

    /// Waits for the three connections.
    pub fn welcome(self, trigger: Trigger) -> Venue {
        let [market, slots, orders] = self.listeners.map(|listener| {
            let mut peer = Peer::accept(&listener, self.tls.as_ref());
            peer.upgrade();
            peer
        });
        let clock = Clock::start();
        Venue {
            trigger,
            market,
            slots,
            orders,
            clock,
            slot: 1_000,
            update: 1,
            is_high: true,
            order_id: 1_000,
            pair: None,
            buf: vec![],
        }
    }
}

/// One round as the venue saw it.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// From before the write of the trigger to after the read of the order's last byte, ns.
    pub wire_ns: i64,
    /// Bytes of the trigger's frame and of the order's, without TLS.
    pub bytes: (usize, usize),
}

/// A resting pair of exits.
struct Pair {
    list: String,
    legs: [String; 2],
    ids: [i64; 2],
    list_id: i64,
    qty: String,
}

/// The venue with its guests inside.
pub struct Venue {
    trigger: Trigger,
    market: Peer,
    slots: Peer,
    orders: Peer,
    clock: Clock,
    slot: u64,
    update: u64,
    /// Which of the two tops of book stands.
    is_high: bool,
    order_id: i64,
    pair: Option<Pair>,
    buf: Vec<u8>,
}

impl Venue {
    /// Now, on the venue's clock.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Serves until the account is subscribed, its balances told and, before slots, a pair of exits rests.
    pub fn open_session(&mut self) {
        self.slots_text();
        self.slots.flush();
        self.serve_until("myTrades"); // the last of what a session asks before it trades
        if self.trigger == Trigger::Slot {
            self.serve_until("orderList.place.oco");
        }
        let ready = self.clock.now().plus(READY_NS);
        while self.clock.now() < ready {
            self.idle();
        }
    }

    /// Makes the market ready for [`Venue::fire`]: before a slot, the top of book moves.
    pub fn prepare(&mut self) {
        if self.trigger == Trigger::Slot {
            self.quote();
        }
    }

    /// Sends the trigger, waits for its order, answers, and serves until nothing of the round is open.
    ///
    /// `None` where the trigger came too early: a slot may overtake the book, which travels by another connection, and
    /// a tick an engine that still learns its history. It is sent again then, and the round does not count.
    pub fn fire(&mut self) -> Option<Round> {
        let mut overtaken = false;
        let sent_bytes = match self.trigger {
            Trigger::Slot => self.slots_text(),
            Trigger::Entry => self.quote_text(),
        };
        let peer = if self.trigger == Trigger::Slot { &mut self.slots } else { &mut self.market };
        let sent = self.clock.now();
        peer.flush();
        let mut again_at = sent.plus(OVERTAKEN_NS);
        let read = loop {
            if self.orders.read() > 0 {
                let read = self.clock.now();
                if self.answer_all(self.trigger.method()) {
                    break read;
                }
            }
            let now = self.clock.now();
            if now >= again_at {
                (overtaken, again_at) = (true, now.plus(OVERTAKEN_NS));
                self.trigger_again();
            }
            assert!(now.since(sent) < ORDER_NS_MAX, "no {} came", self.trigger.method());
        };
        let order_bytes = self.buf.len() + 8;
        match self.trigger {
            Trigger::Slot => self.serve_until("orderList.place.oco"),
            Trigger::Entry => {
                self.slots_text();
                self.slots.flush(); // keeps the slot stream alive
            }
        }
        let round = Round { wire_ns: read.since(sent), bytes: (sent_bytes, order_bytes) };
        (!overtaken).then_some(round)
    }

    fn trigger_again(&mut self) {
        if self.trigger == Trigger::Slot {
            self.slots_text();
            self.slots.flush();
        } else {
            self.quote();
        }
    }

    /// Sends frames that were made before, over the market connection, as fast as they are taken.
    pub fn pour(&mut self, frames: &[u8]) {
        self.market.write(frames);
    }

    /// Number of a further tick, and the top of book that stands.
    pub fn tick(&mut self) -> (u64, (&'static str, &'static str)) {
        self.update += 1;
        (400_900_000 + self.update, if self.is_high { ("161.50", "161.51") } else { ("161.00", "161.01") })
    }
    /// The newest slot told.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// Answers what comes while nothing else is to do.
    pub fn idle(&mut self) {
        if self.orders.read() > 0 {
            self.answer_all("");
        }
        self.slots.read();
        while self.slots.has_bytes() && self.slots.next_text().is_some() {}
    }

    fn serve_until(&mut self, method: &str) {
        let end = self.clock.now().plus(ORDER_NS_MAX);
        while !(self.orders.read() > 0 && self.answer_all(method)) {
            assert!(self.clock.now() < end, "no {method} came");
        }
    }

    /// Moves the top of book by 0.3 %.
    fn quote(&mut self) {
        self.quote_text();
        self.market.flush();
    }
    fn quote_text(&mut self) -> usize {
        self.is_high = !self.is_high;
        let (update, (bid, ask)) = self.tick();
        let sizes = ("31.21", "40.66");
        self.market.prepare(&format!(
            r#"{{"stream":"solusdt@bookTicker","data":{{"u":{update},"s":"SOLUSDT","b":"{bid}","B":"{}","a":"{ask}","A":"{}"}}}}"#,
            sizes.0, sizes.1
        ))
    }
    fn slots_text(&mut self) -> usize {
        self.slot += 1;
        let (slot, parent, root) = (self.slot, self.slot - 1, self.slot - 32);
        self.slots.prepare(&format!(
            r#"{{"jsonrpc":"2.0","method":"slotNotification","params":{{"result":{{"parent":{parent},"root":{root},"slot":{slot}}},"subscription":7}}}}"#
        ))
    }

    /// Answers every whole request that is here. Output: whether one of them was `wanted`, left in `buf` then.
    fn answer_all(&mut self, wanted: &str) -> bool {
        let mut found = false;
        loop {
            let Some(text) = self.orders.next_text() else { return found };
            let text = String::from_utf8_lossy(text).into_owned();
            let method = text_field(&text, "method").expect("a method").to_owned();
            self.answer(&method, &text);
            if method == wanted {
                self.buf = text.into_bytes();
                found = true;
            }
        }
    }

    fn answer(&mut self, method: &str, text: &str) {
        let id = bare_field(text, "id").expect("an id").to_owned();
        let now_ms = self.clock.now().millis().0;
        let result = match method {
            "session.logon" => r#"{"apiKey":"k","authorizedSince":1,"returnRateLimits":false}"#.to_owned(),
            "userDataStream.subscribe" => r#"{"subscriptionId":0}"#.to_owned(),
            "time" => format!(r#"{{"serverTime":{now_ms}}}"#),
            "account.status" => concat!(
                r#"{"makerCommission":10,"canTrade":true,"updateTime":1,"balances":[{"asset":"USDT","free":"8400.00000000","#,
                r#""locked":"0.00000000"},{"asset":"SOL","free":"10.00000000","locked":"0.00000000"}]}"#
            )
            .to_owned(),
            "openOrders.status" => self.resting(now_ms),
            "openOrderLists.status" | "myTrades" => "[]".to_owned(),
            "orderList.place.oco" => self.take_pair(text, now_ms),
            "orderList.cancel" => self.drop_pair(now_ms),
            "order.place" => return self.expire(&id, text, now_ms),
            other => panic!("the script has no answer to {other}: {text}"),
        };
        self.orders.send(&format!(r#"{{"id":{id},"status":200,"result":{result}}}"#));
    }

    /// What rests: both legs of the pair, if there is one.
    fn resting(&self, now_ms: i64) -> String {
        let Some(pair) = &self.pair else { return "[]".to_owned() };
        let leg = |at: usize, kind: &str| {
            format!(
                r#"{{"symbol":"SOLUSDT","orderId":{},"orderListId":{},"clientOrderId":"{}","price":"170.00","origQty":"{}","executedQty":"0.00000000","status":"NEW","timeInForce":"GTC","type":"{kind}","side":"SELL","stopPrice":"0.00","updateTime":{now_ms}}}"#,
                pair.ids[at], pair.list_id, pair.legs[at], pair.qty
            )
        };
        format!("[{},{}]", leg(0, "LIMIT_MAKER"), leg(1, "STOP_LOSS"))
    }

    fn take_pair(&mut self, text: &str, now_ms: i64) -> String {
        let field = |name| text_field(text, name).expect(name).to_owned();
        self.order_id += 3;
        let pair = Pair {
            list: field("listClientOrderId"),
            legs: [field("aboveClientOrderId"), field("belowClientOrderId")],
            ids: [self.order_id, self.order_id + 1],
            list_id: self.order_id + 2,
            qty: field("quantity"),
        };
        let orders: Vec<String> = pair
            .legs
            .iter()
            .zip(pair.ids)
            .map(|(leg, id)| format!(r#"{{"symbol":"SOLUSDT","orderId":{id},"clientOrderId":"{leg}"}}"#))
            .collect();
        let answer = format!(
            r#"{{"orderListId":{},"contingencyType":"OCO","listStatusType":"EXEC_STARTED","listOrderStatus":"EXECUTING","listClientOrderId":"{}","transactionTime":{now_ms},"symbol":"SOLUSDT","orders":[{}]}}"#,
            pair.list_id,
            pair.list,
            orders.join(",")
        );
        self.pair = Some(pair);
        answer
    }

    fn drop_pair(&mut self, now_ms: i64) -> String {
        let pair = self.pair.take().expect("a pair to cancel");
        let leg = |at: usize, kind: &str| {
            format!(
                r#"{{"symbol":"SOLUSDT","origClientOrderId":"{}","orderId":{},"orderListId":{},"clientOrderId":"c","transactTime":{now_ms},"price":"170.00","origQty":"{}","executedQty":"0.00000000","status":"CANCELED","timeInForce":"GTC","type":"{kind}","side":"SELL"}}"#,
                pair.legs[at], pair.ids[at], pair.list_id, pair.qty
            )
        };
        let reports = [leg(0, "LIMIT_MAKER"), leg(1, "STOP_LOSS")].join(",");
        format!(
            r#"{{"orderListId":{},"contingencyType":"OCO","listStatusType":"ALL_DONE","listOrderStatus":"ALL_DONE","listClientOrderId":"{}","transactionTime":{now_ms},"symbol":"SOLUSDT","orders":[],"orderReports":[{reports}]}}"#,
            pair.list_id, pair.list
        )
    }

    /// Takes an IOC order, and tells that nothing of it was filled.
    fn expire(&mut self, id: &str, text: &str, now_ms: i64) {
        self.order_id += 1;
        let (number, field) = (self.order_id, |name| text_field(text, name).expect(name));
        let (client, price, qty) = (field("newClientOrderId"), field("price"), field("quantity"));
        self.orders.send(&format!(
            r#"{{"id":{id},"status":200,"result":{{"symbol":"SOLUSDT","orderId":{number},"orderListId":-1,"clientOrderId":"{client}","transactTime":{now_ms}}}}}"#
        ));
        self.orders.send(&format!(
            r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":{now_ms},"s":"SOLUSDT","c":"{client}","S":"BUY","o":"LIMIT","f":"IOC","q":"{qty}","p":"{price}","P":"0.00","F":"0.000","g":-1,"C":"","x":"EXPIRED","X":"EXPIRED","r":"NONE","i":{number},"l":"0.000","z":"0.000","L":"0.00","n":"0","N":null,"T":{now_ms},"t":-1,"I":1,"w":false,"m":false,"M":false,"O":{now_ms},"Z":"0.00","Y":"0.00","Q":"0.00"}}}}"#
        ));
    }
}

/// Value of a text field of flat JSON of ours.
fn text_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    Some(rest.split_once('"')?.0)
}

/// Value of a number field of flat JSON of ours.
fn bare_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next()
}
