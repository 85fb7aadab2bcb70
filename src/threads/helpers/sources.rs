//! What the pollers ask: DeFiLlama's summaries and list, pump.fun's one address, CoinGecko's categories.
//!
//! Runs on: helper threads, one source each.  Invariants: each round says of every part whether it was read; a part that
//! was not is asked for whole the next time; nothing here waits except in a request.

use std::fmt;

use super::pollers::{CoinGeckoSettings, LlamaSettings, PumpSettings, SolPriceSettings};
use super::web::{FetchError, Fetched, Poll};
use crate::ring::Tap;
use crate::sys::clock::Clock;
use crate::types::event::{SourceReason, VolumeSample};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{StreamId, Time};
use crate::venue::defillama::{self, Restated};
use crate::venue::sol_prices::{self, SolPrices};
use crate::venue::{DecodeError, coingecko, pumpfun};

/// Longest wait that a server's Retry-After can impose.
const RETRY_AFTER_MAX_NS: i64 = 3_600 * NANOS_PER_SEC;
/// Wait after a 429 that names no time, in intervals.
const BUSY_INTERVALS: i64 = 2;
/// Between two looks at SOL's hourly prices.
const PRICES_EVERY_NS: i64 = 600 * NANOS_PER_SEC;
/// The same after a failure.
const PRICES_RETRY_NS: i64 = 30 * NANOS_PER_SEC;
/// The protocol list is looked at once in this many polls.
const LIST_EVERY: u32 = 256;
/// What a recording calls the list.
const LIST_SOURCE: &str = "defillama:/overview/dexs/Solana";

/// Something for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollNote {
    /// No answer, or one of no use.
    Failed {
        /// Which source.
        stream: StreamId,
        /// Which of its parts: a protocol, a path.
        part: String,
        /// Why.
        reason: String,
    },
    /// A past day changed by more than 5 %.
    Restated {
        /// Which protocol.
        slug: String,
        /// What changed.
        change: Restated,
    },
    /// A configured protocol is not in the provider's list.
    UnknownSlug {
        /// The configured name.
        slug: String,
        /// Names that the list has.
        known: Vec<String>,
    },
    /// Yesterday's value is not there at noon UTC. Told once a day.
    Late,
}

impl fmt::Display for PollNote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PollNote::Failed { stream, part, reason } => write!(out, "{} {part}: {reason}", stream.name()),
            PollNote::Restated { slug, change: Restated { day, was, is } } => {
                write!(out, "defillama {slug}: UTC day {day} restated from {was} to {is} USD")
            }
            PollNote::UnknownSlug { slug, known } => {
                let known = known.join(", ");
                write!(out, "feeds.defillama_slugs: `{slug}` is not in DeFiLlama's list, which has: {known}")
            }
            PollNote::Late => write!(out, "defillama: yesterday's volume is still missing at noon UTC"),
        }
    }
}

/// How a round of requests went.
pub(super) struct Round {
    /// Every part was read.
    pub(super) is_whole: bool,
    /// What the server asked us to wait.
    pub(super) wait_ns: Option<i64>,
}

impl Round {
    const GOOD: Round = Round { is_whole: true, wait_ns: None };

    fn failed(&mut self, error: &FetchError, poll_ns: i64) {
        self.is_whole = false;
        if let FetchError::Status { status: 429 | 503, retry_after_s } = error {
            let asked = retry_after_s.map(|s| (i64::from(s) * NANOS_PER_SEC).min(RETRY_AFTER_MAX_NS));
            let wait = asked.unwrap_or(poll_ns.saturating_mul(BUSY_INTERVALS));
            self.wait_ns = Some(self.wait_ns.unwrap_or(0).max(wait));
        }
    }
}

/// A thing to poll.
pub(super) trait Source: Send {
    fn stream(&self) -> StreamId;
    /// Asks once for everything.
    fn round(&mut self, agent: &ureq::Agent, clock: Clock, note: &mut dyn FnMut(PollNote)) -> Round;
    fn sample(&self, now: Time) -> VolumeSample;
}

/// DeFiLlama: one summary for each protocol, and now and then the list.
pub(super) struct Llama {
    reader: defillama::Reader,
    poll_ns: i64,
    list: Poll,
    summaries: Vec<(String, Poll)>,
    rounds: u32,
    late_day: Option<i64>,
    tap: Tap,
}

