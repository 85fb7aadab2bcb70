//! The control socket: the operator's words from the same host, one a connection, answered in one line of JSON.
//!
//! Thread: `ops-socket`, two of them, unpinned.  Invariants: the file's mode is the guard, so no token is asked for; a
//! slow asker holds up one thread for [`PATIENCE`] at most, and no agent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::operator::{Operator, Word};
use crate::sys::local;

/// Threads that answer: a word that waits for its answer must not hold up a kill.
const THREADS: usize = 2;
/// How long an asker may take to say its word.
const PATIENCE: Duration = Duration::from_millis(250);
/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 64;

/// The open socket.
#[derive(Debug)]
pub struct ControlSocket {
    dir: PathBuf,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl ControlSocket {
    /// Opens it in `dir`. Errors: the kernel's.
    pub fn start(dir: &Path, operator: &Operator) -> io::Result<ControlSocket> {
        let listener = local::listen(dir)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (listener, stop, operator) = (listener.try_clone()?, Arc::clone(&stop), operator.clone());
            let name = "ops-socket".to_owned();
            threads.push(std::thread::Builder::new().name(name).spawn(move || serve(&listener, &stop, &operator))?);
        }
        Ok(ControlSocket { dir: dir.to_owned(), stop, threads })
    }

    /// Closes it.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release); // pairs with the Acquire in `serve`
        for _ in &self.threads {
            drop(local::connect(&self.dir)); // an empty knock ends the wait of one thread
        }
        local::remove(&self.dir);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn serve(listener: &UnixListener, stop: &AtomicBool, operator: &Operator) {
    for asker in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return; // pairs with the Release in `stop`
        }
        match asker.map(|asker| answer(asker, operator)) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => log::debug!("an asker at the control socket left early: {why}"),
            Err(why) => {
                log::warn!("the control socket: {why}");
                std::thread::park_timeout(PATIENCE); // out of descriptors: not again without pause
            }
        }
    }
}

fn answer(asker: UnixStream, operator: &Operator) -> io::Result<()> {
    asker.set_read_timeout(Some(PATIENCE))?;
    asker.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&asker).take(LINE_BYTES_MAX)).read_line(&mut line)?;
    let said = line.trim();
    let answer = match Word::of_name(said) {
        Some(word) => operator.obey_and_look(word).unwrap_or_else(|why| json!({ "error": why.to_string() })),
        None => json!({ "error": format!("unknown word {said:?}; there are pause, resume, flatten and kill") }),
    };
    writeln!(&asker, "{answer}")
}
