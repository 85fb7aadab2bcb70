//! The ladder: quotes of rising size on both sides, one round after the other, as one book.
//!
//! Thread: any.  Invariants: one request at a time; never more than `quotes_per_minute` in any 60 s; quotes of one book
//! are of one round, and no round takes longer than [`ROUND_NS_MAX`]; a ladder that contradicts itself is told as `Gap`.
//!
//! A round asks for a sale of the smallest size first. What that brings sets the price at which USDC amounts are chosen
//! for the other side, since Jupiter takes exact inputs only: to buy `n` SOL it is asked what `n` SOL's worth of USDC
//! buys. Level `i` is what the step from size `i - 1` to size `i` adds: `(out_i - out_{i-1}) / (in_i - in_{i-1})`.
//! The sides take turns, so the two best prices are asked for right after one another. The market moves within a round
//! and routes differ by size, so a level may seem a trifle better than the one before it: up to `slack` it counts as
//! equal, beyond it the round is not believed.

use std::collections::VecDeque;

use super::quote::{self, Quote};
use super::{QuoteError, Refusal};
use crate::types::event::StreamState;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::units::RATIO_SCALE;
use crate::types::{Event, EventKind, Price, Qty, Ratio, StreamId, Time};
use crate::venue::DecodeError;
use crate::venue::dex::{DexLevels, DexSide, LEVELS_MAX};
use crate::venue::manifest::account::{USDC, WSOL};

/// Span in which Jupiter counts requests.
const WINDOW_NS: i64 = 60 * NANOS_PER_SEC;
/// Longest round: older quotes say nothing beside newer ones.
pub const ROUND_NS_MAX: i64 = 10 * NANOS_PER_SEC;
/// Longest wait for one answer.
const ANSWER_NS_MAX: i64 = 10 * NANOS_PER_SEC;
/// Pause after a failure; doubles with each one in a row.
const PAUSE_NS: i64 = 500 * NANOS_PER_MILLI;
/// Pause after a refusal for too many requests; doubles with each one in a row.
const LIMITED_NS: i64 = 10 * NANOS_PER_SEC;
/// Longest pause.
const PAUSE_NS_MAX: i64 = 60 * NANOS_PER_SEC;
/// Failures in a row after which the source counts as down.
const FAILURES_MAX: u32 = 3;
/// Most decimals that a token may have here.
const DECIMALS_MAX: u8 = 18;
/// Most requests a minute that anybody may set: a plan of 150 a second.
const QUOTES_MAX: u32 = 9_000;

/// What the session is to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderSettings {
    /// The token that is traded.
    pub base_mint: String,
    /// The token that it is paid with.
    pub quote_mint: String,
    /// Decimals of the base token.
    pub base_decimals: u8,
    /// Decimals of the quote token.
    pub quote_decimals: u8,
    /// Sizes of the ladder, rising.
    pub sizes: Vec<Qty>,
    /// Requests in any 60 s.
    pub quotes_per_minute: u32,
    /// How long there may be no whole round, ns.
    pub stale_after_ns: i64,
    /// How much better than the one before a level may seem.
    pub slack: Ratio,
}

