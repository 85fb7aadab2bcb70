//! Names to addresses, off the agents' threads: the system's look-up blocks.
//!
//! Thread: one of its own, started from an unpinned thread (a thread inherits the cores of its maker).  Invariants:
//! an agent only sends a question and polls for the answer; at most one question per asker is on its way.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

/// Questions that may wait.
const QUESTIONS_MAX: usize = 64;

struct Question {
    host: String,
    port: u16,
    answer: Sender<Result<Vec<SocketAddr>, String>>,
}

/// Handle of the look-up thread, which ends with its last handle.
#[derive(Clone)]
pub struct Resolver {
    questions: Sender<Question>,
}

/// An answer that may still be on its way.
pub struct Lookup {
    host: String,
    answer: Receiver<Result<Vec<SocketAddr>, String>>,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address for `{host}`: {reason}")]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// What the system said.
    pub reason: String,
}

impl Resolver {
    /// Starts the look-up thread; do it before any thread is pinned.
    pub fn start() -> std::io::Result<Resolver> {
        let (questions, inbox) = bounded::<Question>(QUESTIONS_MAX);
        thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            for question in inbox {
                let found = (question.host.as_str(), question.port).to_socket_addrs();
                let found = found.map(Iterator::collect::<Vec<_>>).map_err(|error| error.to_string());
                let _ = question.answer.try_send(found); // the asker may have given up
            }
        })?;
        Ok(Resolver { questions })
    }

    /// Asks for the addresses of `host`; a literal address is answered at once.
    pub fn lookup(&self, host: &str, port: u16) -> Lookup {
        let (answer, inbox) = bounded(1);
        let lookup = Lookup { host: host.to_owned(), answer: inbox };
        if let Ok(ip) = host.parse::<IpAddr>() {
            let _ = answer.try_send(Ok(vec![SocketAddr::new(ip, port)])); // empty, and its receiver is in hand
            return lookup;
        }
        // Full: the question and with it the only sender is dropped, which `poll` reads as a failure.
        let _ = self.questions.try_send(Question { host: host.to_owned(), port, answer });
        lookup
    }
}

impl Lookup {
    /// The answer, once there is one. An answer without any address is a failure.
    pub fn poll(&self) -> Option<Result<Vec<SocketAddr>, ResolveError>> {
        let reason = match self.answer.try_recv() {
            Ok(Ok(found)) if !found.is_empty() => return Some(Ok(found)),
            Ok(Ok(_)) => "the system found none".to_owned(),
            Ok(Err(reason)) => reason,
            Err(TryRecvError::Disconnected) => "too many look-ups are waiting".to_owned(),
            Err(TryRecvError::Empty) => return None,
        };
        Some(Err(ResolveError { host: self.host.clone(), reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_address_is_answered_at_once_and_localhost_by_the_thread() {
        let resolver = Resolver::start().expect("thread");
        let literal = resolver.lookup("::1", 7).poll().expect("at once").expect("literal");
        assert_eq!(literal, ["[::1]:7".parse().expect("address")]);
        let lookup = resolver.lookup("localhost", 9);
        let found = lookup.answer.recv().expect("answer").expect("localhost");
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 9));
    }

    #[test]
    fn name_without_address_is_named_in_the_error() {
        let resolver = Resolver::start().expect("thread");
        let name = "x".repeat(64); // one letter longer than a label may be: refused without asking anybody
        let lookup = resolver.lookup(&name, 9);
        let error = loop {
            if let Some(answer) = lookup.poll() {
                break answer.expect_err("no such name");
            }
            thread::yield_now();
        };
        assert!(error.to_string().contains(&name), "{error}");
    }
}
