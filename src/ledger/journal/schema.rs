//! The vocabulary as bytes: which fields, in which order, under which tags.
//!
//! Thread: any.  Invariants: a new variant gets a new tag at the end of its list; a tag is never given away twice. Any
//! change here changes the schema's number, so a program never reads a journal that was written in other words.

use super::code::{Bytes, Code, choices, fields, named, shape_of, wraps};
use crate::types::chain::ChainEvent;
use crate::types::command::{Alert, CancelList, CancelOrder, CancelReplace, Command, NewOco, NewOrder, QueryOrder};
use crate::types::decision::{Decision, Refused, RiskRule, SourceLook, Verdict, VolumeOrigin};
use crate::types::event::{
    Balance, Bbo, Candle, ClockOffset, Control, Depth, DexBook, Event, EventKind, Slot, SourceReason, SourceState,
    StreamState, TimerId, Trade, VolumeDefinition, VolumeSample,
};
use crate::types::ids::{ClientOrderId, Leg, StreamId, VenueOrderId};
use crate::types::instrument::{Instrument, Symbol};
use crate::types::note::{Hold, KillStep, Lost, Verb, WireNote};
use crate::types::order::{
    ExecKind, ExecutionReport, FeeAsset, Liquidity, OrderKind, Purpose, Reason, Side, TimeInForce,
};
use crate::types::params::{ParamKey, Params};
use crate::types::reconcile::{Difference, DifferenceKind, ReconcileCount, ReconcileTrigger, Reconciled, RestingOrder};
use crate::types::record::{
    EquityRow, ExitReason, FillRow, OrderRow, OrderStatus, PauseReason, Record, Repost, TradeRow,
};
use crate::types::setup::{OpenPosition, PauseSet, Setup};
use crate::types::time::Time;
use crate::types::units::{Bps, Notional, Price, Qty, Ratio};
use std::sync::OnceLock;

wraps! {
    Price(i64) Qty(i64) Notional(i64) Ratio(i64) Bps(i32) Time(i64) VenueOrderId(i64)
}

fields! {
    Event { seq recv at venue_time stream kind }
    Bbo { bid bid_qty ask ask_qty update_id }
    Depth { bid ask update_id }
    Trade { price qty aggressor trade_id }
    Candle { open_time open high low close volume interval_s }
    Slot { slot parent root }
    VolumeSample { definition state reason now prev now_sol prev_sol bucket_end as_of }
    DexBook { slot bid bid_qty ask ask_qty bid_depth ask_depth }
    ClockOffset { offset_ns round_trip_ns }
    ClientOrderId { epoch signal leg attempt }
    ExecutionReport {
        id venue_order_id list_id kind side liquidity fee_asset reason code last_qty last_px cum_qty leaves_qty fee
        trade_id
    }
    NewOrder { id side kind tif price qty purpose }
    NewOco { list take_profit stop qty tp_price stop_price stop_limit }
    CancelOrder { target venue_order_id }
    CancelList { list list_id take_profit stop }
    CancelReplace { cancel new }
    QueryOrder { target venue_order_id }
    OrderRow {
        id venue_order_id list_id trade_no side kind tif purpose tranche status reason code price stop_price qty cum_qty
        avg_px created acked done
    }
    FillRow { id trade_id side liquidity fee_asset price qty fee venue_time recv }
    TradeRow { trade_no opened closed qty entry_px exit_px fees pnl slippage reason }
    EquityRow { cash position mid equity realized unrealized drawdown }
    Decision {
        verdict passed source_state source drop drop_min drop_sol drop_sol_min confirmed confirmed_min contradicted origin
        looks rsi rsi_max mid support_low support_high
    }
    SourceLook { state reason drop age_ms }
    VolumeOrigin { definition now prev as_of bucket_end recv }
    Refused { rule tranche value limit }
    Repost { slot id old_price new_price kept }
    Instrument {
        symbol base quote tick price_min price_max lot qty_min qty_max market_qty_max notional_min notional_max
        orders_max algo_orders_max oco_allowed stop_market_allowed fee_maker fee_taker
    }
    OpenPosition {
        trade_no qty cost bought bought_value sold sold_value slot1_sold fees realized opened last last_exit
    }
    Setup {
        instrument params definition rsi_period candle_s epoch next_trade_no consecutive_losses paused cash base position
        trades_known_to resting day_equity last_entry risen needed_ns now
    }
    RestingOrder { id venue_order_id list_id side kind qty cum_qty price stop_price }
    Reconciled { trigger fills ended cash base is_quiet }
    Difference { trigger kind id number amount }
    ReconcileCount { trigger fills adopted cancelled ended balances }
    Lost { events notes }
}

