//! A spot exchange in a box that behaves like Binance Spot where money is concerned: price-time matching, balance
//! locks, fees in the received asset, filters, OCO lists, order counts, account events.
//!
//! Thread: any.  Invariants: no clock, socket or random source: time comes in with each call and never falls; the same
//! calls give the same answers and events. After every call [`Exchange::conserved`] holds: not one unit of any
//! asset appears or vanishes, what is locked is what open orders need, and the book is not crossed.
//!
//! A caller drains both event queues after every call: they grow until taken.

mod account;
mod admit;
mod book;
mod cancel;
mod candles;
mod check;
mod event;
mod filters;
mod house;
mod lists;
mod matching;
mod order;
mod query;
mod reject;
mod request;
mod settle;
mod spec;

pub use book::{DepthDiff, DepthSnapshot};
pub use candles::{CANDLES_KEPT_MAX, Interval, Kline};
pub use check::Violation;
pub use event::{AccountEvent, ExecType, Execution, MarketEvent, Prevented, PublicTrade};
pub use house::HouseQuote;
pub use order::{
    AccountId, AccountTrade, Amount, ExpiryReason, Fill, HOUSE, ListLeg, ListPhase, NO_LIST, Order, OrderList,
    OrderStatus, OrderType, QTY_PER_AMOUNT, StpMode, SymbolStatus, side_name, tif_name,
};
pub use reject::{Filter, Reject};
pub use request::{
    AccountView, AssetBalance, CancelListRequest, CancelOnly, CancelRequest, Canceled, LegRequest, ListReport,
    OcoRequest, OrderCount, OrderRef, OrderRequest, OverLimit, Placed, ReplaceMode, ReplaceRequest, Replaced,
    TradesQuery,
};
pub use spec::{ExchangeSettings, PercentPrice, PriceRange, SpecError, SymbolSpec};

use crate::types::event::Bbo;
use crate::types::instrument::Symbol;
use crate::types::order::Side;
use crate::types::time::Time;
use crate::types::units::{Price, Qty};
use account::{Account, OrderCounts};
use book::Book;
use candles::Candles;
use std::collections::{BTreeMap, VecDeque};

/// Ended orders (and as many lists) that queries still find.
pub const ENDED_KEPT_MAX: usize = 20_000;
/// Public trades kept a symbol: the most that one request may ask for.
pub const TRADES_KEPT_MAX: usize = 1_000;

const FIRST_ORDER_ID: i64 = 12_000_001;
const FIRST_LIST_ID: i64 = 71;
const FIRST_TRADE_ID: i64 = 900_001;
const FIRST_EXECUTION_ID: i64 = 25_000_001;
const FIRST_UPDATE_ID: u64 = 400_000_000;
const FIRST_UID: i64 = 123_456_789;

/// One symbol's market.
#[derive(Clone, Debug)]
struct Pair {
    spec: SymbolSpec,
    base: usize,
    quote: usize,
    status: SymbolStatus,
    book: Book,
    candles: Candles,
    trades: VecDeque<PublicTrade>,
    next_trade_id: i64,
    last_price: Price,
    /// Untriggered stops, oldest first.
    stops: Vec<i64>,
    /// Lowest and highest trade since the stops were last looked at.
    touched: Option<(Price, Price)>,
    told_bbo: Bbo,
}

/// The exchange. See the module's head for what holds.
#[derive(Clone, Debug)]
pub struct Exchange {
    now: Time,
    settings: ExchangeSettings,
    assets: Vec<Symbol>,
    pairs: Vec<Pair>,
    accounts: Vec<Account>,
    orders: BTreeMap<i64, Order>,
    lists: BTreeMap<i64, OrderList>,
    ended_kept: usize,
    ended: VecDeque<i64>,
    ended_lists: VecDeque<i64>,
    /// Fees taken and deposits less withdrawals, by asset.
    fees: Vec<Amount>,
    issued: Vec<Amount>,
    next_order_id: i64,
    next_list_id: i64,
    next_execution_id: i64,
    next_prevented_id: i64,
    next_made_up_id: u64,
    account_events: Vec<(AccountId, AccountEvent)>,
    market_events: Vec<MarketEvent>,
}

