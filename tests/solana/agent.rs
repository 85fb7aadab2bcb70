//! The ingest agent over several slot endpoints; and what a frame costs.

use std::sync::Arc;
use std::time::Duration;

use super::counting::allocations;
use super::desk::frame_on;
use super::server::{net, open};
use super::states::without_silence;
use sol_volume_bot::ring::{EventItem, LatestMid, OnFull, Receiver, RingSpec, ring};
use sol_volume_bot::sim::server::{Fault, Handle};
use sol_volume_bot::sys::net::{Endpoint, HttpClient, Link, LinkConfig};
use sol_volume_bot::sys::poller::Poller;
use sol_volume_bot::threads::ingest::{Ingest, IngestLinks};
use sol_volume_bot::threads::runner::Agent;
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::note::WireNote;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{EventKind, StreamId, Time};
use sol_volume_bot::venue::binance_spot::candles::Interval;
use sol_volume_bot::venue::binance_spot::market::{MarketSettings, StaleAfter};
use sol_volume_bot::venue::solana::{SlotSession, SlotSettings};

/// The agent, turned by the test's own thread.
struct Desk {
    ingest: Ingest,
    poller: Poller,
    market: Receiver<EventItem>,
    notes: Receiver<WireNote>,
    clock: sol_volume_bot::sys::clock::Clock,
    slots: Vec<u64>,
    states: Vec<StreamState>,
}

impl Desk {
    fn new(server: &Handle, slot_urls: &[String]) -> Desk {
        let (net, poller) = (net(), Poller::new().expect("a poller"));
        let link = |number: usize, url: &str| {
            let mut link = Link::new(LinkConfig::new(Endpoint::parse(url).expect("an endpoint")), net.clone());
            link.register(&poller.registry().expect("a registry"), 4 * number).expect("tokens");
            link
        };
        let slots = slot_urls.iter().enumerate().map(|(number, url)| link(1 + number, url)).collect();
        let rest = Endpoint::parse(&server.http_url("")).expect("an endpoint");
        let rest = HttpClient::new(rest, net.clone(), 1 << 20);
        let market = link(0, &server.ws_url("/stream?streams=solusdt@bookTicker"));
        let links = IngestLinks { market, slots, rest };
        let long = 3_600 * NANOS_PER_SEC;
        let settings = MarketSettings {
            symbol: Symbol::new("SOLUSDT").expect("a symbol"),
            candle: Interval::parse("5m").expect("a length"),
            candles_seed: 0,
            depth_sample_ns: 0,
            stale_after: StaleAfter { bbo_ns: long, depth_ns: long, trade_ns: long, candle_ns: long },
            first_data_ns: long,
        };
        let spec = |name| RingSpec { name, depth: 65_536, on_full: OnFull::DropAndCount };
        let ((to_market, market), (to_notes, notes)) = (ring(spec("market"), None), ring(spec("notes"), None));
        let mid = Arc::new(LatestMid::new());
        let clock = net.clock;
        let ingest = Ingest::new(links, settings, clock, (to_market, to_notes), mid);
        Desk { ingest, poller, market, notes, clock, slots: Vec::new(), states: Vec::new() }
    }

    #[track_caller]
    fn until(&mut self, what: &str, done: impl Fn(&Desk) -> bool) {
        let end = self.clock.now().plus(20 * NANOS_PER_SEC);
        while !done(self) {
            let now = self.clock.now();
            assert!(now < end, "waited for: {what}; {} slots, {:?}", self.slots.len(), self.states);
            if self.ingest.turn(now).count == 0 {
                self.poller.sleep(Duration::from_millis(5));
            }
            while let Some(item) = self.market.pop() {
                match item.event.kind {
                    EventKind::Slot(slot) => self.slots.push(slot.slot),
                    EventKind::Stream(state) if item.event.stream == StreamId::SolanaSlot => self.states.push(state),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn the_agent_reads_all_endpoints_and_a_dead_one_holds_nothing_up() {
    let server = open(20);
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address"); // closed again
    let urls = [server.ws_url("/solana?lag=12"), format!("ws://{dead}/"), server.ws_url("/solana")];
    let mut desk = Desk::new(&server, &urls);
    desk.until("a hundred slots", |desk| desk.slots.len() >= 100);
    let (rising, whole) = (desk.slots.windows(2), desk.slots.len());
    assert!(rising.clone().all(|pair| pair[1] > pair[0]), "{:?}", desk.slots);
    assert!(desk.slots[whole - 1] - desk.slots[20] >= (whole - 21) as u64);
    let states = without_silence(&desk.states);
    let ups = states.iter().filter(|state| **state == StreamState::Up).count();
    assert_eq!((ups, desk.states.last()), (1, Some(&StreamState::Up)), "{:?}", desk.states);
    server.fault(Fault::DropSolana);
    let before = desk.slots.len();
    desk.until("slots after the cut", |desk| desk.slots.len() > before + 50);
    assert_eq!(desk.states.last(), Some(&StreamState::Up));
    let mut reconnected = 0;
    while let Some(note) = desk.notes.pop() {
        reconnected += u32::from(matches!(note, WireNote::Reconnected { stream: StreamId::SolanaSlot }));
    }
    assert_eq!(reconnected, 2, "two of the three had been open before");
    let now = desk.clock.now();
    desk.ingest.finish(now);
}

#[test]
fn no_frame_of_any_endpoint_allocates() {
    let settings = SlotSettings { endpoints: 3, ..SlotSettings::default() };
    let mut session = SlotSession::with(settings);
    (0..3).for_each(|endpoint| session.on_open(endpoint, 1, Time(0), &mut |_| {}));
    let frames: Vec<Vec<u8>> =
        (0..10_000_u64).map(|number| frame_on(1_000 + number + number % 3, 990 + number)).collect();
    let far = frame_on(5_000_000, 4_999_999);
    let mut heard = 0;
    let mut run = |session: &mut SlotSession, from: usize, to: usize| {
        for (number, frame) in frames.iter().enumerate().take(to).skip(from) {
            let at = Time(number as i64 * 400_000_000);
            for (endpoint, frame) in [(0, frame), (1, &frames[number.saturating_sub(12)]), (2, &far)] {
                session.on_frame(endpoint, 1, frame, at, &mut |_| heard += 1).expect("a slot");
            }
            session.on_timer(at, &mut |_| {});
            session.take_note();
        }
    };
    run(&mut session, 0, 100);
    let before = allocations();
    run(&mut session, 100, 10_000);
    let counted = allocations() - before;
    assert_eq!((counted, heard > 5_000), (0, true), "{heard} events");
    drop(vec![0_u8; 64].into_boxed_slice());
    assert!(allocations() > before, "the counter counts");
}
