//! A small desk to trade from: one venue, one rich account, short words for orders and for what came back.
//!
//! Thread: the test's.  Invariants: every call is followed by `conserved()`; nothing here decides what is right.

use sol_volume_bot::sim::exchange::*;
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::order::{Side, TimeInForce};
use sol_volume_bot::types::time::{Millis, Time};
use sol_volume_bot::types::units::{Price, Qty};

pub const START: Time = Time(1_790_000_000_000 * 1_000_000);

pub fn symbol(text: &str) -> Symbol {
    Symbol::new(text).expect("a valid symbol")
}
pub fn px(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}
pub fn sol(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).expect("a size")
}
pub fn money(text: &str) -> Amount {
    Amount(Price::parse(text.as_bytes()).expect("an amount").0)
}

/// One venue with quotes 160.90 to 161.10 and one account with 100 SOL and 100 000 USDT.
pub struct Desk {
    pub venue: Exchange,
    pub me: AccountId,
    pub now: Time,
    pub sol: Symbol,
}

impl Desk {
    pub fn new() -> Desk {
        Desk::with(ExchangeSettings::solusdt(START))
    }
    pub fn with(settings: ExchangeSettings) -> Desk {
        let mut venue = Exchange::new(settings).expect("a sound spec");
        let me = venue.open_account();
        let mut desk = Desk { venue, me, now: START, sol: symbol("SOLUSDT") };
        assert!(desk.venue.deposit(me, symbol("SOL"), money("100"), START));
        assert!(desk.venue.deposit(me, symbol("USDT"), money("100000"), START));
        for cents in 1..=10 {
            desk.house(Side::Buy, Price(16_100_000_000 - cents * 1_000_000), sol("10"));
            desk.house(Side::Sell, Price(16_100_000_000 + cents * 1_000_000), sol("10"));
        }
        desk.news();
        desk
    }
    pub fn check(&self) {
        assert_eq!(self.venue.conserved(), Ok(()));
    }
    pub fn wait(&mut self, ms: i64) {
        self.now = self.now.plus(Millis(ms).nanos());
        self.venue.advance(self.now);
    }
    pub fn house(&mut self, side: Side, price: Price, qty: Qty) {
        self.venue.house_place(self.sol, side, price, qty, self.now);
        self.check();
    }
    /// The house trades `qty` down or up to `limit`.
    pub fn hit(&mut self, side: Side, limit: &str, qty: &str) {
        self.venue.house_take(self.sol, side, px(limit), sol(qty), self.now);
        self.check();
    }
    pub fn place(&mut self, request: &OrderRequest) -> Result<Placed, Reject> {
        let placed = self.venue.place(self.me, request, self.now);
        self.check();
        placed
    }
    pub fn oco(&mut self, request: &OcoRequest) -> Result<ListReport, Reject> {
        let placed = self.venue.place_oco(self.me, request, self.now);
        self.check();
        placed
    }
    pub fn cancel(&mut self, target: OrderRef) -> Result<Canceled, Reject> {
        let request = CancelRequest { symbol: self.sol, target, new_client_id: Some("gone-1".into()), only: None };
        let done = self.venue.cancel(self.me, &request, self.now);
        self.check();
        done
    }
    pub fn limit(&self, side: Side, price: &str, qty: &str) -> OrderRequest {
        OrderRequest::limit(self.sol, side, px(price), sol(qty))
    }
    pub fn tif(&self, side: Side, tif: TimeInForce, price: &str, qty: &str) -> OrderRequest {
        OrderRequest { tif: Some(tif), ..self.limit(side, price, qty) }
    }
    pub fn stop(&self, side: Side, stop: &str, qty: &str) -> OrderRequest {
        let market = OrderRequest::market(self.sol, side, sol(qty));
        OrderRequest { kind: OrderType::StopLoss, stop_price: Some(px(stop)), ..market }
    }
    /// SELL OCO: limit maker above, stop-limit or (without a limit) stop-market below.
    pub fn sell_oco(&self, qty: &str, tp: &str, stop: &str, stop_limit: Option<&str>) -> OcoRequest {
        let above = LegRequest {
            kind: OrderType::LimitMaker,
            price: Some(px(tp)),
            stop_price: None,
            tif: None,
            client_id: Some("tp".into()),
        };
        let below = LegRequest {
            kind: if stop_limit.is_some() { OrderType::StopLossLimit } else { OrderType::StopLoss },
            price: stop_limit.map(px),
            stop_price: Some(px(stop)),
            tif: stop_limit.map(|_| TimeInForce::Gtc),
            client_id: Some("sl".into()),
        };
        OcoRequest {
            symbol: self.sol,
            side: Side::Sell,
            qty: sol(qty),
            list_client_id: Some("list".into()),
            above,
            below,
            stp: None,
        }
    }
    pub fn order(&self, name: &str) -> &Order {
        self.venue.order(self.me, self.sol, &OrderRef::client(name)).expect("a known order")
    }
    pub fn balance(&self, asset: &str) -> (Amount, Amount) {
        let view = self.venue.account(self.me);
        let row = view.balances.iter().find(|row| row.asset.as_str() == asset).expect("a known asset");
        (row.free, row.locked)
    }
    /// What the account was told since the last call, one short line each.
    pub fn news(&mut self) -> Vec<String> {
        let line = |event: AccountEvent| match event {
            AccountEvent::Execution(told) => {
                let (x, status) = (told.kind.name(), told.order.status.name());
                let reason = told.order.expiry.map_or("-", ExpiryReason::name);
                format!("{x} {status} {} {reason}", told.order.kind.name())
            }
            AccountEvent::Position { balances, .. } => {
                let assets: Vec<&str> = balances.iter().map(|row| row.asset.as_str()).collect();
                format!("POSITION {}", assets.join(" "))
            }
            AccountEvent::List { list, .. } => format!("LIST {}", list.phase.name()),
            AccountEvent::BalanceUpdate { asset, delta_e8, .. } => format!("BALANCE {asset} {delta_e8}"),
        };
        self.venue.take_account_events().into_iter().map(|(_, event)| line(event)).collect()
    }
}