impl Default for LadderSettings {
    fn default() -> LadderSettings {
        LadderSettings {
            base_mint: WSOL.to_owned(),
            quote_mint: USDC.to_owned(),
            base_decimals: 9,
            quote_decimals: 6,
            sizes: [1, 10, 50].map(|sol| Qty(sol * NANOS_PER_SEC)).to_vec(),
            quotes_per_minute: 24,
            stale_after_ns: 60 * NANOS_PER_SEC,
            slack: Ratio(RATIO_SCALE / 10_000 * 5),
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// None, too many, not positive or not rising.
    #[error("sizes of the quote ladder: 1 to {LEVELS_MAX} of them, positive and rising")]
    Sizes,
    /// Too few requests for one round, or more than any plan has.
    #[error("quotes a minute: at least two a size, at most {QUOTES_MAX}")]
    Quotes,
    /// A token that no price of ours can hold.
    #[error("decimals of a token: at most {DECIMALS_MAX}")]
    Decimals,
}

/// What went in and what came out, atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Swap {
    input: u64,
    output: u64,
}

/// A round under way: sales at even steps, purchases at odd ones.
#[derive(Clone, Debug)]
struct Round {
    started: Time,
    /// Oldest slot that an answer named, else the newest known when the round began.
    slot: u64,
    is_slot_named: bool,
    sales: Vec<Swap>,
    purchases: Vec<Swap>,
}

/// Asks round after round, says what the answers are worth.
#[derive(Clone, Debug)]
pub struct LadderSession {
    settings: LadderSettings,
    /// The sizes in base atoms.
    sizes: Vec<u64>,
    round: Option<Round>,
    round_due: Time,
    /// When requests of the last 60 s were sent, oldest first.
    sent: VecDeque<Time>,
    /// Amount asked for and when, while the answer is awaited.
    asked: Option<(u64, Time)>,
    not_before: Time,
    failures: u32,
    newest_slot: u64,
    levels: Option<DexLevels>,
    /// When the last whole round came, or when anybody first looked.
    life_at: Option<Time>,
    state: Option<StreamState>,
}

impl LadderSession {
    /// Nothing asked yet. Errors: [`SettingsError`].
    pub fn new(settings: LadderSettings) -> Result<LadderSession, SettingsError> {
        let rises = settings.sizes.iter().zip(settings.sizes.iter().skip(1)).all(|(small, large)| small < large);
        let sizes: Option<Vec<u64>> = settings.sizes.iter().map(|size| atoms(*size, settings.base_decimals)).collect();
        let sizes =
            sizes.filter(|atoms| rises && (1..=LEVELS_MAX).contains(&atoms.len())).ok_or(SettingsError::Sizes)?;
        let round = u32::try_from(2 * sizes.len()).unwrap_or(u32::MAX);
        if !(round..=QUOTES_MAX).contains(&settings.quotes_per_minute) {
            return Err(SettingsError::Quotes);
        }
        if settings.base_decimals.max(settings.quote_decimals) > DECIMALS_MAX {
            return Err(SettingsError::Decimals);
        }
        Ok(LadderSession {
            sent: VecDeque::with_capacity(settings.quotes_per_minute as usize),
            settings,
            sizes,
            round: None,
            round_due: Time::NONE,
            asked: None,
            not_before: Time::NONE,
            failures: 0,
            newest_slot: 0,
            levels: None,
            life_at: None,
            state: None,
        })
    }

    /// Path of the request to send now, if any; it then counts as sent, and wants an answer or a failure.
    pub fn next_request(&mut self, now: Time) -> Option<String> {
        if self.asked.is_some() || now < self.not_before {
            return None;
        }
        while self.sent.front().is_some_and(|sent| now.since(*sent) >= WINDOW_NS) {
            self.sent.pop_front();
        }
        self.begin_round(now);
        let round = self.round.as_ref().filter(|_| self.sent.len() < self.quotes_per_minute())?;
        let (is_sale, amount) = self.next_swap(round)?;
        self.asked = Some((amount, now));
        self.sent.push_back(now);
        let (base, quote) = (&self.settings.base_mint, &self.settings.quote_mint);
        let (input, output) = if is_sale { (base, quote) } else { (quote, base) };
        Some(format!("/swap/v2/order?inputMint={input}&outputMint={output}&amount={amount}"))
    }

    /// Takes an answer. Errors: [`QuoteError`]; the same step is asked again after a pause, at last in a new round.
    pub fn on_answer(
        &mut self,
        status: u16,
        body: &[u8],
        now: Time,
        emit: &mut impl FnMut(Event),
    ) -> Result<(), QuoteError> {
        let Some((amount, _)) = self.asked.take() else { return Ok(()) };
        let read = quote::decode(status, body).and_then(|quote| self.note(&quote, amount));
        if let Err(error) = read {
            self.fail(pause_after(error, self.failures), now, emit);
            return Err(error);
        }
        self.failures = 0;
        let is_whole = self.round.as_ref().is_some_and(|round| round.purchases.len() == self.sizes.len());
        match self.round.take_if(|_| is_whole) {
            Some(round) => self.finish(&round, now, emit),
            None => Ok(()),
        }
    }

    /// There was no answer at all.
    pub fn on_failed(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        if self.asked.take().is_some() {
            self.fail(doubled(PAUSE_NS, self.failures), now, emit);
        }
    }

    /// Call at least once a second: tells silence, gives up an answer that does not come.
    pub fn on_timer(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        if self.asked.is_some_and(|(_, at)| now.since(at) >= ANSWER_NS_MAX) {
            self.on_failed(now, emit);
        }
        let life_at = *self.life_at.get_or_insert(now);
        let may_turn = matches!(self.state, None | Some(StreamState::Up));
        if may_turn && now.since(life_at) >= self.settings.stale_after_ns {
            self.turn_to(StreamState::Stale, now, emit);
        }
    }

