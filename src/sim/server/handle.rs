//! A test's or the demo's hand on the running venues.
//!
//! Thread: any.  Invariants: every change happens at once, under the world's lock; waiting is on a condition, never a
//! sleep; dropping the handle stops the server and frees the port.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::chain::ChainTruth;
use super::fault::Fault;
use super::feeds::Alert;
use super::played::Opening;
use super::world::{Received, World};
use crate::sim::exchange::{AccountEvent, AccountTrade, AssetBalance, Order, OrderList};
use crate::sys::clock::Clock;
use crate::types::event::{Bbo, Trade};
use crate::types::{Notional, Price, Qty};

/// What server and handle share.
pub(super) struct Shared {
    world: Mutex<World>,
    changed: Condvar,
    stop: AtomicBool,
    pub(super) clock: Clock,
}

impl Shared {
    pub(super) fn new(world: World, clock: Clock) -> Shared {
        Shared { world: Mutex::new(world), changed: Condvar::new(), stop: AtomicBool::new(false), clock }
    }
    /// The world, whole even if another thread died holding it.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Tells those who wait that something may have changed.
    pub(super) fn announce(&self) {
        self.changed.notify_all();
    }
    /// Whether the server shall end.
    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire) // pairs with the Release in `Handle::end`
    }
}

/// One instant of the venues, for assertions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The account's balances, zero ones too.
    pub balances: Vec<AssetBalance>,
    /// Its live orders, oldest first.
    pub open_orders: Vec<Order>,
    /// Its open order lists.
    pub open_lists: Vec<OrderList>,
    /// All its fills, oldest first.
    pub trades: Vec<AccountTrade>,
    /// Best bid; zero if there is none.
    pub bid: Price,
    /// Best ask; zero if there is none.
    pub ask: Price,
    /// Last traded price.
    pub last: Price,
    /// Requests that trade, received so far: placements, cancels, replacements.
    pub received: usize,
    /// Alert deliveries so far.
    pub alerts: usize,
    /// Open market-stream connections.
    pub stream_clients: usize,
    /// Open WebSocket API connections.
    pub ws_api_clients: usize,
    /// Live user data subscriptions.
    pub user_subscriptions: usize,
    /// Open Kraken connections.
    pub kraken_clients: usize,
    /// Open Solana connections.
    pub solana_clients: usize,
}

impl Snapshot {
    /// Free and locked amount of an asset in 1e-8; zero if the venue does not know it.
    pub fn balance(&self, asset: &str) -> (i64, i64) {
        let found = self.balances.iter().find(|balance| balance.asset.as_str() == asset);
        found.map_or((0, 0), |balance| (balance.free.0, balance.locked.0))
    }
    /// All of the base asset `asset` in lamports, free and locked.
    pub fn coins(&self, asset: &str) -> Qty {
        let (free, locked) = self.balance(asset);
        Qty((free + locked).saturating_mul(10))
    }
    /// Middle of bid and ask.
    pub fn mid(&self) -> Price {
        Price::mid(self.bid, self.ask)
    }
}

/// A running server.
pub struct Handle {
    pub(super) addr: SocketAddr,
    pub(super) tls: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) waker: Arc<mio::Waker>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// `http://…` or `https://…` with `path` behind it: a base URL for the config's `[endpoints]`.
    pub fn http_url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.tls { "https" } else { "http" }, self.addr)
    }
    /// `ws://…` or `wss://…` with `path` behind it.
    pub fn ws_url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.tls { "wss" } else { "ws" }, self.addr)
    }

    fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.shared.lock();
        world.advance(self.shared.clock.now());
        let result = act(&mut world);
        drop(world);
        self.shared.announce();
        let _ = self.waker.wake(); // a server that is gone has nothing to publish
        result
    }

    /// Moves the market to `mid` at once and holds it there, until [`Handle::follow_path`].
    pub fn set_mid(&self, mid: Price) {
        self.change(|world| world.hold_mid(mid));
    }
    /// Lets the market follow the scenario's path again, from where the path is now.
    pub fn follow_path(&self) {
        self.change(World::release_mid);
    }
    /// Paper mode: the venue's market mirrors this live top of book.
    pub fn follow(&self, bbo: Bbo) {
        self.change(|world| world.follow(bbo));
    }
    /// Paper mode: a live trade, so that stops trigger where they would have.
    pub fn follow_trade(&self, trade: Trade) {
        self.change(|world| world.follow_trade(trade));
    }
    /// Gives the market, the slots and the polls over to a recording.
    pub fn play(&self, opening: Opening) {
        self.change(|world| world.play(opening));
    }
    /// The recording's next record.
    pub fn play_record(&self, source: &str, bytes: &[u8]) {
        self.change(|world| world.play_record(source, bytes));
    }
    /// The recording is about to begin again.
    pub fn play_again(&self) {
        self.change(World::rewind);
    }
    /// Switches a fault.
    pub fn fault(&self, fault: Fault) {
        self.change(|world| world.apply(&fault));
    }
    /// Replaces DeFiLlama's days of one protocol, yesterday first.
    pub fn set_llama(&self, slug: &str, days: &[Notional]) {
        self.change(|world| world.feeds.set_llama(slug, days));
    }
    /// Replaces pump.fun's 24 h volume.
    pub fn set_pump(&self, volume: Notional) {
        self.change(|world| world.feeds.pump = volume);
    }
    /// Replaces the 24 h volume of CoinGecko's category `solana-meme-coins`.
    pub fn set_gecko(&self, volume: Notional) {
        self.change(|world| world.feeds.gecko.volume = volume);
    }
    /// Pays in (or, negative, out) `amount_e8` of an asset, in 1e-8 of it.
    pub fn deposit(&self, asset: &str, amount_e8: i64) {
        self.change(|world| world.deposit(asset, amount_e8));
    }

    /// This instant.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.lock().snapshot()
    }
    /// Waits until `wanted` holds, at most `timeout`; gives the instant and whether it holds there.
    pub fn wait_for(&self, timeout: Duration, mut wanted: impl FnMut(&Snapshot) -> bool) -> (Snapshot, bool) {
        let unmet = |world: &mut World| !wanted(&world.snapshot());
        let (world, outcome) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), timeout, unmet)
            .unwrap_or_else(PoisonError::into_inner);
        (world.snapshot(), !outcome.timed_out())
    }
    /// Whether no unit of money was made or lost, the book is not crossed and locks equal open orders; else what is wrong.
    pub fn conserved(&self) -> Result<(), String> {
        self.shared.lock().venue.conserved()
    }
    /// Requests that trade, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().venue.received.clone()
    }
    /// What the account was told, in order: the venue's own record of every order and fill, whoever listened.
    pub fn history(&self) -> Vec<AccountEvent> {
        self.shared.lock().venue.history.clone()
    }
    /// The memecoin trades told so far that count, to the lamport.
    pub fn chain_truth(&self) -> ChainTruth {
        self.shared.lock().chain.truth
    }
    /// Deliveries at the alert channels, in order of arrival.
    pub fn alerts(&self) -> Vec<Alert> {
        self.shared.lock().feeds.alerts.clone()
    }

    /// Stops the server, closes every connection and waits for the thread's end.
    pub fn stop(mut self) {
        self.end();
    }
    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release); // pairs with the Acquire in `Shared::stopping`
        let _ = self.waker.wake(); // a server that is gone needs no waking
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it panicked: its own message is on stderr
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}
