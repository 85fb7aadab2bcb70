//! One seed's plan: the market's way, the trader's numbers, what goes wrong and when, and how it ends.
//!
//! Thread: any.  Invariants: a plan is a function of its seed; every plan meets the entry conditions; after
//! [`Plan::calm_ns`] nothing goes wrong any more.

use super::chance::Chance;
use super::lines::Pace;
use super::trouble::{self, Trouble};
use crate::sim::scenario::{PathPoint, Scenario, ScenarioError};
use crate::types::event::Control;
use crate::types::params::Params;
use crate::types::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::{Bps, Price, Ratio};
use crate::types::{Qty, TimeInForce};

/// Everything a plan's venues have in common.
const SCENARIO: &str = r#"
seed = 1
step_ms = 200
path = [{ at = "0s", mid = "162.50" }]
[balances]
USDT = "10000"
SOL = "0"
[market]
levels = 6
level_qty = "8"
spread_ticks_max = 2
taker_permille = 300
noise_ticks = 1
[history]
interval = "5m"
candles = 260
closes = ["190.00", "162.50"]
wobble_ticks = 0
[solana]
slot_ms = 400
"#;

/// Where the mid goes after the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Through both targets.
    BothTargets,
    /// Through the first target, then through the stop.
    TargetThenStop,
    /// Through the stop.
    Stop,
    /// From far above the stop to far below it within one step.
    Crash,
    /// Nowhere: up and down between stop and targets.
    Chop,
    /// To the first target and back and forth around it, so that limits rest, fill in part and move.
    AtTarget,
}

impl Way {
    const ALL: [Way; 6] = [Way::BothTargets, Way::TargetThenStop, Way::Stop, Way::Crash, Way::Chop, Way::AtTarget];

    /// Mids at seconds from the start; the entry is at about 2 s and lasts to about 12 s.
    fn points(self) -> &'static [(i64, &'static str)] {
        match self {
            Way::BothTargets => &[(12, "161.00"), (20, "163.80"), (23, "163.60"), (29, "166.60")],
            Way::TargetThenStop => &[(12, "161.00"), (19, "163.90"), (21, "163.40"), (29, "154.60")],
            Way::Stop => &[(12, "160.60"), (24, "154.50")],
            Way::Crash => &[(18, "160.80"), (19, "151.00"), (24, "152.50")],
            Way::Chop => &[(12, "160.40"), (17, "162.90"), (22, "159.10"), (28, "161.80")],
            Way::AtTarget => &[(12, "161.20"), (17, "163.52"), (20, "163.40"), (23, "163.56"), (27, "163.45")],
        }
    }
}

/// What happens in a world of one seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The venues.
    pub scenario: Scenario,
    /// The trader's numbers.
    pub params: Params,
    /// Where the mid goes.
    pub way: Way,
    /// The order session logs on with Ed25519 (else HMAC signs each request).
    pub logs_on: bool,
    /// How fast frames travel.
    pub pace: Pace,
    /// What goes wrong: when, from the start; the place of its kind in [`KINDS`](super::trouble::KINDS); what.
    pub troubles: Vec<(i64, usize, Trouble)>,
    /// From here on nothing goes wrong any more.
    pub calm_ns: i64,
    /// The operator's last word, once all is calm.
    pub last_word: Option<Control>,
}