choices! {
    EventKind {
        0 Bbo(bbo: Bbo); 1 Depth(depth: Depth); 2 Trade(trade: Trade); 3 Candle(candle: Candle); 4 Slot(slot: Slot);
        5 Volume(sample: VolumeSample); 6 Execution(report: ExecutionReport); 7 Balance(balance: Balance);
        8 Stream(state: StreamState); 9 Control(control: Control); 10 Timer(id: TimerId); 11 Clock(offset: ClockOffset);
        12 Resting(order: RestingOrder); 13 Reconciled(found: Reconciled); 14 Dex(book: DexBook);
    }
    Balance { 0 Base { free: Qty, locked: Qty }; 1 Quote { free: Notional, locked: Notional }; }
    Control {
        0 Pause; 1 Resume; 2 Flatten; 3 Kill; 4 Stop; 5 Halt(reason: PauseReason); 6 Set(key: ParamKey, value: i64);
        7 Commit;
    }
    Command {
        0 Place(order: NewOrder); 1 PlaceOco(oco: NewOco); 2 Cancel(order: CancelOrder); 3 CancelList(list: CancelList);
        4 CancelReplace(both: CancelReplace); 5 CancelAll; 6 Query(order: QueryOrder);
        7 ArmTimer { id: TimerId, at: Time }; 8 Alert(alert: Alert); 9 Record(record: Record);
    }
    Alert {
        0 Enter { mid: Price, qty: Qty, stop: Price }; 1 Stop { reason: ExitReason, mid: Price, qty: Qty };
        2 Fatal { reason: PauseReason };
    }
    Record {
        0 Order(row: OrderRow); 1 Fill(row: FillRow); 2 Trade(row: TradeRow); 3 Equity(row: EquityRow);
        4 Decision(decision: Decision); 5 Refused(refused: Refused); 6 Repost(repost: Repost);
        7 Exit { reason: ExitReason, mid: Price, qty: Qty }; 8 Pause { reason: PauseReason, on: bool };
        9 Losses(count: u32); 10 Naked { ns: i64, qty: Qty }; 11 Reloaded;
        12 Difference(found: Difference); 13 Reconciled(count: ReconcileCount);
    }
    WireNote {
        0 Stream { stream: StreamId, state: StreamState, at: Time }; 1 Reconnected { stream: StreamId };
        2 BadFrame { stream: StreamId, at_byte: u32 };
        3 Sent { id: ClientOrderId, verb: Verb, sent: Time, trigger: Time, stages_ns: [u32; 5] };
        4 Answered { id: ClientOrderId, verb: Verb, took_ns: i64, code: i32 };
        5 Refused { id: ClientOrderId, verb: Verb, reason: Reason, at: Time };
        6 Held { hold: Hold, until: Time, at: Time }; 7 Killed { step: KillStep, pulled: Time, at: Time };
        8 Chain { what: ChainEvent, more: u32 };
    }
    StreamId {
        0 BinanceBbo; 1 BinanceDepth; 2 BinanceTrade; 3 BinanceCandle; 4 BinanceUser; 5 SolanaSlot; 6 DefiLlama;
        7 PumpFun; 8 Internal; 9 KrakenBook; 10 KrakenTicker; 11 KrakenTrade; 12 DexBook; 13 Jupiter; 14 PumpChain;
        15 CoinGecko;
    }
    VolumeDefinition { 0 Rolling24; 1 UtcDay; 2 Sampled24; }
    SourceState { 0 Ok; 1 Stale; 2 Suspect; 3 Filled; 4 Missing; 5 Down; }
    SourceReason {
        0 None; 1 Unread; 2 WarmingUp; 3 Settling; 4 TooOld; 5 Repeated; 6 NoValue; 7 Gappy; 8 BelowFloor; 9 Implausible;
        10 Contradiction; 11 Unreadable; 12 Refused; 13 NoAnswer; 14 TwoHands;
    }
    StreamState { 0 Up; 1 Stale; 2 Gap; 3 Down; }
    TimerId { 0 Tranche; 1 Query; 2 Naked; 3 Tick; 4 Exit; }
    Side { 0 Buy; 1 Sell; }
    OrderKind { 0 Limit; 1 LimitMaker; 2 Market; 3 StopLoss; 4 StopLossLimit; }
    TimeInForce { 0 Gtc; 1 Ioc; 2 Fok; }
    Purpose { 0 Entry; 1 Tp1; 2 Tp2; 3 Stop; 4 Hedge; 5 Flatten; }
    Liquidity { 0 Maker; 1 Taker; }
    FeeAsset { 0 Base; 1 Quote; 2 Other; 3 None; }
    ExecKind {
        0 New; 1 Fill; 2 Canceled; 3 Expired; 4 Rejected; 5 CancelRejected; 6 Unknown; 7 NotFound; 8 Status;
    }
    Reason {
        0 None; 1 TimeInForce; 2 OcoTrigger; 3 Unprotected; 4 PriceMoved; 5 WouldTake; 6 Balance; 7 Filter; 8 RateLimit;
        9 Clock; 10 Duplicate; 11 Halt; 12 Other; 13 Stopping; 14 TooLarge; 15 Collar; 16 Unreadable;
    }
    OrderStatus { 0 Pending; 1 Working; 2 Partly; 3 Filled; 4 Canceled; 5 Expired; 6 Rejected; 7 Unknown; }
    ExitReason {
        0 TakeProfit; 1 StopLeg; 2 GlobalStop; 3 Signal; 4 MaxHold; 5 Flatten; 6 Kill; 7 Shutdown; 8 Unprotected;
        9 Gone;
    }
    ReconcileTrigger { 0 Start; 1 Reconnect; 2 Unknown; 3 Audit; }
    DifferenceKind { 0 Fill; 1 Adopted; 2 Cancelled; 3 Ended; 4 Base; 5 Quote; }
    Verdict { 0 Enter; 1 Exit; 2 NoOp; }
    RiskRule {
        0 TradeRisk; 1 Exposure; 2 GlobalStop; 3 Paused; 4 NewsLock; 5 DailyLoss; 6 StaleFeed; 7 ClockOffset;
        8 PriceCollar; 9 RateBudget; 10 Slippage; 11 TooSmall; 12 Balance; 13 AlgoSlots; 14 UnknownOrder; 15 Stopping;
        16 Arithmetic; 17 SignalGone; 18 DexDivergence;
    }
    PauseReason {
        0 Operator; 1 ConsecutiveLosses; 2 DailyLoss; 3 Slippage; 4 Venue; 5 Journal; 6 Exit;
    }
    ChainEvent {
        0 Notification; 1 Failed; 2 Duplicate; 3 Trade; 4 Truncated; 5 Distrusted; 6 Unreadable; 7 Odd; 8 OtherQuote;
        9 OddPool; 10 Unresolved; 11 Unpriced; 12 Strange;
    }
    KillStep { 0 Pending; 1 Written; 2 AwaitsConnection; 3 AwaitsBanEnd; }
    Hold { 0 None; 1 Orders; 2 AllButCancels; 3 Everything; }
    Verb { 0 Place; 1 PlaceOco; 2 Cancel; 3 CancelList; 4 CancelReplace; 5 CancelAll; 6 Query; }
}

