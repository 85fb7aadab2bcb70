//! Walks a journal entry by entry, with the engine made again beside it, until the question is answered.
//!
//! Thread: main.  Invariants: facts come from the journal; what it does not hold (values between two decisions, ages) comes
//! from the engine made again, and only while that engine gives the very commands of the journal.

use std::collections::VecDeque;

use super::order::OrderStory;
use crate::engine::rerun::Rerun;
use crate::engine::why::Why;
use crate::ledger::journal::Entry;
use crate::types::decision::{Decision, Refused, Verdict};
use crate::types::record::Record;
use crate::types::setup::{PauseSet, Setup};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{ClientOrderId, Command, Event, Time};

/// Refusals kept to be told.
const REFUSALS_MAX: usize = 8;
/// An engine that runs has a tick every second; one that was silent for longer did not run.
const SILENCE_NS_MAX: i64 = 5 * NANOS_PER_SEC;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Why it trades or not at this time.
    At(Time),
    /// Where this order came from and what became of it.
    Order(ClientOrderId),
    /// The newest change of verdict.
    Last,
}

/// A fact and the event it came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// Number of the event.
    pub seq: u64,
    /// When the engine saw it.
    pub at: Time,
    /// The fact.
    pub fact: T,
}

/// The engine at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Run.
    pub epoch: u32,
    /// The moment.
    pub at: Time,
    /// Newest event at that moment.
    pub event: Option<Event>,
    /// Newest change of a verdict or a rule, as recorded.
    pub recorded: Option<Dated<Decision>>,
    /// Every value at the moment; `None` = the engine could not be made again.
    pub why: Option<Why>,
    /// Why it could not.
    pub doubt: Option<String>,
    /// Newest refusals of risk, oldest first.
    pub refusals: Vec<Dated<Refused>>,
    /// Why entries are paused.
    pub pauses: PauseSet,
}

impl Moment {
    /// The decision in force; `None` = nothing was decided yet.
    pub fn decision(&self) -> Option<Decision> {
        self.why.map(|why| why.decision).or(self.recorded.map(|recorded| recorded.fact))
    }
}

/// A run of the engine as it is gone through.
struct Run {
    epoch: u32,
    started: Time,
    rerun: Option<Rerun>,
    doubt: Option<String>,
    newest: Option<Event>,
    recorded: Option<Dated<Decision>>,
    refusals: VecDeque<Dated<Refused>>,
    pauses: PauseSet,
}

impl Run {
    fn start(setup: Setup) -> Run {
        let made = Rerun::new(setup);
        Run {
            epoch: setup.epoch,
            started: setup.now,
            doubt: made.as_ref().err().map(|why| format!("{why:?}")),
            rerun: made.ok(),
            newest: None,
            recorded: None,
            refusals: VecDeque::new(),
            pauses: setup.paused,
        }
    }
    /// A run whose beginning is not in the journal any more.
    fn headless(epoch: u32, started: Time) -> Run {
        let doubt = Some("the beginning of this run is not in the journal".to_owned());
        let (newest, recorded, refusals, pauses) = (None, None, VecDeque::new(), PauseSet::NONE);
        Run { epoch, started, rerun: None, doubt, newest, recorded, refusals, pauses }
    }

    fn doubt(&mut self, why: String) {
        self.rerun = None;
        self.doubt.get_or_insert(why);
    }
    fn event(&mut self, event: &Event) {
        self.newest = Some(*event);
        let parted = self.rerun.as_mut().and_then(|rerun| rerun.event(event).err());
        self.part(event.seq, parted.is_some());
    }
    fn command(&mut self, command: &Command) {
        let parted = self.rerun.as_mut().and_then(|rerun| rerun.command(command).err());
        let Some(event) = self.newest else { return };
        self.part(event.seq, parted.is_some());
        let Command::Record(record) = command else { return };
        let (seq, at) = (event.seq, event.at);
        match record {
            Record::Decision(fact) => self.recorded = Some(Dated { seq, at, fact: *fact }),
            Record::Refused(fact) => {
                if self.refusals.len() == REFUSALS_MAX {
                    self.refusals.pop_front();
                }
                self.refusals.push_back(Dated { seq, at, fact: *fact });
            }
            Record::Pause { reason, on: true } => self.pauses = self.pauses.with(*reason),
            Record::Pause { reason, on: false } => self.pauses = self.pauses.without(*reason),
            _ => {}
        }
    }
    fn part(&mut self, seq: u64, parted: bool) {
        if parted {
            self.doubt(format!(
                "this program decides otherwise than the one that wrote the journal, from event {seq} on"
            ));
        }
    }

    /// The engine at `at`, by its own newest decision or, if asked for a time, by the rules at that time.
    fn moment(&self, at: Option<Time>) -> Moment {
        let engine = self.rerun.as_ref().map(Rerun::engine);
        let why = engine.and_then(|engine| match at {
            Some(at) => self.newest.map(|_| engine.why(at)),
            None => engine.why_last(),
        });
        Moment {
            epoch: self.epoch,
            at: at.or(self.newest.map(|event| event.at)).unwrap_or(self.started),
            event: self.newest,
            recorded: self.recorded,
            why,
            doubt: self.doubt.clone(),
            refusals: self.refusals.iter().copied().collect(),
            pauses: self.pauses,
        }
    }
}