    /// The newest slot of the chain, from wherever it is told: quotes of the current interface name none.
    pub fn on_slot(&mut self, newest_slot: u64) {
        self.newest_slot = newest_slot;
    }

    /// The newest whole ladder, while it is believed.
    pub fn levels(&self) -> Option<&DexLevels> {
        self.levels.as_ref()
    }

    /// State of the stream; `None` before anything happened.
    pub fn state(&self) -> Option<StreamState> {
        self.state
    }

    fn quotes_per_minute(&self) -> usize {
        self.settings.quotes_per_minute as usize
    }

    /// Starts a round when one is due and fits the budget whole; ends one that took too long.
    fn begin_round(&mut self, now: Time) {
        self.round.take_if(|round| now.since(round.started) > ROUND_NS_MAX);
        let size = 2 * self.sizes.len();
        if self.round.is_some() || now < self.round_due || self.sent.len() + size > self.quotes_per_minute() {
            return;
        }
        let rounds_per_window = i64::from(self.settings.quotes_per_minute) / i64::try_from(size).unwrap_or(i64::MAX);
        self.round_due = now.plus(WINDOW_NS / rounds_per_window.max(1));
        let (sales, purchases) = (Vec::with_capacity(size), Vec::with_capacity(size));
        let (slot, is_slot_named) = (self.newest_slot, false);
        self.round = Some(Round { started: now, slot, is_slot_named, sales, purchases });
    }

    /// Whether the round's next step is a sale, and its amount: sales and purchases take turns.
    fn next_swap(&self, round: &Round) -> Option<(bool, u64)> {
        if round.sales.len() == round.purchases.len() {
            return self.sizes.get(round.sales.len()).map(|size| (true, *size));
        }
        let reference = round.sales.first()?;
        let worth = u128::from(*self.sizes.get(round.purchases.len())?) * u128::from(reference.output);
        let amount = worth.div_ceil(u128::from(reference.input.max(1)));
        u64::try_from(amount).ok().map(|amount| (false, amount))
    }

    /// Notes the round's next swap, if the answer is to the question.
    fn note(&mut self, quote: &Quote, amount: u64) -> Result<(), QuoteError> {
        let contradiction = |name: &'static str| QuoteError::Decode(DecodeError::Contradiction { name });
        let Some(round) = self.round.as_mut() else { return Ok(()) };
        let is_sale = round.sales.len() == round.purchases.len();
        let (base, quote_mint) = (self.settings.base_mint.as_bytes(), self.settings.quote_mint.as_bytes());
        let wanted = if is_sale { (base, quote_mint) } else { (quote_mint, base) };
        if (quote.input_mint, quote.output_mint) != wanted {
            return Err(contradiction("inputMint"));
        }
        if quote.in_amount != amount {
            return Err(contradiction("inAmount"));
        }
        if quote.out_amount == 0 {
            return Err(contradiction("outAmount"));
        }
        if let Some(slot) = quote.slot {
            round.slot = if round.is_slot_named { round.slot.min(slot) } else { slot };
            round.is_slot_named = true;
        }
        let swap = Swap { input: amount, output: quote.out_amount };
        if is_sale {
            round.sales.push(swap)
        } else {
            round.purchases.push(swap)
        }
        Ok(())
    }

    /// A round is whole: a book, or none if it contradicts itself.
    fn finish(&mut self, round: &Round, now: Time, emit: &mut impl FnMut(Event)) -> Result<(), QuoteError> {
        let bids = self.bids(&round.sales);
        let asks = self.asks(&round.purchases);
        let levels = bids.zip(asks).map(|(bids, asks)| DexLevels { slot: round.slot, bids, asks });
        self.levels = levels.filter(DexLevels::is_sound);
        let Some(levels) = self.levels else {
            self.turn_to(StreamState::Gap, now, emit);
            return Err(QuoteError::Suspect);
        };
        self.life_at = Some(now);
        self.turn_to(StreamState::Up, now, emit);
        emit(event(EventKind::Dex(levels.book()), now));
        Ok(())
    }

