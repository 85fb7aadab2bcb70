//! Everything behind the doors: the exchange, the feeds, the slots, the timeline of faults.
//!
//! Thread: any, one at a time, under the lock of `handle`.  Invariants: time never falls; what clients shall hear is
//! queued here and sent by `service`; the same scenario gives the same market, whoever is connected.

use super::StartError;
use super::binance::Venue;
use super::chain::{Chain, Notice};
use super::dex::Dex;
use super::fault::Fault;
use super::feeds::Feeds;
use super::handle::Snapshot;
use super::kraken::Kraken;
use super::played::{News, Opening, PlayedMarket};
use super::solana_slots::SlotPlan;
use crate::sim::scenario::Scenario;
use crate::types::event::{Bbo, Trade};
use crate::types::time::NANOS_PER_MILLI;
use crate::types::{Price, Time};
use crate::venue::binance_spot::decode::Market;

/// Requests that trade kept in memory; later ones are counted only.
pub(super) const RECEIVED_KEPT_MAX: usize = 100_000;
/// Account events kept in memory for [`super::Handle::history`]; later ones are only told.
pub(super) const HISTORY_KEPT_MAX: usize = 100_000;

/// A request that trades, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When.
    pub at: Time,
    /// WebSocket API name of the method, whichever way it came: `order.place`.
    pub method: &'static str,
    /// Its parameters as `name=value&…`, sorted, signature left out.
    pub params: String,
    /// Status it was answered with; 0 = not answered at all.
    pub status: u16,
    /// Error code it was answered with; 0 = none.
    pub code: i32,
}

/// How many clients of each kind are connected; `service` keeps it.
#[derive(Clone, Copy, Default)]
pub(in crate::sim) struct Clients {
    pub(in crate::sim) streams: usize,
    pub(in crate::sim) ws_api: usize,
    pub(in crate::sim) user_subscriptions: usize,
    pub(in crate::sim) solana: usize,
    pub(in crate::sim) kraken: usize,
}

/// What drives the mid.
enum Lead {
    Path,
    Held(Price),
    Live,
}

/// The world.
pub(in crate::sim) struct World {
    scenario: Scenario,
    pub(in crate::sim) venue: Venue,
    pub(super) feeds: Feeds,
    pub(super) kraken: Kraken,
    pub(super) dex: Dex,
    pub(in crate::sim) chain: Chain,
    pub(in crate::sim) slot: u64,
    pub(in crate::sim) slots_stalled: bool,
    pub(in crate::sim) slot_plan: SlotPlan,
    /// Faults that concern connections: for `service` to carry out.
    pub(in crate::sim) cuts: Vec<Fault>,
    pub(in crate::sim) clients: Clients,
    /// A recording that speaks in the market's place.
    pub(super) played: Option<Box<PlayedMarket>>,
    lead: Lead,
    started: Time,
    next_step: Time,
    next_slot: Time,
    faults_done: usize,
}

impl World {
    pub(in crate::sim) fn new(mut scenario: Scenario, now: Time) -> Result<World, StartError> {
        scenario.faults.sort_by_key(|fault| fault.at_ns);
        let venue = Venue::new(&scenario, now)?;
        let feeds = Feeds::new(&scenario, now);
        let chain = Chain::new(&scenario.chain, scenario.seed, now);
        let slot = scenario.solana.first_slot;
        Ok(World {
            venue,
            feeds,
            kraken: Kraken::new(),
            dex: Dex::default(),
            chain,
            slot,
            slots_stalled: false,
            slot_plan: SlotPlan::default(),
            cuts: Vec::new(),
            clients: Clients::default(),
            played: None,
            lead: Lead::Path,
            started: now,
            next_step: now,
            next_slot: now,
            faults_done: 0,
            scenario,
        })
    }

    /// Slot time of the scenario.
    pub(super) fn slot_ms(&self) -> u64 {
        u64::from(self.scenario.solana.slot_ms)
    }

    /// When [`World::advance`] has something to do again.
    pub(in crate::sim) fn next_deadline(&self) -> Time {
        self.next_step.min(self.next_slot).min(self.chain.next_deadline())
    }

    /// Lets everything happen that is due by `now`.
    pub(in crate::sim) fn advance(&mut self, now: Time) {
        let elapsed_ns = now.since(self.started);
        self.chain.stand_at(now, self.slot);
        let due = self.scenario.faults.iter().skip(self.faults_done).take_while(|fault| fault.at_ns <= elapsed_ns);
        let due: Vec<Fault> = due.map(|timed| timed.fault.clone()).collect();
        self.faults_done += due.len();
        for fault in &due {
            self.apply(fault);
        }
        if now >= self.next_slot {
            let slot_ns = i64::from(self.scenario.solana.slot_ms) * NANOS_PER_MILLI;
            let missed = now.since(self.next_slot) / slot_ns;
            self.next_slot = self.next_slot.plus((missed + 1) * slot_ns);
            if self.played.is_none() {
                self.slot += missed as u64 + 1;
            }
        }
        self.chain.advance(self.scenario.mid_at(elapsed_ns));
        if now >= self.next_step {
            let step_ns = i64::from(self.scenario.step_ms) * NANOS_PER_MILLI;
            self.next_step = now.plus(step_ns);
            let target = match self.lead {
                Lead::Path => Some(self.scenario.mid_at(elapsed_ns)),
                Lead::Held(mid) => Some(mid),
                Lead::Live => None,
            };
            self.venue.step(now, target);
        }
    }