impl Code for Leg {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    #[inline]
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        Leg::of_code(u8::take(from)?)
    }
    fn shape(out: &mut String) {
        out.push_str("Leg:u8");
    }
}

impl Code for PauseSet {
    fn put(&self, out: &mut Vec<u8>) {
        self.bits().put(out);
    }
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        PauseSet::of_bits(u16::take(from)?)
    }
    fn shape(out: &mut String) {
        out.push_str("PauseSet:u16");
    }
}

impl Code for Symbol {
    fn put(&self, out: &mut Vec<u8>) {
        let text = self.as_bytes();
        out.push(u8::try_from(text.len()).unwrap_or(u8::MAX)); // at most 15 by its own invariant
        out.extend_from_slice(text);
    }
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        let len = usize::from(u8::take(from)?);
        let mut text = [0; 15];
        for byte in text.get_mut(..len)? {
            *byte = u8::take(from)?;
        }
        Symbol::new(std::str::from_utf8(text.get(..len)?).ok()?)
    }
    fn shape(out: &mut String) {
        out.push_str("Symbol:text");
    }
}

/// By its place in [`ParamKey::ALL`]: the names there are part of the schema's number.
impl Code for ParamKey {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        ParamKey::ALL.get(usize::from(u8::take(from)?)).copied()
    }
    fn shape(out: &mut String) {
        ParamKey::ALL.iter().for_each(|key| out.push_str(&format!("{} ", key.name())));
    }
}

/// One integer per key, in the keys' order.
impl Code for Params {
    fn put(&self, out: &mut Vec<u8>) {
        ParamKey::ALL.iter().for_each(|key| self.get(*key).put(out));
    }
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        let mut values = [0_i64; ParamKey::ALL.len()];
        for value in &mut values {
            *value = i64::take(from)?;
        }
        let params = Params::of(|key| values.get(key as usize).copied())?;
        let faithful = ParamKey::ALL.iter().zip(values).all(|(key, value)| params.get(*key) == value);
        faithful.then_some(params) // else a value that its key cannot have: nobody put it
    }
    fn shape(out: &mut String) {
        ParamKey::shape(out);
    }
}

/// Number of the schema: of the text of every shape an entry may have.
pub fn number() -> u32 {
    static NUMBER: OnceLock<u32> = OnceLock::new();
    *NUMBER.get_or_init(|| {
        let mut text = String::new();
        for shape in [Setup::shape, Event::shape, Command::shape, WireNote::shape, Lost::shape] {
            shape(&mut text);
        }
        crc32c::crc32c(text.as_bytes())
    })
}
