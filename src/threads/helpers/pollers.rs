//! The slow volume feeds: one unpinned thread a source, polling over HTTP, events into a sink.
//!
//! Runs on: helper threads, one each.  Owns: the source's reader and HTTP client.  Clock: read after each answer.
//! Writes: the sink given at start.  Invariants: a failure is a `Down` sample and a note, never a silence; a stopped
//! poller leaves its wait at once and a running request within its time limit.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::sources::{self, HourlyPrices, Llama, Source};
use super::web;
use crate::ring::Tap;
use crate::sys::clock::Clock;
use crate::sys::net::tls::TlsSetupError;
use crate::types::event::StreamState;
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Event, EventKind, StreamId, Time};
use crate::venue::sampled::Reading;
use crate::venue::{defillama, pumpfun};

pub use super::sources::PollNote;

/// Wait before the next try after a failure, unless the usual interval is shorter.
const RETRY_NS: i64 = 30 * NANOS_PER_SEC;

/// DeFiLlama.
#[derive(Clone, Debug)]
pub struct LlamaSettings {
    /// Base address, a path prefix kept.
    pub base_url: String,
    /// Time between polls, ns.
    pub poll_ns: i64,
    /// Which protocols, and when a day counts as settled.
    pub reader: defillama::Settings,
}

/// pump.fun.
#[derive(Clone, Debug)]
pub struct PumpSettings {
    /// Whole address.
    pub url: String,
    /// Where in the body the 24 h volume in USD stands.
    pub pointer: String,
    /// Time between polls, ns.
    pub poll_ns: i64,
    /// How old the newest reading may be, ns.
    pub stale_ns: i64,
    /// Readings of earlier runs, oldest first.
    pub readings: Vec<Reading>,
}

/// CoinGecko.
#[derive(Clone, Debug)]
pub struct CoinGeckoSettings {
    /// Base address, a path prefix kept.
    pub base_url: String,
    /// Category whose volume is read, [`crate::venue::coingecko::CATEGORY`].
    pub category: String,
    /// Time between polls, ns.
    pub poll_ns: i64,
    /// The account's key; `None` = asked without one.
    pub key: Option<ApiKey>,
    /// Readings of earlier runs, oldest first.
    pub readings: Vec<Reading>,
}

/// A key that travels in a header. Its value is never shown.
#[derive(Clone)]
pub struct ApiKey {
    /// `x-cg-demo-api-key` or `x-cg-pro-api-key`.
    pub header: &'static str,
    /// The secret.
    pub value: String,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: hidden", self.header)
    }
}

/// SOL's hourly prices, which say a volume in SOL.
#[derive(Clone, Debug)]
pub struct SolPriceSettings {
    /// REST base of Binance, a path prefix kept.
    pub base_url: String,
    /// As Binance writes it: `SOLUSDT`.
    pub symbol: String,
}

/// What is polled.
#[derive(Clone, Debug, Default)]
pub struct PollerSettings {
    /// `None` = not polled.
    pub defillama: Option<LlamaSettings>,
    /// `None` = not polled.
    pub pumpfun: Option<PumpSettings>,
    /// `None` = not polled.
    pub coingecko: Option<CoinGeckoSettings>,
    /// `None` = samples do not say their windows in SOL.
    pub sol_prices: Option<SolPriceSettings>,
    /// PEM file of an additional root certificate.
    pub ca_file: Option<PathBuf>,
    /// Hears every body as it came.
    pub tap: Tap,
}

