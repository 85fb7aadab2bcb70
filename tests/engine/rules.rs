//! What must hold before an entry: the signal's edges, every risk rule, and that a refusal says why.
//!
//! Thread: any.  Invariants: as of `desk`.

use crate::desk::*;
use sol_volume_bot::engine::Setup;
use sol_volume_bot::types::decision::RiskRule;
use sol_volume_bot::types::event::*;
use sol_volume_bot::types::record::{PauseReason, Record};
use sol_volume_bot::types::units::{Bps, Notional, Qty, Ratio};
use sol_volume_bot::types::{EventKind, ParamKey, StreamId};

fn entries_with(change: impl Fn(&mut Setup)) -> (usize, Vec<RiskRule>) {
    let mut setup = setup();
    change(&mut setup);
    let mut desk = Desk::with(setup);
    desk.enter();
    (desk.entries().len(), desk.refusals())
}

fn entries_at(bid: &str, ask: &str, volume: &str) -> usize {
    let mut desk = Desk::new();
    desk.market(bid, ask);
    desk.volume(volume);
    desk.entries().len()
}

#[test]
fn the_band_includes_both_its_ends() {
    for (bid, ask, entries) in [
        ("159.99", "160.01", 1), // mid 160 exactly
        ("159.98", "160.01", 0),
        ("161.99", "162.01", 1), // mid 162 exactly
        ("161.99", "162.02", 0),
    ] {
        assert_eq!(entries_at(bid, ask, "60000000"), entries, "{bid} {ask}");
    }
}

#[test]
fn a_drop_of_exactly_thirty_percent_is_not_enough() {
    assert_eq!(entries_at("161.00", "161.01", "70000000"), 0);
    assert_eq!(entries_at("161.00", "161.01", "69999999.99999999"), 1);
}

#[test]
fn an_rsi_of_exactly_the_limit_is_not_below_it() {
    let mut desk = Desk::new();
    desk.enter();
    let known = desk
        .records()
        .filter_map(|r| if let Record::Decision(decision) = r { Some(decision.rsi) } else { None })
        .last();
    let rsi = known.expect("an RSI");
    assert_eq!(entries_with(|setup| setup.params.rsi_max = rsi).0, 0);
    assert_eq!(entries_with(|setup| setup.params.rsi_max = Ratio(rsi.0 + 1)).0, 1);
}

#[test]
fn a_stale_filled_or_missing_volume_source_enters_nothing() {
    for state in
        [SourceState::Stale, SourceState::Filled, SourceState::Missing, SourceState::Suspect, SourceState::Down]
    {
        let mut desk = Desk::new();
        let sample = VolumeSample {
            definition: VolumeDefinition::UtcDay,
            state,
            now: usd("60000000"),
            prev: usd("100000000"),
            bucket_end: desk.now.day_start(),
            ..VolumeSample::UNREAD
        };
        desk.feed(StreamId::DefiLlama, EventKind::Volume(sample));
        assert!(desk.entries().is_empty(), "{state:?}");
    }
    assert_eq!(entries_at("161.00", "161.01", "0"), 0);
}

#[test]
fn each_rule_refuses_and_names_itself() {
    type Change = fn(&mut Setup);
    let cases: [(RiskRule, Change); 10] = [
        (RiskRule::NewsLock, |s| s.params.news_lock = true),
        (RiskRule::Paused, |s| s.paused = [PauseReason::Operator].into_iter().collect()),
        (RiskRule::DailyLoss, |s| s.paused = [PauseReason::DailyLoss].into_iter().collect()),
        (RiskRule::Slippage, |s| s.paused = [PauseReason::Slippage].into_iter().collect()),
        (RiskRule::ClockOffset, |s| s.params.clock_offset_ns_max = 4 * MS),
        (RiskRule::GlobalStop, |s| s.params.stop_loss = px("161.5")),
        (RiskRule::AlgoSlots, |s| s.instrument.algo_orders_max = 0),
        (RiskRule::AlgoSlots, |s| s.instrument.oco_allowed = false),
        (RiskRule::Balance, |s| s.cash = usd("12")),
        (RiskRule::TradeRisk, |s| s.params.max_trade_risk = Ratio(1)),
    ];
    for (rule, change) in cases {
        let (entries, refusals) = entries_with(change);
        assert_eq!(entries, 0, "{rule:?}");
        assert!(refusals.contains(&rule) || refusals == [RiskRule::TooSmall], "{rule:?}: {refusals:?}");
    }
    let (entries, refusals) = entries_with(|setup| setup.params.max_exposure = Ratio(1));
    assert_eq!((entries, refusals.is_empty()), (0, false));
}

