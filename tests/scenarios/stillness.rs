//! When the machine itself stood still: a thread that should be woken every few milliseconds and was not.
//!
//! A shared machine takes its cores away for a second now and then. What the engine did not do meanwhile nobody could
//! have done, so the judges of time take these spans out. The thread is the test's, not the engine's: an engine that
//! hangs hides nothing here.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Time;

const BEAT: Duration = Duration::from_millis(5);

/// A beat later than this was no matter of scheduling.
const LATE_NS: i64 = 100_000_000;

type Spans = Arc<Mutex<Vec<(Time, Time)>>>;

/// Watches until it is dropped: the thread ends at the beat that finds nobody who asks.
pub struct Stillness {
    spans: Spans,
}

impl Stillness {
    pub fn watch(clock: Clock) -> Stillness {
        let spans = Spans::default();
        let seen = Arc::downgrade(&spans);
        thread::spawn(move || {
            let mut last = clock.now();
            while let Some(spans) = seen.upgrade() {
                let now = clock.now();
                if now.since(last) > LATE_NS {
                    spans.lock().unwrap_or_else(PoisonError::into_inner).push((last, now));
                }
                last = now;
                drop(spans);
                thread::park_timeout(BEAT);
            }
        });
        Stillness { spans }
    }
    /// The spans so far, by the clock that was given, oldest first.
    pub fn spans(&self) -> Vec<(Time, Time)> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Whether one of them ended after `from`.
    pub fn was_since(&self, from: Time) -> bool {
        self.spans().iter().any(|span| span.1 > from)
    }
}

/// Time between two instants outside these spans, which are sorted and may overlap, ns.
pub fn outside_ns(spans: &[(Time, Time)], from: Time, to: Time) -> i64 {
    let (mut told, mut inside) = (from, 0);
    for &(start, end) in spans {
        let (start, end) = (start.max(told), end.min(to));
        if end > start {
            (told, inside) = (end, inside + end.since(start));
        }
    }
    to.since(from) - inside
}