/// Why the pollers did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The root certificates.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// `feeds.pumpfun_pointer`.
    #[error("feeds.pumpfun_pointer: {0}")]
    Pointer(#[from] pumpfun::PointerError),
    /// The system gave no thread.
    #[error("a poller thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The running threads. Dropping it stops them without waiting.
pub struct Pollers {
    stop: Sender<()>,
    ended: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Pollers {
    /// Starts one thread for each source that is set. `emit` gets the events, not yet numbered; `note` what the log
    /// should say. Both are called on the pollers' threads and may block them, but not for long. `emit` says whether
    /// the event was taken: a state that was not is told again.
    pub fn start<E, N>(settings: PollerSettings, clock: Clock, emit: E, note: N) -> Result<Pollers, StartError>
    where
        E: FnMut(Event) -> bool + Clone + Send + 'static,
        N: FnMut(PollNote) + Clone + Send + 'static,
    {
        let (stop, stopped) = bounded::<()>(0);
        let (end, ended) = bounded::<()>(0);
        let mut threads = Vec::new();
        let agent = web::agent(settings.ca_file.as_deref())?;
        let mut sources: Vec<(&str, i64, Box<dyn Source>)> = Vec::new();
        if let Some(llama) = settings.defillama {
            sources.push(("poll-defillama", llama.poll_ns, Box::new(Llama::new(&llama, settings.tap.clone()))));
        }
        if let Some(pump) = settings.pumpfun {
            sources.push(("poll-pumpfun", pump.poll_ns, Box::new(sources::pump(pump, settings.tap.clone())?)));
        }
        if let Some(gecko) = settings.coingecko {
            sources.push(("poll-coingecko", gecko.poll_ns, Box::new(sources::gecko(gecko, settings.tap.clone()))));
        }
        let prices = settings.sol_prices.map(|prices| Arc::new(Mutex::new(HourlyPrices::new(&prices))));
        for (name, poll_ns, source) in sources {
            let prices = prices.clone();
            let poller = Poller { clock, agent: agent.clone(), poll_ns, emit: emit.clone(), state: None, prices };
            let (stopped, end, note) = (stopped.clone(), end.clone(), note.clone());
            let run = move || {
                poller.run(source, note, &stopped);
                drop(end);
            };
            threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(run)?);
        }
        Ok(Pollers { stop, ended, threads })
    }

    /// Stops them and waits at most `patience`; true if all have ended. One amid a request ends with it, on its own.
    pub fn stop(self, patience: Duration) -> bool {
        drop(self.stop);
        let all_ended = self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        if all_ended {
            self.threads.into_iter().for_each(|thread| drop(thread.join()));
        }
        all_ended
    }
}

/// One thread's loop.
struct Poller<E> {
    clock: Clock,
    agent: ureq::Agent,
    poll_ns: i64,
    emit: E,
    state: Option<StreamState>,
    /// Shared by all: the lock guards one request in ten minutes.
    prices: Option<Arc<Mutex<HourlyPrices>>>,
}

impl<E: FnMut(Event) -> bool> Poller<E> {
    fn run(mut self, mut source: Box<dyn Source>, mut note: impl FnMut(PollNote), stopped: &Receiver<()>) {
        let mut jitter = Jitter(self.clock.now().0.unsigned_abs() | 1);
        loop {
            let round = source.round(&self.agent, self.clock, &mut note);
            let mut sample = source.sample(self.clock.now());
            if let Some(prices) = &self.prices {
                let mut prices = prices.lock().unwrap_or_else(PoisonError::into_inner);
                prices.fill(&mut sample, &self.agent, self.clock.now(), &mut note);
            }
            let now = self.clock.now();
            let state = if round.is_whole { StreamState::Up } else { StreamState::Down };
            if self.state != Some(state) && self.tell(source.stream(), EventKind::Stream(state), now) {
                self.state = Some(state);
            }
            self.tell(source.stream(), EventKind::Volume(sample), now);
            let usual = if round.is_whole { self.poll_ns } else { self.poll_ns.min(RETRY_NS) };
            let wait = jitter.spread(round.wait_ns.unwrap_or(usual).max(usual));
            if stopped.recv_timeout(Duration::from_nanos(wait)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn tell(&mut self, stream: StreamId, kind: EventKind, now: Time) -> bool {
        (self.emit)(Event { seq: 0, recv: now, at: Time::NONE, venue_time: Time::NONE, stream, kind })
    }
}

/// Spreads polls, so that many bots do not ask at the same second. A small xorshift: nothing secret hangs on it.
struct Jitter(u64);

impl Jitter {
    /// `ns` and up to a tenth more: never sooner than asked.
    fn spread(&mut self, ns: i64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let ns = ns.max(1).unsigned_abs();
        ns + self.0 % (ns / 10 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::helpers::web::tests::Server;
    use crate::types::event::SourceState;
    use crate::types::time::NANOS_PER_DAY;
    use crate::venue::coingecko;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A summary whose chart ends yesterday.
    fn summary(clock: Clock, before: u64, newest: u64) -> String {
        let today = clock.now().utc_day() * 86_400;
        let chart = format!("[[{},{before}],[{},{newest}],[{today},5]]", today - 2 * 86_400, today - 86_400);
        format!(r#"{{"total24h":{newest},"total48hto24h":{before},"totalDataChart":{chart}}}"#)
    }

    fn llama(base_url: String, poll_ns: i64) -> PollerSettings {
        let slugs = vec!["pump.fun".to_owned(), "pumpswap".to_owned()];
        let reader = defillama::Settings { slugs, settle_ns: 0 };
        PollerSettings { defillama: Some(LlamaSettings { base_url, poll_ns, reader }), ..PollerSettings::default() }
    }

    fn start(settings: PollerSettings, clock: Clock) -> (Pollers, Receiver<EventKind>, Receiver<PollNote>) {
        let (events_tx, events) = crossbeam_channel::unbounded();
        let (notes_tx, notes) = crossbeam_channel::unbounded();
        let emit = move |event: Event| events_tx.send(event.kind).is_ok();
        let pollers = Pollers::start(settings, clock, emit, move |note| notes_tx.send(note).unwrap_or_default());
        (pollers.expect("the pollers start"), events, notes)
    }

    fn next(events: &Receiver<EventKind>) -> EventKind {
        events.recv_timeout(PATIENCE).expect("an event")
    }

    fn next_sample(events: &Receiver<EventKind>) -> (SourceState, i64, i64) {
        match next(events) {
            EventKind::Volume(sample) => (sample.state, sample.now.0 / 100_000_000, sample.prev.0 / 100_000_000),
            other => panic!("a sample was due, not {other:?}"),
        }
    }

    #[test]
    fn defillama_is_polled_under_its_prefix_and_unchanged_bodies_are_not_sent_again() {
        let clock = Clock::start();
        let server = Server::start(None, move |request| {
            let body = match request.path() {
                path if path.starts_with("/llama/summary/dexs/pump.fun?") => summary(clock, 60_000_000, 40_000_000),
                path if path.starts_with("/llama/summary/dexs/pumpswap?") => summary(clock, 40_000_000, 25_000_000),
                _ => {
                    r#"{"protocols":[{"name":"PumpSwap","slug":"pumpswap"},{"name":"Pump","slug":"pump"}]}"#.to_owned()
                }
            };
            match request.header("if-none-match") {
                Some("\"v1\"") => "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_owned(),
                _ => Server::ok("ETag: \"v1\"\r\n", &body),
            }
        });
        let (pollers, events, notes) = start(llama(server.url("/llama/"), 1_000_000), clock);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Up));
        for _ in 0..3 {
            assert_eq!(next_sample(&events), (SourceState::Ok, 65_000_000, 100_000_000));
        }
        assert!(pollers.stop(PATIENCE));
        let known = vec!["pumpswap".to_owned(), "pump".to_owned()];
        assert_eq!(notes.try_recv(), Ok(PollNote::UnknownSlug { slug: "pump.fun".to_owned(), known }));
        assert_eq!(
            server.requests().iter().filter(|head| head.contains("GET /llama/overview/dexs/Solana?")).count(),
            1
        );
    }

    #[test]
    fn a_failure_is_a_down_sample_and_a_note_and_the_next_good_answer_mends_it() {
        let clock = Clock::start();
        let mut asked = 0;
        let server = Server::start(None, move |request| {
            if request.path().starts_with("/overview") {
                return Server::ok("", r#"{"protocols":[]}"#);
            }
            asked += 1;
            match asked {
                1 => Server::ok("", "<html>Checking your browser</html>"),
                2 => "HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
                _ => Server::ok("", &summary(clock, 60_000_000, 40_000_000)),
            }
        });
        let (pollers, events, notes) = start(llama(server.url(""), 1_000_000), clock);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Down));
        assert_eq!(next_sample(&events).0, SourceState::Down);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Up));
        assert_eq!(next_sample(&events), (SourceState::Ok, 80_000_000, 120_000_000));
        assert!(pollers.stop(PATIENCE));
        let notes: Vec<String> = notes.try_iter().map(|note| note.to_string()).collect();
        assert_eq!(notes[0], "defillama pump.fun: the answer cannot be used: unexpected byte at 0");
        assert_eq!(notes[1], "defillama pumpswap: HTTP status 500");
    }

    #[test]
    fn a_state_that_found_no_room_is_told_again_with_the_next_round() {
        let clock = Clock::start();
        let server = Server::start(None, move |_| Server::ok("", &summary(clock, 60_000_000, 40_000_000)));
        let (events_tx, events) = crossbeam_channel::unbounded();
        let mut told = 0;
        let emit = move |event: Event| {
            told += 1;
            let has_room = told > 4; // the first two rounds, a state and a sample each, find none
            has_room && events_tx.send(event.kind).is_ok()
        };
        let pollers = Pollers::start(llama(server.url(""), 1_000_000), clock, emit, |_| {}).expect("they start");
        assert_eq!(next(&events), EventKind::Stream(StreamState::Up));
        for _ in 0..3 {
            assert_eq!(next_sample(&events).0, SourceState::Ok, "and once is enough");
        }
        assert!(pollers.stop(PATIENCE));
    }

    #[test]
    fn retry_after_holds_the_next_poll_back_and_stop_does_not_wait_for_it() {
        let server = Server::start(None, |_| {
            "HTTP/1.1 429 Slow down\r\nRetry-After: 600\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()
        });
        let (pollers, events, _) = start(llama(server.url(""), 1_000_000), Clock::start());
        assert_eq!(next(&events), EventKind::Stream(StreamState::Down));
        assert_eq!(next_sample(&events).0, SourceState::Down);
        assert!(events.recv_timeout(Duration::from_millis(200)).is_err(), "polled again within 600 s");
        assert!(pollers.stop(PATIENCE));
    }

    #[test]
    fn pumpfun_is_compared_with_a_reading_handed_back_from_the_day_before() {
        let clock = Clock::start();
        let server = Server::start(None, |_| Server::ok("", r#"{"24h":{"volumeUSD":65000000.5},"1h":null}"#));
        let day_ago =
            Reading { at: clock.now().plus(-NANOS_PER_DAY), usd: crate::types::Notional(10_000_000_000_000_000) };
        let pumpfun = PumpSettings {
            url: server.url("/v1"),
            pointer: "/24h/volumeUSD".to_owned(),
            poll_ns: 600 * NANOS_PER_SEC,
            stale_ns: 600 * NANOS_PER_SEC,
            readings: vec![day_ago],
        };
        let (pollers, events, _) = start(PollerSettings { pumpfun: Some(pumpfun), ..Default::default() }, clock);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Up));
        assert_eq!(next_sample(&events), (SourceState::Ok, 65_000_000, 100_000_000));
        assert!(pollers.stop(PATIENCE));
    }

    fn gecko(base_url: String, readings: Vec<Reading>) -> PollerSettings {
        let coingecko = CoinGeckoSettings {
            base_url,
            category: coingecko::CATEGORY.to_owned(),
            poll_ns: 1_000_000,
            key: Some(ApiKey { header: "x-cg-demo-api-key", value: "nobody-may-see".to_owned() }),
            readings,
        };
        PollerSettings { coingecko: Some(coingecko), ..Default::default() }
    }

    #[test]
    fn coingecko_is_asked_with_its_key_which_no_word_of_a_failure_shows() {
        let clock = Clock::start();
        let mut asked = 0;
        let server = Server::start(None, move |request| {
            asked += 1;
            let is_known = request.header("x-cg-demo-api-key") == Some("nobody-may-see");
            let updated = crate::telemetry::lines::rfc3339_us(clock.now());
            match asked {
                1 => "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
                _ if is_known && request.path() == "/cg/coins/categories?order=market_cap_desc" => Server::ok(
                    "",
                    &format!(r#"[{{"id":"solana-meme-coins","volume_24h":6.5e8,"updated_at":"{updated}"}}]"#),
                ),
                _ => Server::ok("", "<html>who are you?</html>"),
            }
        });
        let day_ago =
            Reading { at: clock.now().plus(-NANOS_PER_DAY), usd: crate::types::Notional(100_000_000_000_000_000) };
        let settings = gecko(server.url("/cg/"), vec![day_ago]);
        assert!(!format!("{settings:?}").contains("nobody-may-see"));
        let (pollers, events, notes) = start(settings, clock);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Down));
        assert_eq!(next_sample(&events).0, SourceState::Down);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Up));
        assert_eq!(next_sample(&events), (SourceState::Ok, 650_000_000, 1_000_000_000));
        assert!(pollers.stop(PATIENCE));
        assert_eq!(
            notes.try_recv().map(|note| note.to_string()),
            Ok("coingecko categories: HTTP status 401".to_owned())
        );
    }

    #[test]
    fn samples_say_their_windows_in_sol_at_the_hourly_prices_of_their_time() {
        let clock = Clock::start();
        let server = Server::start(None, move |request| {
            if !request.path().starts_with("/binance/api/v3/klines?symbol=SOLUSDT&interval=1h&limit=") {
                return Server::ok("", &summary(clock, 60_000_000, 40_000_000));
            }
            let today_h = clock.now().utc_day() * 24;
            let candle = |hour: i64| {
                let price = if hour < today_h - 24 { 100 } else { 50 };
                let (open, close) = (hour * 3_600_000, hour * 3_600_000 + 3_599_999);
                format!(r#"[{open},"{price}","{price}","{price}","{price}","1",{close},"1",1,"1","1","0"]"#)
            };
            Server::ok("", &format!("[{}]", (today_h - 48..today_h).map(candle).collect::<Vec<_>>().join(",")))
        });
        let sol_prices = SolPriceSettings { base_url: server.url("/binance/"), symbol: "SOLUSDT".to_owned() };
        let settings = PollerSettings { sol_prices: Some(sol_prices), ..llama(server.url(""), 1_000_000) };
        let (pollers, events, _) = start(settings, clock);
        assert_eq!(next(&events), EventKind::Stream(StreamState::Up));
        for _ in 0..3 {
            let EventKind::Volume(sample) = next(&events) else { panic!("a sample was due") };
            let sol = |whole: i64| crate::types::Qty(whole * 1_000_000_000);
            assert_eq!((sample.now.0, sample.prev.0), (8_000_000_000_000_000, 12_000_000_000_000_000));
            assert_eq!((sample.now_sol, sample.prev_sol), (sol(1_600_000), sol(1_200_000)), "it rose in SOL");
        }
        assert!(pollers.stop(PATIENCE));
        assert_eq!(server.requests().iter().filter(|head| head.contains("/klines")).count(), 1, "asked once for all");
    }

    #[test]
    fn a_pointer_that_is_none_is_refused_at_start() {
        let settings = PumpSettings {
            url: String::new(),
            pointer: "24h".to_owned(),
            poll_ns: 1,
            stale_ns: 1,
            readings: Vec::new(),
        };
        let settings = PollerSettings { pumpfun: Some(settings), ..PollerSettings::default() };
        let error = Pollers::start(settings, Clock::start(), |_| true, |_| {}).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.starts_with("feeds.pumpfun_pointer: a JSON pointer starts with `/`")));
    }
}
