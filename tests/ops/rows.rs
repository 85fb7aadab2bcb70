//! Rows as an engine makes them, each field with a value of its own.

use sol_volume_bot::types::decision::{Decision, SourceLook, Verdict, VolumeOrigin};
use sol_volume_bot::types::event::{SourceState, VolumeDefinition};
use sol_volume_bot::types::order::{FeeAsset, Liquidity, OrderKind, Purpose, Reason, Side, TimeInForce};
use sol_volume_bot::types::record::{FillRow, OrderRow, OrderStatus};
use sol_volume_bot::types::{ClientOrderId, Leg, Notional, Price, Qty, Ratio, StreamId, Time, VenueOrderId};

pub const NOW: Time = Time(1_795_372_200_000_000_000);
pub const SECOND: i64 = 1_000_000_000;

pub fn id(leg: Leg) -> ClientOrderId {
    ClientOrderId { epoch: 7, signal: 1, leg, attempt: 1 }
}

/// An order of the first tranche, in that state.
pub fn order(status: OrderStatus) -> OrderRow {
    OrderRow {
        id: id(Leg::Entry(1)),
        venue_order_id: VenueOrderId(42),
        list_id: 0,
        trade_no: 1,
        side: Side::Buy,
        kind: OrderKind::Limit,
        tif: TimeInForce::Ioc,
        purpose: Purpose::Entry,
        tranche: 1,
        status,
        reason: Reason::None,
        code: 0,
        price: Price(16_150_000_000),
        stop_price: Price::ZERO,
        qty: Qty(1_500_000_000),
        cum_qty: Qty::ZERO,
        avg_px: Price::ZERO,
        created: NOW,
        acked: Time::NONE,
        done: Time::NONE,
    }
}

pub fn fill() -> FillRow {
    FillRow {
        id: id(Leg::Entry(1)),
        trade_id: 9,
        side: Side::Buy,
        liquidity: Liquidity::Taker,
        fee_asset: FeeAsset::Base,
        price: Price(16_150_000_000),
        qty: Qty(1_500_000_000),
        fee: 1_500_000,
        venue_time: NOW,
        recv: NOW,
    }
}

pub fn decided(verdict: Verdict, passed: u16) -> Decision {
    Decision {
        verdict,
        passed,
        source_state: SourceState::Ok,
        source: StreamId::DefiLlama,
        drop: Ratio(31_000_000),
        drop_min: Ratio(30_000_000),
        drop_sol: Ratio(25_000_000),
        drop_sol_min: Ratio(20_000_000),
        confirmed: 1,
        confirmed_min: 1,
        contradicted: 0,
        origin: VolumeOrigin {
            definition: VolumeDefinition::UtcDay,
            now: Notional(69),
            prev: Notional(100),
            as_of: NOW,
            bucket_end: NOW.plus(-SECOND),
            recv: NOW,
        },
        looks: [SourceLook::default(); 4],
        rsi: Ratio(4_400_000_000),
        rsi_max: Ratio(4_500_000_000),
        mid: Price(16_100_000_000),
        support_low: Price(16_000_000_000),
        support_high: Price(16_200_000_000),
    }
}
