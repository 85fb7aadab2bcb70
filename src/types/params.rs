//! The numbers a trader sets: thresholds, risk limits, execution. Validated before they get here.
//!
//! Thread: any.  Invariants: every field is one integer with one [`ParamKey`], so that a reload travels as a row of
//! `Control::Set` events and takes force at one event boundary, and a replay repeats it.

use super::units::{Bps, Price, Ratio};

macro_rules! params {
    ($($(#[$doc:meta])+ $key:ident $field:ident: $unit:tt;)+) => {
        /// Every number of the strategy that a reload may change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Params { $($(#[$doc])+ pub $field: params!(@type $unit),)+ }

        /// Names of the numbers in [`Params`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ParamKey { $($(#[$doc])+ $key,)+ }

        impl ParamKey {
            /// All of them, in order.
            pub const ALL: &'static [ParamKey] = &[$(ParamKey::$key,)+];
            /// Field name.
            pub fn name(self) -> &'static str {
                match self { $(ParamKey::$key => stringify!($field),)+ }
            }
        }

        impl Params {
            /// From one bare integer a key; `None` where one is missing.
            pub fn of(mut bare: impl FnMut(ParamKey) -> Option<i64>) -> Option<Params> {
                $(let $field = bare(ParamKey::$key)?;)+
                Some(Params { $($field: params!(@set $unit, $field),)+ })
            }
            /// Value of a key as a bare integer.
            pub fn get(&self, key: ParamKey) -> i64 {
                match key { $(ParamKey::$key => params!(@get $unit, self.$field),)+ }
            }
            /// Sets a key from a bare integer.
            pub fn set(&mut self, key: ParamKey, value: i64) {
                match key { $(ParamKey::$key => self.$field = params!(@set $unit, value),)+ }
            }
        }
    };
    (@type Price) => { Price }; (@type Ratio) => { Ratio }; (@type Bps) => { Bps };
    (@type Nanos) => { i64 }; (@type Count) => { i64 }; (@type Flag) => { bool }; (@type Tif) => { super::TimeInForce };
    (@get Price, $v:expr) => { $v.0 }; (@get Ratio, $v:expr) => { $v.0 }; (@get Bps, $v:expr) => { i64::from($v.0) };
    (@get Nanos, $v:expr) => { $v }; (@get Count, $v:expr) => { $v }; (@get Flag, $v:expr) => { i64::from($v) };
    (@get Tif, $v:expr) => { match $v { super::TimeInForce::Gtc => 0, super::TimeInForce::Ioc => 1, super::TimeInForce::Fok => 2 } };
    (@set Price, $v:expr) => { Price($v) }; (@set Ratio, $v:expr) => { Ratio($v) };
    (@set Bps, $v:expr) => { Bps($v.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32) };
    (@set Nanos, $v:expr) => { $v }; (@set Count, $v:expr) => { $v }; (@set Flag, $v:expr) => { $v != 0 };
    (@set Tif, $v:expr) => { match $v { 0 => super::TimeInForce::Gtc, 2 => super::TimeInForce::Fok, _ => super::TimeInForce::Ioc } };
}

params! {
    /// ENTER needs a volume drop strictly above this.
    MemeDrop meme_drop: Ratio;
    /// ENTER needs a volume drop in SOL strictly above this; 0 = off.
    MemeDropSol meme_drop_sol: Ratio;
    /// ENTER needs so many OK sources of other streams that fell too, 0 to 3.
    ConfirmationsMin confirmations_min: Count;
    /// ... each by more than this.
    ConfirmDrop confirm_drop: Ratio;
    /// EXIT when the drop has fallen to this or below; `Ratio(i64::MIN)` = never.
    MemeRecover meme_recover: Ratio;
    /// ENTER needs an RSI strictly below this.
    RsiMax rsi_max: Ratio;
    /// EXIT when the RSI is at or above this; `Ratio(i64::MAX)` = never.
    RsiExit rsi_exit: Ratio;
    /// ENTER needs a mid at or above this.
    SupportLow support_low: Price;
    /// ENTER needs a mid at or below this.
    SupportHigh support_high: Price;
    /// EXIT when a position is older; 0 = never.
    MaxHold max_hold_ns: Nanos;
    /// Largest loss at the stop, fees included, as a share of equity.
    MaxTradeRisk max_trade_risk: Ratio;
    /// Where the stop stands; the global stop too.
    StopLoss stop_loss: Price;
    /// Largest position value as a share of equity.
    MaxExposure max_exposure: Ratio;
    /// Pause after this many losing round trips in a row.
    MaxConsecutiveLosses max_consecutive_losses: Count;
    /// No entries while set.
    NewsLock news_lock: Flag;
    /// Pause for the rest of the UTC day after losing this share of the day's first equity; 0 = off.
    DailyLoss daily_loss: Ratio;
    /// How far beyond the opposite quote a taking order may pay.
    MaxSlippage max_slippage: Bps;
    /// Pause when the mean slippage over the window is above this.
    SlippageKill slippage_kill: Bps;
    /// Length of that window.
    SlippageWindow slippage_window_ns: Nanos;
    /// Longest time coins above dust may be without a live stop.
    NakedMax naked_ns_max: Nanos;
    /// Refuse orders when the venue's clock is further away.
    ClockOffsetMax clock_offset_ns_max: Nanos;
    /// Entry orders per signal, 1 to 20.
    Tranches tranches: Count;
    /// Time over which they are spread: tranche k is due at k * window / tranches after the first.
    TrancheWindow tranche_window_ns: Nanos;
    /// IOC or FOK.
    TrancheTif tranche_tif: Tif;
    /// First target as a price; zero = relative.
    Tp1Price tp1_price: Price;
    /// First target above the average entry, if no price is given.
    Tp1Above tp1_above: Ratio;
    /// Second target as a price; zero = relative.
    Tp2Price tp2_price: Price;
    /// Second target above the average entry, if no price is given.
    Tp2Above tp2_above: Ratio;
    /// Share of the position that the first target sells.
    Tp1Share tp1_share: Ratio;
    /// Re-post a resting exit when the top of book moved further than this since it was posted.
    RepostShift repost_shift: Ratio;
    /// Re-post even at the same price (loses the queue place).
    RepostSamePrice repost_same_price: Flag;
    /// SIGTERM sells the position instead of leaving it to its protective orders.
    FlattenOnStop flatten_on_stop: Flag;
    /// Top of book older than this refuses entries.
    StaleBbo stale_bbo_ns: Nanos;
    /// Newest candle older than this refuses entries.
    StaleCandle stale_candle_ns: Nanos;
    /// Newest volume sample older than this refuses entries.
    StaleVolume stale_volume_ns: Nanos;
    /// Newest sample of another volume source older than this confirms nothing.
    StaleConfirm stale_confirm_ns: Nanos;
    /// Newest Solana slot older than this refuses entries.
    StaleSlot stale_slot_ns: Nanos;
    /// Entries wait while a Solana exchange's mid is further away than this; 0 = not watched.
    DexDivergence dex_divergence: Ratio;
}
