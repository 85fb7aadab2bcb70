//! The helper threads that feed the engine: pollers and the bus, into one ring.
//!
//! Thread: main builds; each push is made by a helper.  Invariants: the ring has one producer at a time: the lock is held
//! for one push; a stream that comes over the bus comes no other way.

use super::Blueprint;
use crate::cli::{Failure, exit};
use crate::config::Config;
use crate::ring::{EventItem, LatestMid, Sender};
use crate::sys::clock::Clock;
use crate::telemetry::{Line, Metrics};
use crate::threads::helpers::bus::{self, Bus, BusOutbox, BusQueue, BusSettings};
use crate::threads::helpers::pollers::{PollerSettings, Pollers};
use crate::types::{Event, EventKind, StreamId};
use crossbeam_channel::Sender as ChannelSender;
use std::sync::{Arc, Mutex, PoisonError};

/// The ring, for more than one helper.
#[derive(Clone)]
pub struct SlowRing {
    ring: Arc<Mutex<Sender<EventItem>>>,
    mid: Arc<LatestMid>,
    clock: Clock,
}

impl SlowRing {
    /// Around the producer's end. `mid`: what the last gate measures orders by, should the book come this way.
    pub fn new(ring: Sender<EventItem>, mid: &Arc<LatestMid>, clock: Clock) -> SlowRing {
        SlowRing { ring: Arc::new(Mutex::new(ring)), mid: Arc::clone(mid), clock }
    }

    /// Starts pollers and bus. Errors: settings that cannot be used, a kernel without threads.
    pub fn start(
        &self,
        pollers: PollerSettings,
        outbox: Option<BusOutbox>,
        blueprint: &Blueprint,
        lines: &ChannelSender<Line>,
    ) -> Result<(Pollers, Option<Bus>), Failure> {
        Ok((self.start_pollers(pollers)?, self.start_bus(blueprint, outbox, lines)?))
    }

    /// False if the ring was full.
    fn push(&self, event: Event) -> bool {
        if let (StreamId::BinanceBbo, EventKind::Bbo(bbo)) = (event.stream, event.kind) {
            self.mid.set(bbo.mid(), event.recv);
        }
        let item = EventItem { event, decoded: self.clock.now() };
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(item).is_ok()
    }

    fn start_pollers(&self, settings: PollerSettings) -> Result<Pollers, Failure> {
        let ring = self.clone();
        let emit = move |event: Event| {
            let is_taken = ring.push(event);
            if !is_taken {
                log::warn!("a volume sample found the ring full and was dropped; the next poll brings another");
            }
            is_taken
        };
        let note = |note| log::info!("volume source: {note}");
        Pollers::start(settings, self.clock, emit, note).map_err(|why| Failure::new(exit::BAD_CONFIG, &why))
    }

    /// Starts the bus, if there is one; its server need not answer.
    fn start_bus(
        &self,
        blueprint: &Blueprint,
        outbox: Option<BusOutbox>,
        lines: &ChannelSender<Line>,
    ) -> Result<Option<Bus>, Failure> {
        let feeds = &blueprint.config.feeds;
        let (Some(bus), Some(outbox)) = (&feeds.bus, outbox) else { return Ok(None) };
        let settings = BusSettings {
            url: bus.url.clone(),
            token: blueprint.secrets.nats_token.clone(),
            subject: bus.subject.clone(),
            feeds: bus.streams.iter().map(|stream| (*stream, feeds.stale_after.of(*stream))).collect(),
            tls: blueprint.net.tls.client_config(),
        };
        let ring = self.clone();
        let started = Bus::start(settings, outbox, self.clock, move |event| ring.push(event), lines.clone());
        started.map(Some).map_err(|why| Failure::new(exit::FAILED, &format!("the bus: {why}")))
    }
}

/// The streams that come over the bus.
pub fn from_bus(config: &Config) -> &[StreamId] {
    config.feeds.bus.as_ref().map_or(&[], |bus| &bus.streams)
}

/// Both ends of the way out to the bus, if there is one.
pub fn way_out(config: &Config, metrics: &Metrics) -> (Option<BusQueue>, Option<BusOutbox>) {
    config.feeds.bus.as_ref().map(|_| bus::queue(metrics.bus.clone())).unzip()
}
