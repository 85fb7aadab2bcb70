//! Where a thread sleeps: until a socket is readable, somebody wakes it, or its time is up.
//!
//! Thread: one poller per runner; its [`Waker`] may be used from any thread.
//! Invariants: a wake is never lost: one that comes while nobody sleeps ends the next sleep at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

const WAKE_TOKEN: mio::Token = mio::Token(usize::MAX);
/// Events taken per sleep; the agents read every socket anyway, so more would say nothing.
const EVENTS_MAX: usize = 64;

/// One thread's sleeping place.
#[derive(Debug)]
pub struct Poller {
    poll: mio::Poll,
    events: mio::Events,
    waker: Arc<mio::Waker>,
}

/// Ends another thread's sleep.
#[derive(Clone, Debug)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Wakes. One system call; an error would mean a closed poller, whose thread is gone anyway.
    pub fn wake(&self) {
        drop(self.0.wake());
    }
}

impl Poller {
    /// Opens one. Errors: the kernel's, when it is out of descriptors.
    pub fn new() -> io::Result<Poller> {
        let poll = mio::Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE_TOKEN)?);
        Ok(Poller { poll, events: mio::Events::with_capacity(EVENTS_MAX), waker })
    }
    /// Handle for registering sockets.
    pub fn registry(&self) -> io::Result<mio::Registry> {
        self.poll.registry().try_clone()
    }
    /// Handle for waking this thread.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.waker))
    }
    /// Sleeps for at most `longest`.
    pub fn sleep(&mut self, longest: Duration) {
        // An interrupted sleep is a short one: the caller looks at everything again in any case.
        drop(self.poll.poll(&mut self.events, Some(longest)));
    }
}
