//! The operator's words on their way in: a kill straight to the gateway, the others to the engine by the cold side.
//!
//! Thread: the ops port's and the control socket's.  Invariants: a kill needs nobody but the gateway; the answer to a
//! word says what became of it, never more than is known.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use serde_json::{Value, json};

use crate::sys::clock::Clock;
use crate::sys::kill::KillSwitch;
use crate::telemetry::Board;
use crate::types::Time;
use crate::types::event::Control;
use crate::types::note::KillStep;
use crate::types::time::NANOS_PER_MILLI;

/// Between two looks at what became of a word.
const LOOK: Duration = Duration::from_millis(1);
/// How long the gateway may take to say what it did about a kill: it looks at least every 20 ms.
const KILL_PATIENCE_NS: i64 = 250 * NANOS_PER_MILLI;
/// How long the status may take to follow a word.
const WORD_PATIENCE_NS: i64 = 1_000 * NANOS_PER_MILLI;

/// What an operator can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// No entries until `resume`.
    Pause,
    /// Entries again.
    Resume,
    /// Pause, and sell the position.
    Flatten,
    /// Cancel everything, sell what is proven, never enter again in this run.
    Kill,
}

impl Word {
    /// All of them.
    pub const ALL: [Word; 4] = [Word::Pause, Word::Resume, Word::Flatten, Word::Kill];
    /// As a verb, a path and a line of the control socket spell it.
    pub fn name(self) -> &'static str {
        match self {
            Word::Pause => "pause",
            Word::Resume => "resume",
            Word::Flatten => "flatten",
            Word::Kill => "kill",
        }
    }
    /// The word of a name.
    pub fn of_name(name: &str) -> Option<Word> {
        Word::ALL.into_iter().find(|word| word.name() == name)
    }
    fn control(self) -> Control {
        match self {
            Word::Pause => Control::Pause,
            Word::Resume => Control::Resume,
            Word::Flatten => Control::Flatten,
            Word::Kill => Control::Kill,
        }
    }
}

/// The word was not taken: the cold side does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine does not take words now; try again, or use kill")]
pub struct NotTaken;

/// The way in, shared by every door.
#[derive(Clone, Debug)]
pub struct Operator {
    words: Sender<Control>,
    kill: Arc<KillSwitch>,
    board: Arc<Board>,
    clock: Clock,
}

impl Operator {
    /// `words` leads to the cold side, `kill` to the gateway; `board` is where answers come from.
    pub fn new(words: Sender<Control>, kill: Arc<KillSwitch>, board: Arc<Board>, clock: Clock) -> Operator {
        Operator { words, kill, board, clock }
    }

    /// Hands a word on. Output: the answer as far as it is known at once.
    pub fn obey(&self, word: Word) -> Result<Value, NotTaken> {
        if word == Word::Kill {
            let (pull, from) = (self.kill.pull(), self.clock.now());
            return Ok(self.kill_answer(pull, from));
        }
        self.words.try_send(word.control()).map_err(|_| NotTaken)?;
        Ok(json!({ "accepted": word.name() }))
    }

    /// Hands a word on, and waits until the status has followed it: what it shows then is the answer.
    pub fn obey_and_look(&self, word: Word) -> Result<Value, NotTaken> {
        let from = self.clock.now();
        let mut answer = self.obey(word)?;
        if word != Word::Kill {
            // The second status after the word was surely made after the engine had it.
            let first = self.status_after(from);
            self.status_after(first);
        }
        let status = self.board.read();
        let pauses: Vec<&str> = status.pauses.iter().map(|reason| reason.name()).collect();
        let position = status.equity.map(|row| row.position.to_string());
        answer["pauses"] = json!(pauses);
        answer["stopping"] = json!(status.stopping || word == Word::Kill);
        answer["orders_open"] = json!(status.orders_open);
        answer["position"] = json!(position);
        Ok(answer)
    }

    /// Waits for a status newer than `from`; its time, or `from` if none comes.
    fn status_after(&self, from: Time) -> Time {
        while self.clock.now().since(from) < WORD_PATIENCE_NS {
            let at = self.board.read().at;
            if at > from {
                return at;
            }
            std::thread::park_timeout(LOOK);
        }
        from
    }

    fn kill_answer(&self, pull: u32, from: Time) -> Value {
        let mut told = self.kill.told(pull);
        while told.0 == KillStep::Pending && self.clock.now().since(from) < KILL_PATIENCE_NS {
            std::thread::park_timeout(LOOK);
            told = self.kill.told(pull);
        }
        let (step, at) = told;
        let what = match step {
            KillStep::Written => "the cancel of everything is written; what is proven is sold next",
            KillStep::AwaitsConnection => {
                "no order connection: the cancel of everything is the first request once it opens"
            }
            KillStep::AwaitsBanEnd => "our address is banned: the cancel of everything goes out at the end of the ban",
            KillStep::Pending => "the gateway has not said yet what it did: look at the log, and at the venue",
        };
        let after_us = (step != KillStep::Pending).then(|| at.since(from).max(0) / 1_000);
        json!({ "accepted": "kill", "cancels": step.name(), "after_us": after_us, "what": what })
    }
}