#[test]
fn a_spread_wider_than_the_collar_is_not_paid() {
    let mut desk = Desk::new();
    desk.market("160.00", "162.00");
    desk.enter();
    assert!(desk.entries().is_empty());
    assert_eq!(desk.refusals(), [RiskRule::PriceCollar]);
}

#[test]
fn a_feed_that_fell_silent_or_down_refuses() {
    for stream in [StreamId::BinanceUser, StreamId::SolanaSlot, StreamId::BinanceCandle] {
        for state in [StreamState::Stale, StreamState::Gap, StreamState::Down] {
            let mut desk = Desk::new();
            desk.feed(stream, EventKind::Stream(state));
            desk.enter();
            assert!(desk.entries().is_empty(), "{stream:?} {state:?}");
        }
    }
    let mut desk = Desk::new();
    desk.now = desk.now.plus(11 * SEC);
    desk.quote(desk.bbo);
    desk.enter();
    assert!(desk.entries().is_empty(), "no slot for 11 s");
    assert_eq!(desk.refusals(), [RiskRule::StaleFeed]);
    desk.slot();
    desk.quote(desk.bbo);
    assert_eq!(desk.entries().len(), 1, "fresh again");
}

#[test]
fn where_entries_stand_on_a_dex_a_book_without_a_price_refuses_and_one_near_ours_does_not() {
    let watched = |needs: bool, ask: &str| {
        let mut setup = setup();
        setup.params.dex_divergence = Ratio(2_000_000);
        setup.needed_ns[StreamId::DexBook as usize] = if needs { 60 * SEC } else { 0 };
        let mut desk = Desk::with(setup);
        let (bid, depth) = (px("161.00"), sol("10"));
        let book = DexBook {
            slot: 1_000,
            bid,
            bid_qty: depth,
            ask: px(ask),
            ask_qty: depth,
            bid_depth: depth,
            ask_depth: depth,
        };
        desk.feed(StreamId::DexBook, EventKind::Stream(StreamState::Up));
        desk.feed(StreamId::DexBook, EventKind::Dex(book));
        desk.enter();
        (desk.entries().len(), desk.refusals())
    };
    assert_eq!(watched(true, "161.02"), (1, vec![]));
    assert_eq!(watched(true, "0"), (0, vec![RiskRule::DexDivergence]), "nobody sells there");
    assert_eq!(watched(false, "0"), (1, vec![]), "entries do without it");
}

#[test]
fn the_clock_must_be_known() {
    let mut desk = Desk::silent(setup());
    for stream in [StreamId::BinanceUser, StreamId::BinanceBbo, StreamId::SolanaSlot, StreamId::BinanceCandle] {
        desk.feed(stream, EventKind::Stream(StreamState::Up));
    }
    desk.falling_candles();
    desk.slot();
    desk.market("161.00", "161.01");
    desk.enter();
    assert_eq!(desk.refusals(), [RiskRule::ClockOffset]);
}

#[test]
fn news_in_the_middle_of_an_entry_stops_the_next_tranche_and_says_so_once() {
    let mut desk = Desk::new();
    desk.enter();
    desk.control(Control::Set(ParamKey::NewsLock, 1));
    desk.pass(SEC);
    desk.control(Control::Commit);
    desk.pass(9 * SEC);
    assert_eq!(desk.entries().len(), 1);
    assert_eq!(desk.refusals(), [RiskRule::NewsLock]);
    assert!(desk.live_stop_qty() > Qty::ZERO, "what was bought stays protected");
}

