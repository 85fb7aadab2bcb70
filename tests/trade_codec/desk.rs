//! A desk: the session under test, the venue's end of its wire, and the messages both sides use.

use serde_json::{Value, json};
use sol_volume_bot::types::command::{CancelList, CancelOrder, CancelReplace, NewOco, NewOrder, QueryOrder};
use sol_volume_bot::types::event::{Event, EventKind};
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::note::WireNote;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::sign::Signer;
use sol_volume_bot::venue::binance_spot::trade::{
    Bounds, FrameKind, LimitKind, RateLimit, Refusal, TradeSession, TradeSettings,
};

pub const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
pub const PKCS8: &str = "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
pub const MS: i64 = 1_000_000;
pub const START: i64 = 1_790_000_000_000 * MS;

pub fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}
pub fn qty(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).unwrap()
}
pub fn id(leg: Leg, attempt: u16) -> ClientOrderId {
    ClientOrderId { epoch: 12, signal: 3, leg, attempt }
}
pub fn entry() -> ClientOrderId {
    id(Leg::Entry(1), 1)
}
pub fn tp() -> ClientOrderId {
    id(Leg::TakeProfit(1), 1)
}
pub fn stop() -> ClientOrderId {
    id(Leg::Stop(1), 1)
}
pub fn list() -> ClientOrderId {
    id(Leg::List(1), 1)
}

pub fn solusdt() -> Instrument {
    Instrument {
        symbol: Symbol::new("SOLUSDT").unwrap(),
        base: Symbol::new("SOL").unwrap(),
        quote: Symbol::new("USDT").unwrap(),
        tick: price("0.01"),
        price_min: price("0.01"),
        price_max: price("100000"),
        lot: qty("0.001"),
        qty_min: qty("0.001"),
        qty_max: qty("90000"),
        market_qty_max: qty("5000"),
        notional_min: Notional(500_000_000),
        notional_max: Notional(900_000_000_000_000),
        orders_max: 200,
        algo_orders_max: 5,
        oco_allowed: true,
        stop_market_allowed: true,
        fee_maker: Ratio(100_000),
        fee_taker: Ratio(100_000),
    }
}

pub fn buy(qty_text: &str) -> NewOrder {
    NewOrder {
        id: entry(),
        side: Side::Buy,
        kind: OrderKind::Limit,
        tif: TimeInForce::Ioc,
        price: price("150.2"),
        qty: qty(qty_text),
        purpose: Purpose::Entry,
    }
}
pub fn oco() -> NewOco {
    NewOco {
        list: list(),
        take_profit: tp(),
        stop: stop(),
        qty: qty("1.498"),
        tp_price: price("153"),
        stop_price: price("148"),
        stop_limit: price("147.6"),
    }
}
pub fn cancel_list() -> Command {
    Command::CancelList(CancelList { list: list(), list_id: 0, take_profit: tp(), stop: stop() })
}
pub fn flatten() -> NewOrder {
    NewOrder {
        id: id(Leg::Flatten, 1),
        side: Side::Sell,
        kind: OrderKind::Market,
        price: Price::ZERO,
        purpose: Purpose::Flatten,
        ..buy("1.498")
    }
}

pub fn hmac() -> Signer {
    Signer::hmac(SECRET.to_owned()).unwrap()
}
pub fn ed25519() -> Signer {
    Signer::ed25519(PKCS8.to_owned()).unwrap()
}

/// A session, the venue's end of its wire, and what it told.
pub struct Desk {
    pub session: TradeSession,
    pub now: i64,
    pub sent: Vec<Value>,
    pub events: Vec<Event>,
    pub notes: Vec<WireNote>,
}