impl Plan {
    /// The plan of a seed: a whole trade, and what goes wrong meanwhile.
    ///
    /// Errors: the built-in scenario cannot be used.
    pub fn of(seed: u64) -> Result<Plan, ScenarioError> {
        let plan = Plan::quiet(seed)?;
        let troubles = trouble::troubles(&mut Chance::new(seed ^ TROUBLE_SALT), plan.calm_ns);
        Ok(Plan { troubles, ..plan })
    }
    /// A whole day in one world: one position, held while the mid wanders between stop and targets, its exits re-posted
    /// whenever the market moves; every quarter of an hour something goes wrong, crashes of the process included.
    ///
    /// Errors: the built-in scenario cannot be used.
    pub fn day(seed: u64) -> Result<Plan, ScenarioError> {
        let mut chance = Chance::new(seed ^ DAY_SALT);
        let mut plan = Plan::quiet(seed)?;
        plan.calm_ns = NANOS_PER_DAY;
        (plan.scenario.step_ms, plan.scenario.solana.slot_ms) = (1_000, 2_000);
        let wander = (1..=24 * 12).map(|step| {
            let mid = Price(price("156.80").0 + chance.between(0, 600) * 1_000_000);
            PathPoint { at_ns: step * 300 * NANOS_PER_SEC, mid }
        });
        plan.scenario.path = path(Way::Chop).into_iter().take(4).chain(wander.collect::<Vec<_>>()).collect();
        (plan.params.repost_same_price, plan.params.max_hold_ns, plan.last_word) = (true, 0, None);
        plan.params.naked_ns_max = 60 * NANOS_PER_SEC; // the position shall last the day
        (plan.params.tp1_price, plan.params.tp2_price) = (price("164.50"), price("166"));
        let quarters = 1..NANOS_PER_DAY / QUARTER_NS;
        plan.troubles = quarters.map(|number| trouble::one(&mut chance, number * QUARTER_NS)).collect();
        Ok(plan)
    }
    /// The plan of a seed without any trouble.
    ///
    /// Errors: the built-in scenario cannot be used.
    pub fn quiet(seed: u64) -> Result<Plan, ScenarioError> {
        let mut chance = Chance::new(seed);
        let way = chance.pick(&Way::ALL);
        let mut scenario = Scenario::parse("world", SCENARIO)?;
        scenario.seed = chance.seed();
        scenario.path = path(way);
        scenario.market.level_qty = Qty(chance.pick(&[500, 2_000, 8_000, 40_000]) * LOT.0);
        scenario.balances.insert("SOL".to_owned(), chance.pick(&[0, 0, 370_000_000, 40_000]));
        let last_word = chance.pick(&[None, Some(Control::Flatten), Some(Control::Stop), Some(Control::Kill)]);
        let pace = Pace {
            least_ns: chance.between(1, 8) * NANOS_PER_MILLI,
            most_ns: chance.between(10, 60) * NANOS_PER_MILLI,
        };
        let params = numbers(&mut chance);
        let logs_on = chance.one_in(2);
        let calm_ns = 32 * NANOS_PER_SEC;
        Ok(Plan { seed, scenario, params, way, logs_on, pace, troubles: Vec::new(), calm_ns, last_word })
    }
}

/// Keeps what goes wrong apart from what would happen without it.
const TROUBLE_SALT: u64 = 0x7472_6f75_626c_6500;
/// Keeps days apart from trades.
const DAY_SALT: u64 = 0x6461_7900;
/// Between two troubles of a day.
const QUARTER_NS: i64 = 900 * NANOS_PER_SEC;
/// The size grid of the venue's symbol.
const LOT: Qty = Qty(1_000_000);

fn path(way: Way) -> Vec<PathPoint> {
    let point = |(at_s, mid): (i64, &str)| PathPoint { at_ns: at_s * NANOS_PER_SEC, mid: price(mid) };
    let entry = [(0, "162.50"), (1, "162.40"), (2, "161.20")];
    entry.into_iter().chain(way.points().iter().copied()).map(point).collect()
}

/// The built-in prices are numbers.
fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap_or_default()
}
fn ratio(text: &str) -> Ratio {
    Ratio::parse(text.as_bytes()).unwrap_or_default()
}

/// The trader's numbers: hours compressed into seconds.
fn numbers(chance: &mut Chance) -> Params {
    Params {
        meme_drop: ratio("0.30"),
        meme_drop_sol: Ratio::ZERO, // one source only in this world
        confirmations_min: 0,
        confirm_drop: Ratio::ZERO,
        meme_recover: Ratio(i64::MIN),
        rsi_max: ratio("45"),
        rsi_exit: Ratio(i64::MAX),
        support_low: price("160"),
        support_high: price("162"),
        max_hold_ns: if chance.one_in(8) { 20 * NANOS_PER_SEC } else { 0 },
        max_trade_risk: chance.pick(&[ratio("0.05"), ratio("0.01")]),
        stop_loss: price("155"),
        max_exposure: ratio("1"),
        max_consecutive_losses: 4,
        news_lock: false,
        daily_loss: Ratio::ZERO,
        max_slippage: Bps(1_000),
        slippage_kill: Bps(10_000),
        slippage_window_ns: 300 * NANOS_PER_SEC,
        naked_ns_max: 500 * NANOS_PER_MILLI,
        clock_offset_ns_max: 1_000 * NANOS_PER_MILLI,
        tranches: 3,
        tranche_window_ns: chance.pick(&[3, 6, 9]) * NANOS_PER_SEC,
        tranche_tif: if chance.one_in(6) { TimeInForce::Fok } else { TimeInForce::Ioc },
        tp1_price: price("163.5"),
        tp1_above: Ratio::ZERO,
        tp2_price: price("166"),
        tp2_above: Ratio::ZERO,
        tp1_share: ratio("0.5"),
        repost_shift: ratio("0.001"),
        repost_same_price: chance.one_in(3),
        flatten_on_stop: chance.one_in(3),
        stale_bbo_ns: 5 * NANOS_PER_SEC,
        stale_candle_ns: 600 * NANOS_PER_SEC,
        stale_volume_ns: 36 * 3_600 * NANOS_PER_SEC,
        stale_confirm_ns: 36 * 3_600 * NANOS_PER_SEC,
        stale_slot_ns: 10 * NANOS_PER_SEC,
        dex_divergence: Ratio::ZERO,
    }
}