impl Llama {
    pub(super) fn new(settings: &LlamaSettings, tap: Tap) -> Llama {
        let base = settings.base_url.trim_end_matches('/');
        let summary = |slug: &String| (slug.clone(), Poll::new(format!("{base}{}", defillama::summary_path(slug))));
        Llama {
            reader: defillama::Reader::new(&settings.reader),
            poll_ns: settings.poll_ns,
            list: Poll::new(format!("{base}{}", defillama::OVERVIEW_PATH)),
            summaries: settings.reader.slugs.iter().map(summary).collect(),
            rounds: 0,
            late_day: None,
            tap,
        }
    }

    /// Tells which configured names the provider does not know. Its failure is no failure of the round.
    fn check_names(&mut self, agent: &ureq::Agent, clock: Clock, note: &mut dyn FnMut(PollNote)) {
        let failed = |reason: String| PollNote::Failed { stream: StreamId::DefiLlama, part: "overview".into(), reason };
        let listed = match self.list.fetch(agent) {
            Ok(Fetched::Unchanged) => return,
            Ok(Fetched::Body(body)) => {
                self.tap.frame(LIST_SOURCE, clock.now(), &body);
                defillama::pump_protocols(&body).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match listed {
            Err(reason) => note(failed(reason)),
            Ok(listed) => {
                let known: Vec<String> = listed.into_iter().map(|protocol| protocol.slug).collect();
                let unknown = self.summaries.iter().map(|(slug, _)| slug).filter(|slug| !known.contains(slug));
                unknown.for_each(|slug| note(PollNote::UnknownSlug { slug: slug.clone(), known: known.clone() }));
            }
        }
    }
}

impl Source for Llama {
    fn stream(&self) -> StreamId {
        StreamId::DefiLlama
    }

    fn round(&mut self, agent: &ureq::Agent, clock: Clock, note: &mut dyn FnMut(PollNote)) -> Round {
        let mut round = Round::GOOD;
        for (slug, poll) in &mut self.summaries {
            let read: Result<Option<Restated>, String> = match poll.fetch(agent) {
                Ok(Fetched::Unchanged) => Ok(None),
                Ok(Fetched::Body(body)) => {
                    let recv = clock.now();
                    self.tap.frame(&format!("defillama:/summary/dexs/{slug}"), recv, &body);
                    self.reader.on_body(slug, &body, recv).map_err(|e| bad_body(&e))
                }
                Err(error) => {
                    self.reader.on_failed(slug, reason_of(&error));
                    round.failed(&error, self.poll_ns);
                    Err(error.to_string())
                }
            };
            match read {
                Ok(None) => {}
                Ok(Some(change)) => note(PollNote::Restated { slug: slug.clone(), change }),
                Err(reason) => {
                    poll.forget();
                    round.is_whole = false;
                    note(PollNote::Failed { stream: StreamId::DefiLlama, part: slug.clone(), reason });
                }
            }
        }
        if self.rounds.is_multiple_of(LIST_EVERY) {
            self.check_names(agent, clock, note);
        }
        self.rounds = self.rounds.wrapping_add(1);
        let now = clock.now();
        if self.reader.is_late(now) && self.late_day != Some(now.utc_day()) {
            self.late_day = Some(now.utc_day());
            note(PollNote::Late);
        }
        round
    }

    fn sample(&self, now: Time) -> VolumeSample {
        self.reader.sample(now)
    }
}

/// What reads the one address of a source.
pub(super) trait PageReader: Send {
    /// Takes a whole answer.
    fn on_body(&mut self, body: &[u8], now: Time) -> Result<(), DecodeError>;
    /// There was none, or one of no use.
    fn on_failed(&mut self, reason: SourceReason);
    /// What the source says.
    fn sample(&self, now: Time) -> VolumeSample;
}

/// A source of one address: each answer is all that it says.
pub(super) struct Page<R> {
    reader: R,
    stream: StreamId,
    /// What it asks for, in the log.
    part: &'static str,
    /// What a recording calls its answers.
    recorded_as: &'static str,
    poll_ns: i64,
    poll: Poll,
    /// The body that a 304 confirms.
    body: Vec<u8>,
    tap: Tap,
}

/// pump.fun.
pub(super) fn pump(settings: PumpSettings, tap: Tap) -> Result<Page<pumpfun::Reader>, pumpfun::PointerError> {
    let mut reader = pumpfun::Reader::new(&settings.pointer, settings.stale_ns)?;
    reader.restore(settings.readings);
    Ok(Page {
        reader,
        stream: StreamId::PumpFun,
        part: "24 h volume",
        recorded_as: "pumpfun",
        poll_ns: settings.poll_ns,
        poll: Poll::new(settings.url),
        body: Vec::new(),
        tap,
    })
}

/// CoinGecko: the category list.
pub(super) fn gecko(settings: CoinGeckoSettings, tap: Tap) -> Page<coingecko::Reader> {
    let mut reader = coingecko::Reader::new(&settings.category);
    reader.restore(settings.readings);
    let base = settings.base_url.trim_end_matches('/');
    let poll = Poll::new(format!("{base}{}", coingecko::CATEGORIES_PATH));
    Page {
        reader,
        stream: StreamId::CoinGecko,
        part: "categories",
        recorded_as: "coingecko:/coins/categories",
        poll_ns: settings.poll_ns,
        poll: settings.key.into_iter().fold(poll, |poll, key| poll.with_secret(key.header, key.value)),
        body: Vec::new(),
        tap,
    }
}

impl PageReader for pumpfun::Reader {
    fn on_body(&mut self, body: &[u8], now: Time) -> Result<(), DecodeError> {
        pumpfun::Reader::on_body(self, body, now).map(drop)
    }
    fn on_failed(&mut self, reason: SourceReason) {
        pumpfun::Reader::on_failed(self, reason);
    }
    fn sample(&self, now: Time) -> VolumeSample {
        pumpfun::Reader::sample(self, now)
    }
}

impl PageReader for coingecko::Reader {
    fn on_body(&mut self, body: &[u8], now: Time) -> Result<(), DecodeError> {
        coingecko::Reader::on_body(self, body, now).map(drop)
    }
    fn on_failed(&mut self, reason: SourceReason) {
        coingecko::Reader::on_failed(self, reason);
    }
    fn sample(&self, now: Time) -> VolumeSample {
        coingecko::Reader::sample(self, now)
    }
}

impl<R: PageReader> Source for Page<R> {
    fn stream(&self) -> StreamId {
        self.stream
    }

    fn round(&mut self, agent: &ureq::Agent, clock: Clock, note: &mut dyn FnMut(PollNote)) -> Round {
        let mut round = Round::GOOD;
        let read = match self.poll.fetch(agent) {
            Ok(fetched) => {
                if let Fetched::Body(body) = fetched {
                    self.tap.frame(self.recorded_as, clock.now(), &body);
                    self.body = body;
                }
                self.reader.on_body(&self.body, clock.now()).map_err(|error| bad_body(&error))
            }
            Err(error) => {
                self.reader.on_failed(reason_of(&error));
                round.failed(&error, self.poll_ns);
                Err(error.to_string())
            }
        };
        if let Err(reason) = read {
            self.poll.forget();
            round.is_whole = false;
            note(PollNote::Failed { stream: self.stream, part: self.part.to_owned(), reason });
        }
        round
    }

    fn sample(&self, now: Time) -> VolumeSample {
        self.reader.sample(now)
    }
}

/// SOL's hourly prices, shared by the sources: whichever polls first after they fell due asks for all.
pub(super) struct HourlyPrices {
    prices: SolPrices,
    poll: Poll,
    due: Time,
}

impl HourlyPrices {
    pub(super) fn new(settings: &SolPriceSettings) -> HourlyPrices {
        let base = settings.base_url.trim_end_matches('/');
        let poll = Poll::new(format!("{base}{}", sol_prices::klines_path(&settings.symbol)));
        HourlyPrices { prices: SolPrices::default(), poll, due: Time::NONE }
    }

    /// Asks if it is time to, and says the sample's windows in SOL.
    pub(super) fn fill(
        &mut self,
        sample: &mut VolumeSample,
        agent: &ureq::Agent,
        now: Time,
        note: &mut dyn FnMut(PollNote),
    ) {
        if now >= self.due {
            let read = match self.poll.fetch(agent) {
                Ok(Fetched::Unchanged) => Ok(()),
                Ok(Fetched::Body(body)) => self.prices.on_body(&body, now).map_err(|error| bad_body(&error)),
                Err(error) => Err(error.to_string()),
            };
            self.due = now.plus(if read.is_ok() { PRICES_EVERY_NS } else { PRICES_RETRY_NS });
            if let Err(reason) = read {
                self.poll.forget();
                note(PollNote::Failed { stream: StreamId::BinanceCandle, part: "hourly prices".to_owned(), reason });
            }
        }
        self.prices.fill(sample);
    }
}

/// Why a source is down that could not be asked.
fn reason_of(error: &FetchError) -> SourceReason {
    match error {
        FetchError::Status { .. } => SourceReason::Refused,
        FetchError::TooLong => SourceReason::Unreadable,
        FetchError::Timeout | FetchError::Io { .. } => SourceReason::NoAnswer,
    }
}

fn bad_body(error: &DecodeError) -> String {
    format!("the answer cannot be used: {error}")
}