#[test]
fn a_tranche_whose_signal_is_gone_is_refused_and_its_share_carries_over() {
    let mut desk = Desk::new();
    desk.enter();
    desk.market("162.50", "162.51");
    desk.pass(10 * SEC);
    assert_eq!(desk.entries().len(), 1);
    assert!(desk.refusals().contains(&RiskRule::SignalGone));
    desk.market("161.00", "161.01");
    desk.pass(10 * SEC);
    let entries = desk.entries();
    assert_eq!(entries.len(), 2);
    assert!(entries[1].qty > entries[0].qty, "two shares at once");
}

#[test]
fn a_worse_price_later_shrinks_the_tranche_to_what_risk_leaves() {
    let mut setup = setup();
    setup.params.max_trade_risk = ratio("0.02");
    setup.params.support_high = px("170");
    let mut desk = Desk::with(setup);
    desk.enter();
    let first = desk.entries()[0].qty;
    desk.market("165.00", "165.01");
    desk.pass(21 * SEC);
    let entries = desk.entries();
    assert_eq!(entries.len(), 3);
    assert!(entries[2].qty < first, "{} is cut below {first}", entries[2].qty);
}

#[test]
fn slippage_above_the_limit_pauses() {
    let mut setup = setup();
    setup.params.slippage_kill = Bps(0);
    let mut desk = Desk::with(setup);
    desk.enter();
    assert!(desk.status().pauses.has(PauseReason::Slippage), "bought at the ask, half a spread above the mid");
    desk.pass(21 * SEC);
    assert_eq!(desk.entries().len(), 1);
}

#[test]
fn the_daily_limit_pauses_until_the_next_utc_day() {
    let mut setup = setup();
    setup.params.daily_loss = ratio("0.01");
    let mut desk = Desk::with(setup);
    desk.enter_all();
    desk.trigger_stops("154.99");
    assert!(desk.status().pauses.has(PauseReason::DailyLoss));
    desk.control(Control::Resume);
    assert!(desk.status().pauses.has(PauseReason::DailyLoss), "the operator does not lift it");
    desk.now = sol_volume_bot::types::Time(desk.now.day_start().0 + 24 * 3600 * SEC);
    desk.pass(SEC);
    assert!(!desk.status().pauses.has(PauseReason::DailyLoss));
}

#[test]
fn coins_that_the_engine_did_not_buy_are_never_sold() {
    let mut setup = setup();
    setup.base = sol("50");
    let mut desk = Desk::with(setup);
    desk.enter_all();
    let bought: i64 = desk.fills().iter().map(|fill| fill.qty.0 - fill.fee).sum();
    desk.control(Control::Flatten);
    let sold = sol("50").0 + bought - desk.venue.base;
    assert!(sold <= bought, "sold {sold} of {bought}");
    assert!(desk.venue.base >= sol("50").0);
}

#[test]
fn the_venues_word_on_free_money_binds() {
    let mut desk = Desk::new();
    let locked = Balance::Quote { free: usd("1000"), locked: usd("9000") };
    desk.feed(StreamId::BinanceUser, EventKind::Balance(locked));
    desk.enter();
    let spent = desk.entries()[0].qty.0 as i128 * desk.entries()[0].price.0 as i128 / 1_000_000_000;
    assert!(spent <= usd("334").0 as i128, "a third of what is free: {}", Notional(spent as i64));
}

#[test]
fn a_quote_that_waited_too_long_before_it_was_read_is_no_fresh_one() {
    let mut desk = Desk::new();
    desk.stale_quotes(6 * SEC); // stale_bbo is 5 s
    desk.enter();
    assert!(desk.entries().is_empty());
    desk.stale_quotes(4 * SEC);
    assert_eq!(desk.entries().len(), 1);
}

#[test]
fn the_engine_may_end_only_when_no_coin_waits_for_its_stop() {
    let mut desk = Desk::new();
    assert!(desk.status().at_rest);
    desk.hold_reports = true;
    desk.enter();
    assert!(!desk.status().at_rest, "an entry is on its way");
    desk.control(Control::Stop);
    let reports: Vec<_> = desk.venue.reports.drain(..).collect();
    for report in reports {
        desk.report(report);
        assert!(!desk.status().at_rest, "bought, not protected yet");
    }
    desk.hold_reports = false;
    desk.deliver();
    assert!(desk.status().at_rest && desk.status().stopping, "the stops rest");
    assert_eq!(desk.live_stop_qty(), instrument().qty_floor(desk.status().position));
}
