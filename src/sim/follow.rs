//! Paper mode's eyes: reads the live top of book and trades, and lets the built-in venue's market mirror them.
//!
//! Runs on: a helper thread of its own, unpinned.  Owns: one market link.  Clock: once per turn.
//! Never: sends anything but the handshake; nothing it hears reaches the engine, which listens by itself.

use super::server::Handle;
use crate::sys::clock::Clock;
use crate::sys::net::{ConnId, DownReason, Endpoint, FrameVerdict, Link, LinkConfig, LinkHandler, Net, Outbox};
use crate::sys::poller::Poller;
use crate::types::Time;
use crate::types::instrument::Symbol;
use crate::types::time::NANOS_PER_MILLI;
use crate::venue::binance_spot::decode::{self, Frame, Levels, Market};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest sleep; how late a stop is seen.
const SLEEP_NS_MAX: i64 = 50 * NANOS_PER_MILLI;
/// The poller's first token for the link's sockets.
const TOKEN_BASE: usize = 0;

struct Mirror {
    venue: Arc<Handle>,
    symbol: Symbol,
    levels: Levels,
}

impl LinkHandler for Mirror {
    fn on_open(&mut self, _conn: ConnId, _now: Time, _out: &mut Outbox<'_>) {}

    fn on_frame(&mut self, _conn: ConnId, frame: &[u8], _recv: Time, _out: &mut Outbox<'_>) -> FrameVerdict {
        match decode::frame(frame, Some(self.symbol), &mut self.levels) {
            Ok(Frame::Market(_, Market::Bbo(bbo))) => self.venue.follow(bbo),
            Ok(Frame::Market(_, Market::Trade(report))) => self.venue.follow_trade(report.trade),
            Ok(Frame::Shutdown) => return FrameVerdict::Shutdown,
            Ok(_) | Err(_) => return FrameVerdict::Control, // the engine's own reader reports bad frames
        }
        FrameVerdict::Data
    }

    fn on_down(&mut self, _conn: ConnId, reason: &DownReason, _now: Time) {
        log::warn!("paper venue: the live market is not heard: {reason}");
    }
}

/// Starts following `symbol` on the stream endpoint `base`. Ends when `stop` is set.
///
/// Errors: the kernel's, when it has no descriptor or thread to give.
pub fn start(
    venue: Arc<Handle>,
    symbol: Symbol,
    base: &Endpoint,
    net: Net,
    stop: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let name = symbol.as_str().to_ascii_lowercase();
    let endpoint = base.join(&format!("/stream?streams={name}@bookTicker/{name}@trade"));
    let clock = net.clock;
    let poller = Poller::new()?;
    let mut link = Link::new(LinkConfig::new(endpoint), net);
    link.register(&poller.registry()?, TOKEN_BASE)?;
    let mirror = Mirror { venue, symbol, levels: Levels::new() };
    std::thread::Builder::new().name("paper".to_owned()).spawn(move || follow(link, mirror, poller, clock, &stop))
}

fn follow(mut link: Link, mut mirror: Mirror, mut poller: Poller, clock: Clock, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        // pairs with the Release of whoever stops the house
        let now = clock.now();
        if link.turn(now, &mut mirror) == 0 {
            let wait_ns = link.next_deadline().since(now).clamp(0, SLEEP_NS_MAX);
            poller.sleep(Duration::from_nanos(wait_ns.unsigned_abs()));
        }
    }
    link.stop(clock.now(), &mut mirror);
}
