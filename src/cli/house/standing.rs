//! The running house: waits for signals, carries the operator's words in, and closes room after room at the end.
//!
//! Thread: main.  Invariants: on the way down the engine hears it first and gets time to settle its orders; the cold
//! side ends last, when nobody can tell it anything any more.

use crate::cli::{Failure, exit};
use crate::config::{self, Config, Sources};
use crate::sys::clock::Clock;
use crate::sys::files::DirLock;
use crate::sys::heartbeat::Heartbeat;
use crate::sys::kill::KillSwitch;
use crate::sys::signals::Signals;
use crate::telemetry::{Board, Line, Status};
use crate::threads::helpers::alerts::Alerts;
use crate::threads::helpers::bus::Bus;
use crate::threads::helpers::http::Ops;
use crate::threads::helpers::pollers::Pollers;
use crate::threads::helpers::socket::ControlSocket;
use crate::threads::hot::HotView;
use crate::types::event::Control;
use crate::types::time::NANOS_PER_SEC;
use crossbeam_channel::Sender;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the main thread looks at signals.
const LOOK: Duration = Duration::from_millis(50);
/// How long a clean stop may take the engine: closes under way, cancels on their way.
const SETTLE_NS_MAX: i64 = 15 * NANOS_PER_SEC;
/// How long the helpers may take to end.
const HELPER_PATIENCE: Duration = Duration::from_secs(2);

/// What a run says that ends while the ledger takes no rows.
const LEDGER_BEHIND: &str = "ended with rows that the ledger did not take: the log has them (FILL, ORDER_ACKED, \
    ORDER_DONE), and the next start asks the venue for every fill it does not know";

/// What a run says whose last events are not in its journal.
const JOURNAL_BEHIND: &str = "ended with entries that the journal did not take: its end cannot be replayed";

/// A house that stands.
pub struct House {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) words: Sender<Control>,
    pub(super) kill: Arc<KillSwitch>,
    pub(super) lines: Sender<Line>,
    pub(super) board: Arc<Board>,
    pub(super) view: Arc<HotView>,
    pub(super) heartbeat: Option<Arc<Heartbeat>>,
    pub(super) ops: Ops,
    pub(super) socket: ControlSocket,
    pub(super) alerts: Option<Alerts>,
    pub(super) pollers: Pollers,
    pub(super) bus: Option<Bus>,
    pub(super) trading: Vec<JoinHandle<()>>,
    pub(super) cold: JoinHandle<()>,
    pub(super) stop_trading: Arc<AtomicBool>,
    pub(super) stop_cold: Arc<AtomicBool>,
    pub(super) lock: DirLock,
}

impl House {
    /// Where `/metrics` and the status are served.
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops.addr()
    }
    /// The newest status.
    pub fn status(&self) -> Status {
        self.board.read()
    }
    /// Gives the engine a word of the operator.
    pub fn say(&self, word: Control) {
        if self.words.try_send(word).is_err() {
            log::error!("the operator's word {word:?} was not taken: the cold side does not keep up");
        }
    }

    /// Says READY, then waits until a signal or `done` ends the run; SIGHUP reloads from `sources`.
    pub fn stand(&mut self, signals: &Signals, sources: Option<&Sources>, mut done: impl FnMut(&Status) -> bool) {
        let now = self.clock.now();
        self.line(Line::info(now, "READY", "every thread runs; entries wait for the streams named by /readyz"));
        let mut reloads = signals.reloads();
        while !signals.stop_asked() && !done(&self.board.read()) {
            std::thread::park_timeout(LOOK);
            if signals.reloads() != reloads {
                reloads = signals.reloads();
                if let Some(sources) = sources {
                    self.reload(sources);
                }
            }
        }
    }

    /// Parses, validates, and swaps at one event boundary; or keeps the old values and says why.
    fn reload(&mut self, sources: &Sources) {
        let now = self.clock.now();
        let new = match config::load(sources) {
            Ok((new, _)) => new,
            Err(why) => {
                let refused = format!("the old configuration stays: {why}");
                return self.line(Line::error(now, "RELOAD", refused).with("applied", false));
            }
        };
        let change = config::diff(&self.config, &new);
        let words = change.params.iter().map(|(key, value)| Control::Set(*key, *value)).chain([Control::Commit]);
        for word in words {
            self.say(word);
        }
        let keys: Vec<&str> = change.params.iter().map(|(key, _)| key.name()).collect();
        let msg = format!("{} value(s) changed", keys.len());
        let line = Line::info(now, "RELOAD", msg).with("applied", true).with("changed", keys);
        self.line(line.with("needs_restart", change.needs_restart));
        // Keys that need a restart keep their old value here, so that the next reload names them again.
        self.config.params = new.params;
    }

    fn line(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            log::error!("a log line was lost: the cold side does not keep up");
        }
    }

    /// Ends cleanly: the engine stops entering, protective orders stay (or the position is sold, by config), records
    /// are flushed. Errors: the ledger took not all of them.
    pub fn close(self) -> Result<(), Failure> {
        self.line(Line::info(self.clock.now(), "SHUTDOWN", "stopping: no new entries"));
        self.kill.stop_entries();
        if let Some(page) = &self.heartbeat {
            page.stopping();
        }
        self.say(Control::Stop);
        let until = self.clock.now().plus(SETTLE_NS_MAX);
        while !self.has_settled() && self.clock.now() < until {
            std::thread::park_timeout(LOOK);
        }
        let is_settled = self.has_settled();
        if !is_settled {
            let open = self.view.orders_open.load(Ordering::Relaxed);
            let why = "stopped before every order was answered and every coin had a stop: look at the venue";
            self.line(Line::error(self.clock.now(), "FATAL", why).with("orders_open", open));
        }
        self.pollers.stop(HELPER_PATIENCE);
        self.stop_trading.store(true, Ordering::Release); // pairs with the runner's Acquire
        self.trading.into_iter().for_each(|thread| drop(thread.join()));
        self.ops.stop();
        self.socket.stop();
        self.stop_cold.store(true, Ordering::Release); // pairs with the runner's Acquire
        drop(self.cold.join());
        if let Some(bus) = self.bus {
            bus.stop(HELPER_PATIENCE); // the last facts, which the cold side has just told it
        }
        if let Some(alerts) = self.alerts {
            alerts.stop(HELPER_PATIENCE, self.clock);
        }
        if let Some(page) = &self.heartbeat {
            page.end(is_settled); // records that the ledger did not take endanger no order
        }
        drop(self.lock);
        let status = self.board.read();
        let ledger = status.ledger_fault.map(|why| format!("{LEDGER_BEHIND}. {why}"));
        let journal = status.journal_fault.map(|why| format!("{JOURNAL_BEHIND}. {why}"));
        match ledger.or(journal) {
            None => Ok(()),
            Some(why) => Err(Failure::new(exit::FAILED, &why)),
        }
    }

    /// The engine took the stop, and nothing is on its way that could leave coins without one.
    fn has_settled(&self) -> bool {
        let stopping = self.view.stopping.load(Ordering::Acquire); // pairs with the Release in `Hot::publish`
        stopping && self.view.at_rest.load(Ordering::Relaxed)
    }
}