impl Exchange {
    /// An exchange with empty books and the house as its only account. Errors: [`SpecError`].
    pub fn new(settings: ExchangeSettings) -> Result<Exchange, SpecError> {
        let mut assets: Vec<Symbol> = Vec::new();
        let mut number = |asset: Symbol| match assets.iter().position(|known| *known == asset) {
            Some(number) => number,
            None => {
                assets.push(asset);
                assets.len() - 1
            }
        };
        let mut pairs = Vec::new();
        for spec in &settings.symbols {
            spec.check()?;
            let pair = Pair::new(*spec, number(spec.base), number(spec.quote), settings.start);
            pairs.push(Pair { next_trade_id: FIRST_TRADE_ID + settings.ids_from, ..pair });
        }
        let none = vec![Amount::default(); assets.len()];
        let ids_from = settings.ids_from;
        let house = Account::new(assets.len(), OrderCounts::new(u32::MAX, u32::MAX));
        Ok(Exchange {
            now: settings.start,
            settings,
            assets,
            pairs,
            accounts: vec![house],
            orders: BTreeMap::new(),
            lists: BTreeMap::new(),
            ended_kept: ENDED_KEPT_MAX,
            ended: VecDeque::new(),
            ended_lists: VecDeque::new(),
            fees: none.clone(),
            issued: none,
            next_order_id: FIRST_ORDER_ID + ids_from,
            next_list_id: FIRST_LIST_ID + ids_from,
            next_execution_id: FIRST_EXECUTION_ID,
            next_prevented_id: 1,
            next_made_up_id: 1,
            account_events: Vec::new(),
            market_events: Vec::new(),
        })
    }

    /// Finds that many ended orders and lists from now on, in place of [`ENDED_KEPT_MAX`].
    pub fn keep_ended(&mut self, count: usize) {
        self.ended_kept = count;
    }

    /// A new account without money.
    pub fn open_account(&mut self) -> AccountId {
        let counts = OrderCounts::new(self.settings.orders_per_10s, self.settings.orders_per_day);
        self.accounts.push(Account::new(self.assets.len(), counts));
        AccountId((self.accounts.len() - 1) as u32)
    }

    /// Moves time on: closes candles, opens new order-count windows. Every other call does it too.
    pub fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        let (now, events) = (self.now, &mut self.market_events);
        for pair in &mut self.pairs {
            let symbol = pair.spec.symbol;
            pair.candles.advance(now, |interval, kline| {
                events.push(MarketEvent::CandleClosed { symbol, interval, kline });
            });
        }
        for account in &mut self.accounts {
            account.counts.roll(now);
        }
    }

    /// What the accounts have to hear, in order, since the last call.
    pub fn take_account_events(&mut self) -> Vec<(AccountId, AccountEvent)> {
        std::mem::take(&mut self.account_events)
    }
    /// What everybody has to hear, in order, since the last call.
    pub fn take_market_events(&mut self) -> Vec<MarketEvent> {
        std::mem::take(&mut self.market_events)
    }

    /// Switches a symbol's status; orders that rest stay.
    pub fn set_status(&mut self, symbol: Symbol, status: SymbolStatus, now: Time) {
        self.advance(now);
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.spec.symbol == symbol) {
            pair.status = status;
            self.market_events.push(MarketEvent::Status { symbol, status });
        }
    }

    fn pair_of(&self, symbol: Symbol) -> Result<usize, Reject> {
        self.pairs.iter().position(|pair| pair.spec.symbol == symbol).ok_or(Reject::BadSymbol)
    }
    fn asset_of(&self, asset: Symbol) -> Option<usize> {
        self.assets.iter().position(|known| *known == asset)
    }
    fn account_mut(&mut self, account: AccountId) -> &mut Account {
        &mut self.accounts[account.0 as usize]
    }
    fn account_ref(&self, account: AccountId) -> &Account {
        &self.accounts[account.0 as usize]
    }
}

impl Pair {
    fn new(spec: SymbolSpec, base: usize, quote: usize, start: Time) -> Pair {
        Pair {
            spec,
            base,
            quote,
            status: SymbolStatus::Trading,
            book: Book::new(FIRST_UPDATE_ID),
            candles: Candles::new(start, spec.start_price),
            trades: VecDeque::new(),
            next_trade_id: FIRST_TRADE_ID,
            last_price: spec.start_price,
            stops: Vec::new(),
            touched: None,
            told_bbo: Bbo {
                bid: Price::ZERO,
                bid_qty: Qty::ZERO,
                ask: Price::ZERO,
                ask_qty: Qty::ZERO,
                update_id: FIRST_UPDATE_ID,
            },
        }
    }
    fn bbo(&self) -> Bbo {
        let (bid, bid_qty) = self.book.best(Side::Buy).map_or((Price::ZERO, Qty::ZERO), |(p, q, _)| (p, q));
        let (ask, ask_qty) = self.book.best(Side::Sell).map_or((Price::ZERO, Qty::ZERO), |(p, q, _)| (p, q));
        Bbo { bid, bid_qty, ask, ask_qty, update_id: self.book.update_id() }
    }
    /// Reference of the percent and notional filters: the average of the last minutes, else the last price.
    fn reference(&self) -> Price {
        self.candles.average(self.spec.avg_price_mins).unwrap_or(self.last_price)
    }
}