impl Desk {
    pub fn new(signer: Signer) -> Desk {
        Desk::with_limits(signer, vec![RateLimit { kind: LimitKind::Orders, interval_ns: 10_000 * MS, limit: 50 }])
    }
    pub fn with_limits(signer: Signer, limits: Vec<RateLimit>) -> Desk {
        Desk::with(signer, limits, 60_000 * MS)
    }
    pub fn with(signer: Signer, limits: Vec<RateLimit>, stale_after_ns: i64) -> Desk {
        let session = TradeSession::new(TradeSettings {
            instrument: solusdt(),
            api_key: "TESTKEY".to_owned(),
            signer,
            recv_window_orders_ms: 1_000,
            recv_window_queries_ms: 5_000,
            request_timeout_ns: 3_000 * MS,
            stale_after_ns,
            bounds: Bounds { order_notional_max: Notional(1_000_000_000_000), ..Bounds::default() },
            limits,
        });
        Desk { session, now: START, sent: Vec::new(), events: Vec::new(), notes: Vec::new() }
    }
    /// Connected, subscribed and resynced, with nothing left to look at.
    pub fn ready(signer: Signer) -> Desk {
        let mut desk = Desk::new(signer);
        desk.open();
        desk.settle();
        assert!(desk.session.is_ready());
        desk.forget();
        desk
    }
    pub fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
        self.notes.clear();
    }
    pub fn open(&mut self) {
        let sent = &mut self.sent;
        self.session.on_open(Time(self.now), &mut |text| sent.push(serde_json::from_slice(text).unwrap()));
    }
    pub fn down(&mut self) {
        let (events, notes) = (&mut self.events, &mut self.notes);
        self.session.on_down(Time(self.now), &mut |event| events.push(event), &mut |note| notes.push(note));
    }
    /// Answers every request of the session's own that opens a session, until there is none.
    pub fn settle(&mut self) {
        while let Some(request) = self.sent.iter().position(|sent| usual_answer(sent).is_some()) {
            let request = self.sent.remove(request);
            let mut result = usual_answer(&request).unwrap();
            if request["method"] == "time" {
                result["serverTime"] = json!(self.now / MS); // the venue's clock is ours
            }
            self.answer(&request, result);
        }
    }
    pub fn frame(&mut self, frame: &Value) -> FrameKind {
        self.raw(frame.to_string().as_bytes()).unwrap()
    }
    pub fn raw(&mut self, frame: &[u8]) -> Result<FrameKind, sol_volume_bot::venue::DecodeError> {
        let (events, notes, sent) = (&mut self.events, &mut self.notes, &mut self.sent);
        self.session.on_frame(
            frame,
            Time(self.now),
            &mut |event| events.push(event),
            &mut |note| notes.push(note),
            &mut |text| sent.push(serde_json::from_slice(text).unwrap()),
        )
    }
    pub fn answer(&mut self, request: &Value, result: Value) -> FrameKind {
        self.now += MS;
        self.frame(&json!({"id": request["id"], "status": 200, "result": result}))
    }
    pub fn refuse(&mut self, request: &Value, status: u16, code: i32, msg: &str) -> FrameKind {
        self.frame(&json!({"id": request["id"], "status": status, "error": {"code": code, "msg": msg}}))
    }
    pub fn event(&mut self, event: Value) -> FrameKind {
        self.frame(&json!({"subscriptionId": 0, "event": event}))
    }
    pub fn timer(&mut self, later_ms: i64) -> FrameKind {
        self.now += later_ms * MS;
        let (events, notes, sent) = (&mut self.events, &mut self.notes, &mut self.sent);
        self.session.on_timer(
            Time(self.now),
            &mut |event| events.push(event),
            &mut |note| notes.push(note),
            &mut |text| sent.push(serde_json::from_slice(text).unwrap()),
        )
    }
    pub fn try_send(&mut self, command: Command) -> Result<Value, Refusal> {
        let mut buf = Vec::with_capacity(1_024);
        let events = &mut self.events;
        self.session.encode(&command, Time(self.now), &mut buf, &mut |event| events.push(event))?;
        Ok(serde_json::from_slice(&buf).unwrap())
    }
    pub fn send(&mut self, command: Command) -> Value {
        self.try_send(command).unwrap()
    }
    /// The reports so far, which are then forgotten.
    pub fn reports(&mut self) -> Vec<ExecutionReport> {
        let events = std::mem::take(&mut self.events);
        let report = |event: Event| match event.kind {
            EventKind::Execution(report) => Some(report),
            _ => None,
        };
        events.into_iter().filter_map(report).collect()
    }
    pub fn kinds(&mut self) -> Vec<(ClientOrderId, ExecKind)> {
        self.reports().iter().map(|report| (report.id, report.kind)).collect()
    }
    /// The requests that the session made by itself, which are then forgotten.
    pub fn asked(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.sent)
    }
    pub fn asked_methods(&mut self) -> Vec<String> {
        self.asked().iter().map(|sent| sent["method"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn usual_answer(request: &Value) -> Option<Value> {
    Some(match request["method"].as_str()? {
        "time" => json!({"serverTime": START / MS}),
        "session.logon" => json!({"apiKey": "TESTKEY", "authorizedSince": START / MS, "serverTime": START / MS}),
        "userDataStream.subscribe" | "userDataStream.subscribe.signature" => json!({"subscriptionId": 0}),
        "account.status" => json!({"makerCommission": 10, "canTrade": true, "updateTime": START / MS, "balances": [
            {"asset": "SOL", "free": "10.00000000", "locked": "2.50000000"},
            {"asset": "BNB", "free": "1.0", "locked": "0.0"}]}),
        "openOrders.status" | "openOrderLists.status" => json!([]),
        "myTrades" if request["params"].get("fromId").is_some() => json!([]),
        _ => return None,
    })
}

/// An `executionReport` of the IOC entry, with `changes` laid over.
pub fn execution(changes: Value) -> Value {
    let mut event = json!({"e":"executionReport","E":1790000000005_i64,"s":"SOLUSDT","c":entry().to_string(),"S":"BUY",
        "o":"LIMIT","f":"IOC","q":"1.50000000","p":"150.20000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"",
        "x":"NEW","X":"NEW","r":"NONE","i":12000001,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,
        "T":1790000000004_i64,"t":-1,"I":25000123,"w":true,"m":false,"M":false,"O":1790000000003_i64,"Z":"0.00000000",
        "Y":"0.00000000","Q":"0.00000000","W":1790000000003_i64,"V":"EXPIRE_MAKER"});
    for (key, value) in changes.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}
pub fn fill(trade: i64, last: &str, cum: &str, status: &str) -> Value {
    execution(json!({"x":"TRADE","X":status,"l":last,"z":cum,"L":"150.20000000","n":"0.00050000","N":"SOL","t":trade}))
}
/// An order as queries say it.
pub fn order(name: ClientOrderId, number: i64, side: &str, status: &str, cum: &str) -> Value {
    json!({"symbol":"SOLUSDT","orderId":number,"orderListId":-1,"clientOrderId":name.to_string(),"price":"150.20000000",
        "origQty":"1.50000000","executedQty":cum,"origQuoteOrderQty":"0.00000000","cummulativeQuoteQty":"0.0","status":status,
        "timeInForce":"IOC","type":"LIMIT","side":side,"stopPrice":"0.00000000","icebergQty":"0.00000000",
        "time":1790000000000_i64,"updateTime":1790000000400_i64,"isWorking":true,"workingTime":1790000000000_i64,
        "selfTradePreventionMode":"EXPIRE_MAKER"})
}
pub fn trade(number: i64, order: i64, qty: &str) -> Value {
    json!({"symbol":"SOLUSDT","id":number,"orderId":order,"orderListId":-1,"price":"150.20000000","qty":qty,
        "quoteQty":"75.1","commission":"0.00050000","commissionAsset":"SOL","time":1790000000400_i64,"isBuyer":true,
        "isMaker":false,"isBestMatch":true})
}
pub fn ack(name: ClientOrderId, number: i64) -> Value {
    json!({"symbol":"SOLUSDT","orderId":number,"orderListId":-1,"clientOrderId":name.to_string(),
        "transactTime":1790000000003_i64})
}
/// The head of a list's answer around `reports`; the stop stands first, as at the venue.
pub fn list_answer(status: &str, reports: Value) -> Value {
    json!({"orderListId":77,"contingencyType":"OCO","listStatusType":status,"listOrderStatus":"EXECUTING",
        "listClientOrderId":list().to_string(),"transactionTime":1790000000003_i64,"symbol":"SOLUSDT",
        "orders":[{"symbol":"SOLUSDT","orderId":21,"clientOrderId":stop().to_string()},
                  {"symbol":"SOLUSDT","orderId":22,"clientOrderId":tp().to_string()}],
        "orderReports":reports})
}
pub fn canceled_leg(name: ClientOrderId, number: i64, cum: &str) -> Value {
    json!({"symbol":"SOLUSDT","origClientOrderId":name.to_string(),"orderId":number,"orderListId":77,
        "clientOrderId":"R4nd0mCancelName","transactTime":1790000000003_i64,"price":"1","origQty":"1.49800000",
        "executedQty":cum,"status":"CANCELED","timeInForce":"GTC","type":"LIMIT_MAKER","side":"SELL"})
}
/// A desk whose OCO rests.
pub fn with_oco() -> Desk {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::PlaceOco(oco()));
    let legs = json!([{"symbol":"SOLUSDT","orderId":21,"orderListId":77,"clientOrderId":stop().to_string()},
        {"symbol":"SOLUSDT","orderId":22,"orderListId":77,"clientOrderId":tp().to_string()}]);
    desk.answer(&request, list_answer("EXEC_STARTED", legs));
    desk.forget();
    desk
}

/// The sorted payload of a request, made from its parsed JSON alone.
pub fn payload(request: &Value) -> String {
    let params: std::collections::BTreeMap<String, Value> = serde_json::from_value(request["params"].clone()).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = params.iter().filter(|(name, _)| *name != "signature");
    pairs.map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join("&")
}

pub fn every_command() -> Vec<Command> {
    let maker = NewOrder { id: id(Leg::TakeProfit(2), 1), kind: OrderKind::LimitMaker, ..buy("0.05") };
    let fok = NewOrder { id: id(Leg::Entry(2), 1), tif: TimeInForce::Fok, ..buy("1.5") };
    let cancel = CancelOrder { target: entry(), venue_order_id: VenueOrderId(12_000_001) };
    vec![
        Command::Place(buy("1.5")),
        Command::Place(fok),
        Command::Place(maker),
        Command::Place(flatten()),
        Command::PlaceOco(oco()),
        Command::PlaceOco(NewOco {
            take_profit: id(Leg::TakeProfit(1), 2),
            stop: id(Leg::Stop(1), 2),
            list: id(Leg::List(1), 2),
            stop_limit: Price::ZERO,
            ..oco()
        }),
        Command::Cancel(cancel),
        Command::Cancel(CancelOrder { venue_order_id: VenueOrderId(0), ..cancel }),
        cancel_list(),
        Command::CancelReplace(CancelReplace { cancel, new: NewOrder { id: id(Leg::Flatten, 2), ..flatten() } }),
        Command::CancelAll,
        Command::Query(QueryOrder { target: entry(), venue_order_id: VenueOrderId(0) }),
        Command::Query(QueryOrder { target: list(), venue_order_id: VenueOrderId(0) }),
    ]
}