    /// Levels of the sales, prices rounded down; `None` if a larger sale brings less, or a level is better by more than
    /// the slack than the one before.
    fn bids(&self, sales: &[Swap]) -> Option<DexSide> {
        let (mut side, mut before, mut best) = (DexSide::default(), Swap::default(), None);
        for sale in sales {
            let (base, quote) = (sale.input.checked_sub(before.input)?, sale.output.checked_sub(before.output)?);
            let (worth, base_atoms) = (self.price_parts(quote)?, u128::from(base));
            let price = Price(i64::try_from(worth.checked_div(base_atoms)?).ok()?);
            let limit: Price = best.unwrap_or(price);
            if price > limit.times_ceil(Ratio(RATIO_SCALE.checked_add(self.settings.slack.0)?))? {
                return None;
            }
            let price = price.min(limit);
            side.push(price, self.qty_floor(base)?).then_some(())?;
            (before, best) = (*sale, Some(price));
        }
        Some(side)
    }

    /// Levels of the purchases, prices rounded up; `None` as for the sales.
    fn asks(&self, purchases: &[Swap]) -> Option<DexSide> {
        let (mut side, mut before, mut best) = (DexSide::default(), Swap::default(), None);
        for purchase in purchases {
            let quote = purchase.input.checked_sub(before.input)?;
            let base = purchase.output.checked_sub(before.output).filter(|base| *base > 0)?;
            let price = Price(i64::try_from(self.price_parts(quote)?.div_ceil(u128::from(base))).ok()?);
            let limit: Price = best.unwrap_or(price);
            if price < limit.times_floor(Ratio(RATIO_SCALE.checked_sub(self.settings.slack.0)?))? {
                return None;
            }
            let price = price.max(limit);
            side.push(price, self.qty_floor(base)?).then_some(())?;
            (before, best) = (*purchase, Some(price));
        }
        Some(side)
    }

    /// Quote atoms such that, divided by base atoms, they are a price in 1e-8.
    fn price_parts(&self, quote: u64) -> Option<u128> {
        let exponent = 8 + i32::from(self.settings.base_decimals) - i32::from(self.settings.quote_decimals);
        let scale = 10_u128.checked_pow(exponent.unsigned_abs())?;
        if exponent < 0 { u128::from(quote).checked_div(scale) } else { u128::from(quote).checked_mul(scale) }
    }

    /// Base atoms as a size, rounded down.
    fn qty_floor(&self, base: u64) -> Option<Qty> {
        let scale = 10_u128.checked_pow(u32::from(self.settings.base_decimals))?;
        let e9 = u128::from(base).checked_mul(1_000_000_000)?.checked_div(scale)?;
        i64::try_from(e9).ok().map(Qty)
    }

    /// A request failed: a pause; too many in a row, and the source is down and its round lost.
    fn fail(&mut self, pause_ns: i64, now: Time, emit: &mut impl FnMut(Event)) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.plus(pause_ns);
        if self.failures >= FAILURES_MAX {
            self.round = None;
            self.levels = None;
            self.turn_to(StreamState::Down, now, emit);
        }
    }

    /// Tells a change of health, once.
    fn turn_to(&mut self, state: StreamState, at: Time, emit: &mut impl FnMut(Event)) {
        if self.state != Some(state) {
            self.state = Some(state);
            emit(event(EventKind::Stream(state), at));
        }
    }
}

/// How long to wait after a failure, the next of `before` in a row.
fn pause_after(error: QuoteError, before: u32) -> i64 {
    match error {
        QuoteError::Limited { .. } => doubled(LIMITED_NS, before),
        QuoteError::BadKey { .. } | QuoteError::Refused(Refusal::NotTradable) => PAUSE_NS_MAX,
        _ => doubled(PAUSE_NS, before),
    }
}

fn doubled(pause_ns: i64, times: u32) -> i64 {
    pause_ns.saturating_mul(1 << times.min(16)).min(PAUSE_NS_MAX)
}

/// A size in atoms of a token of so many decimals, rounded down; `None` if it is not positive or does not fit.
fn atoms(size: Qty, decimals: u8) -> Option<u64> {
    let e9 = u128::try_from(size.0).ok()?;
    let atoms = e9.checked_mul(10_u128.checked_pow(u32::from(decimals))?)? / 1_000_000_000;
    u64::try_from(atoms).ok().filter(|atoms| *atoms > 0)
}

/// Not yet numbered: the hot agent sets `seq` and `at`.
fn event(kind: EventKind, recv: Time) -> Event {
    Event { seq: 0, recv, at: Time::NONE, venue_time: Time::NONE, stream: StreamId::Jupiter, kind }
}