    /// Kraken, its market brought up to the exchange's own.
    pub(super) fn kraken(&mut self, now: Time) -> &mut Kraken {
        let (touch, trades) = self.venue.market_view();
        self.kraken.step(touch, trades, now);
        &mut self.kraken
    }

    pub(in crate::sim) fn hold_mid(&mut self, mid: Price) {
        self.lead = Lead::Held(mid);
        self.venue.jump(mid);
    }
    pub(in crate::sim) fn release_mid(&mut self) {
        self.lead = Lead::Path;
    }
    pub(in crate::sim) fn follow(&mut self, bbo: Bbo) {
        self.lead = Lead::Live;
        self.venue.follow(bbo);
    }
    pub(in crate::sim) fn follow_trade(&mut self, trade: Trade) {
        self.lead = Lead::Live;
        self.venue.follow_trade(trade);
    }
    pub(super) fn play(&mut self, opening: Opening) {
        self.lead = Lead::Live;
        self.slot = opening.slot.map_or(self.slot, |first| first.saturating_sub(1));
        if let Some(book) = opening.kraken {
            self.kraken.play(book);
        }
        self.played = Some(Box::new(PlayedMarket::new(opening)));
    }
    pub(super) fn play_record(&mut self, source: &str, bytes: &[u8]) {
        let now = self.venue.now();
        let Some(played) = &mut self.played else { return };
        match played.hear(source, bytes, now) {
            News::Market(Market::Bbo(bbo)) if self.venue.symbol_is(played.symbol()) => self.follow(bbo),
            News::Market(Market::Trade(report)) if self.venue.symbol_is(played.symbol()) => {
                self.follow_trade(report.trade);
            }
            News::Slot(slot) => self.slot = slot,
            News::Kraken => self.kraken.hear(bytes),
            News::Market(_) | News::Nothing => {}
        }
    }
    pub(super) fn rewind(&mut self) {
        if let Some(played) = &mut self.played {
            played.rewind();
            if let Some(book) = played.kraken() {
                self.kraken.play(book);
            }
        }
    }
    /// What the market says next: the recording's own words, where one is played.
    pub(super) fn take_public(&mut self, now: Time) -> Vec<(String, String)> {
        let own = self.venue.take_public(now);
        self.played.as_mut().map_or(own, |played| played.take())
    }
    /// What is told of memecoin trades next: the recording's own words, where it has any.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        let own = self.chain.take_notices();
        self.played.as_mut().and_then(|played| played.chain.take_notices()).unwrap_or(own)
    }
    pub(in crate::sim) fn deposit(&mut self, asset: &str, amount_e8: i64) {
        self.venue.deposit(asset, amount_e8);
    }

    pub(in crate::sim) fn apply(&mut self, fault: &Fault) {
        match fault {
            Fault::DropStreams | Fault::DropWsApi | Fault::DropSolana | Fault::DropKraken | Fault::HalfOpen => {
                self.cuts.push(fault.clone())
            }
            Fault::ServerShutdown | Fault::CutUserStream | Fault::RevokeKey => self.cuts.push(fault.clone()),
            Fault::Llama(state) => self.feeds.llama_state = *state,
            Fault::Pump(state) => self.feeds.pump_state = *state,
            Fault::Gecko(state) => self.feeds.gecko.state = *state,
            Fault::Telegram(status) => self.feeds.telegram_status = *status,
            Fault::Slack(status) => self.feeds.slack_status = *status,
            Fault::KrakenBadChecksums(_)
            | Fault::KrakenCrossed(_)
            | Fault::KrakenMute(_)
            | Fault::KrakenSilent(_)
            | Fault::KrakenStatus(_) => self.kraken.apply(fault),
            Fault::StallSlots(stalled) => self.slots_stalled = *stalled,
            Fault::SkipSlots(_) | Fault::ForkSlots(_) | Fault::RegressSlots(_) | Fault::NodeBehind(_) => {
                self.slot_plan.apply(fault, self.slot)
            }
            Fault::RpcTooMany(_) => self.slot_plan.apply(fault, self.slot),
            Fault::Dex(state) => self.dex.state = *state,
            Fault::DexLagSlots(slots) => self.dex.lag_slots = u64::from(*slots),
            Fault::DexDivergeBps(bps) => self.dex.diverge_bps = *bps,
            Fault::Jupiter(state) => self.dex.set_jupiter(*state),
            Fault::JupiterKeyless(is_keyless) => self.dex.set_keyless(*is_keyless),
            Fault::ChainStop(_) | Fault::ChainTruncate(_) | Fault::ChainRepeat(_) | Fault::ChainLookalikes(_) => {
                self.chain.apply(fault)
            }
            Fault::ChainReplay(_) | Fault::ChainTimes(_) | Fault::ChainPoolsUnknown(_) | Fault::Bitquery(_) => {
                self.chain.apply(fault)
            }
            venue => self.venue.apply(venue),
        }
    }

    pub(in crate::sim) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.venue.snapshot();
        snapshot.alerts = self.feeds.alerts.len();
        snapshot.stream_clients = self.clients.streams;
        snapshot.ws_api_clients = self.clients.ws_api;
        snapshot.user_subscriptions = self.clients.user_subscriptions;
        snapshot.kraken_clients = self.clients.kraken;
        snapshot.solana_clients = self.clients.solana;
        snapshot
    }
}
