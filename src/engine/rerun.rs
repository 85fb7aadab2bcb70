//! A run made again: its events through a new engine, each command beside the one that the journal has.
//!
//! Thread: any.  Invariants: pure; the engine is never given an event that it would refuse by assertion for its number or
//! its time, so a damaged history is a [`Difference`], not a panic; after the first difference nothing is compared.

use super::{Engine, Setup};
use crate::types::command::{Command, CommandBuf};
use crate::types::event::Event;
use crate::types::time::Time;

/// Where the journal and the engine part. Each names the event that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The engine cannot start from what the journal says.
    Setup,
    /// An event whose number or time does not continue the one before.
    Hole {
        /// Number expected.
        expected: u64,
        /// The event.
        event: Event,
    },
    /// A command before any event.
    Headless {
        /// The command.
        journal: Command,
    },
    /// Another command than the engine gives.
    Other {
        /// What led to it.
        event: Event,
        /// Position among the event's commands, from 1.
        place: usize,
        /// What the journal has.
        journal: Command,
        /// What the engine gives.
        engine: Command,
    },
    /// A command that the engine does not give.
    Extra {
        /// What led to it.
        event: Event,
        /// Position among the event's commands, from 1.
        place: usize,
        /// What the journal has.
        journal: Command,
    },
    /// A command of the engine that the journal has not.
    Missing {
        /// What led to it.
        event: Event,
        /// Position among the event's commands, from 1.
        place: usize,
        /// What the engine gives.
        engine: Command,
    },
}

/// What was gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events.
    pub events: u64,
    /// Commands of all kinds.
    pub commands: u64,
    /// Commands that ask for a new order.
    pub orders: u64,
    /// Time of the first event; NONE = there was none.
    pub first: Time,
    /// Time of the last event.
    pub last: Time,
}

/// The engine of a run, made again.
#[derive(Debug)]
pub struct Rerun {
    engine: Engine,
    out: CommandBuf,
    event: Option<Event>,
    /// Commands of the newest event met in the journal.
    met: usize,
    tally: Tally,
}

impl Rerun {
    /// From what the journal says the run began with. Errors: [`Difference::Setup`].
    pub fn new(setup: Setup) -> Result<Rerun, Box<Difference>> {
        if setup.epoch == 0 || setup.instrument.tick.0 <= 0 || setup.instrument.lot.0 <= 0 || setup.candle_s == 0 {
            return Err(Box::new(Difference::Setup));
        }
        let (engine, out) = (Engine::new(setup), CommandBuf::new());
        Ok(Rerun { engine, out, event: None, met: 0, tally: Tally::default() })
    }

    /// The next event, where commands are compared. Errors: a hole, or a command of the event before that the journal
    /// has not.
    pub fn event(&mut self, event: &Event) -> Result<(), Box<Difference>> {
        self.end()?;
        self.step(event)
    }

    /// The next event, where commands are not compared. Errors: a hole.
    pub fn step(&mut self, event: &Event) -> Result<(), Box<Difference>> {
        let expected = self.tally.events + 1;
        if event.seq != expected || event.at < self.engine.now {
            return Err(Box::new(Difference::Hole { expected, event: *event }));
        }
        self.out.clear();
        self.engine.step(event, &mut self.out);
        (self.event, self.met) = (Some(*event), 0);
        self.count(event);
        Ok(())
    }

    fn count(&mut self, event: &Event) {
        let tally = &mut self.tally;
        tally.events += 1;
        tally.commands += self.out.len() as u64;
        tally.orders += self.out.iter().filter(|command| command.is_new_order()).count() as u64;
        if tally.events == 1 {
            tally.first = event.at;
        }
        tally.last = event.at;
    }

    /// The next command of the newest event. Errors: the engine gives another one, or none.
    pub fn command(&mut self, journal: &Command) -> Result<(), Box<Difference>> {
        let Some(event) = self.event else { return Err(Box::new(Difference::Headless { journal: *journal })) };
        let place = self.met + 1;
        match self.out.iter().nth(self.met) {
            None => return Err(Box::new(Difference::Extra { event, place, journal: *journal })),
            Some(engine) if engine != journal => {
                return Err(Box::new(Difference::Other { event, place, journal: *journal, engine: *engine }));
            }
            Some(_) => {}
        }
        self.met = place;
        Ok(())
    }

    /// The newest event has all its commands. Not to be asked of a torn tail. Errors: one is missing.
    pub fn end(&self) -> Result<(), Box<Difference>> {
        match (self.event, self.out.iter().nth(self.met)) {
            (Some(event), Some(engine)) => {
                Err(Box::new(Difference::Missing { event, place: self.met + 1, engine: *engine }))
            }
            _ => Ok(()),
        }
    }

    /// The engine after the newest event.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
    /// The newest event.
    pub fn newest(&self) -> Option<&Event> {
        self.event.as_ref()
    }
    /// What the engine gave for the newest event.
    pub fn commands(&self) -> &CommandBuf {
        &self.out
    }
    /// What was gone through so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}