/// What came of the question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The engine then.
    Moment(Box<Moment>),
    /// No engine ran then: the run before, when it ended, and when the next one began.
    Idle {
        /// The run before, and its last event.
        before: Option<(u32, Time)>,
        /// The next run, and its beginning.
        after: Option<(u32, Time)>,
    },
    /// The order's story.
    Order(Box<OrderStory>),
    /// Not in this journal; the runs that are.
    Nothing {
        /// First and last run.
        epochs: Option<(u32, u32)>,
    },
}

/// Follows a journal with one question.
pub struct Follower {
    question: Question,
    run: Option<Run>,
    epochs: Option<(u32, u32)>,
    verdict: Option<Verdict>,
    /// The newest change of verdict was at this event and is not looked at yet.
    is_changed: bool,
    changed: Option<Moment>,
    order: Option<OrderStory>,
}

impl Follower {
    /// Before the first entry.
    pub fn new(question: Question) -> Follower {
        let order = match question {
            Question::Order(id) => Some(OrderStory::of(id)),
            Question::At(_) | Question::Last => None,
        };
        Follower { question, run: None, epochs: None, verdict: None, is_changed: false, changed: None, order }
    }

    /// Takes the next entry of the journal. Output: the answer, if nothing that follows can change it.
    pub fn take(&mut self, entry: &Entry, epoch: u32) -> Option<Answer> {
        match entry {
            Entry::Start(setup) => {
                self.settle_change();
                if let Question::At(at) = self.question
                    && setup.now > at
                {
                    return Some(self.at_end(at, Some((setup.epoch, setup.now))));
                }
                self.meet(setup.epoch);
                self.run = Some(Run::start(**setup));
            }
            Entry::Event(event) => return self.event(event, epoch),
            Entry::Command(command) => self.command(command),
            Entry::Wire(note) => {
                if let Some(order) = &mut self.order {
                    order.wire(note);
                }
            }
            Entry::Lost(lost) => {
                if let Some(run) = &mut self.run {
                    run.doubt(format!("the journal lost {} events and {} notes", lost.events, lost.notes));
                }
            }
        }
        None
    }

    fn event(&mut self, event: &Event, epoch: u32) -> Option<Answer> {
        self.settle_change();
        if let Question::At(at) = self.question
            && event.at > at
        {
            return Some(self.at(at));
        }
        if self.run.is_none() {
            self.meet(epoch);
        }
        let run = self.run.get_or_insert_with(|| Run::headless(epoch, event.at));
        run.event(event);
        if let Some(order) = &mut self.order {
            order.event(event);
        }
        None
    }

    fn command(&mut self, command: &Command) {
        let Some(run) = &mut self.run else { return };
        run.command(command);
        if let Command::Record(Record::Decision(decision)) = command
            && self.verdict != Some(decision.verdict)
        {
            self.verdict = Some(decision.verdict);
            self.is_changed = true;
        }
        if let Some(order) = &mut self.order
            && order.command(command)
        {
            order.began_at(run.moment(None));
        }
    }

    /// The step that changed the verdict has all its commands now.
    fn settle_change(&mut self) {
        if std::mem::take(&mut self.is_changed) {
            self.changed = self.run.as_ref().map(|run| run.moment(None));
        }
    }

    fn meet(&mut self, epoch: u32) {
        self.epochs = Some((self.epochs.map_or(epoch, |(first, _)| first), epoch));
    }

    /// The engine at a time that lies in the run at hand, or after its newest event.
    fn at(&self, at: Time) -> Answer {
        match &self.run {
            Some(run) if run.started <= at => Answer::Moment(Box::new(run.moment(Some(at)))),
            _ => Answer::Idle { before: None, after: self.run.as_ref().map(|run| (run.epoch, run.started)) },
        }
    }
    /// The engine at a time after which the run at hand tells no more.
    fn at_end(&self, at: Time, after: Option<(u32, Time)>) -> Answer {
        let Some(run) = &self.run else { return Answer::Idle { before: None, after } };
        let last = run.newest.map_or(run.started, |event| event.at);
        if at.since(last) > SILENCE_NS_MAX {
            return Answer::Idle { before: Some((run.epoch, last)), after };
        }
        self.at(at)
    }

    /// The journal ends here.
    pub fn end(mut self) -> Answer {
        self.settle_change();
        let nothing = Answer::Nothing { epochs: self.epochs };
        match self.question {
            Question::At(at) => self.at_end(at, None),
            Question::Last => self.changed.map_or(nothing, |moment| Answer::Moment(Box::new(moment))),
            Question::Order(_) => match self.order {
                Some(order) if order.moment.is_some() => Answer::Order(Box::new(order)),
                _ => nothing,
            },
        }
    }
}
