//! What can go wrong in a world, and how a seed chooses from it.
//!
//! Thread: any.  Invariants: a choice is a function of the dice; every kind has a name, so that one that never strikes
//! is seen.

use super::chance::Chance;
use super::lines::Door;
use crate::sim::server::Fault;
use crate::types::event::Control;
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};

/// One thing that goes wrong, or that somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A switch of the venue.
    Venue(Fault),
    /// A switch of the venue, and after so long the one that undoes it.
    Spell(Fault, i64, Fault),
    /// A connection is cut.
    Cut(Door),
    /// A connection is half-open for so long, then cut.
    Mute(Door, i64),
    /// Frames of every connection are so much slower for so long.
    Slow {
        /// Longest extra way.
        extra_ns: i64,
        /// How long.
        for_ns: i64,
    },
    /// The venue loses so many events of the account; the connection that missed them is cut soon after.
    LoseEvents(u32),
    /// The venue repeats its newest account events on the next connection, which comes at once.
    RepeatEvents,
    /// The venue's clock jumps.
    ClockStep(i64),
    /// The venue restarts: every connection falls, orders stay; nobody gets in for so long.
    VenueRestart(i64),
    /// The command ring takes so many more orders, for so long.
    RingFull(u32, i64),
    /// The ledger's disk refuses for so long.
    DiskFull(i64),
    /// The process dies, at once or after so many more writes, and is started again so much later.
    Crash {
        /// Time until it is started again.
        down_ns: i64,
        /// Frames written before; 0 = at once.
        after_writes: u32,
    },
    /// The operator's word.
    Word(Control),
}

/// How one kind of trouble is made.
type Maker = fn(&mut Chance) -> Trouble;

/// Every kind, with its name.
pub const KINDS: &[(&str, Maker)] = &[
    ("placed, answered -1007", |chance| Trouble::Venue(Fault::TimeoutExecuted(few(chance)))),
    ("not placed, answered -1007", |chance| Trouble::Venue(Fault::TimeoutNotExecuted(few(chance)))),
    ("placed, answered -1006", |chance| Trouble::Venue(Fault::UnexpectedExecuted(few(chance)))),
    ("placed, answered 503", |chance| Trouble::Venue(Fault::UnavailableExecuted(few(chance)))),
    ("canceled, answered -1007", |chance| Trouble::Venue(Fault::TimeoutCanceled(few(chance)))),
    ("not done, answered 503", |chance| Trouble::Venue(Fault::Unavailable(few(chance)))),
    ("answers swallowed", |chance| Trouble::Venue(Fault::SwallowAnswers(few(chance)))),
    ("answers delayed", |chance| {
        let ms = chance.between(20, 4_500) as u32;
        Trouble::Spell(Fault::DelayAnswersMs(ms), some_ns(chance), Fault::DelayAnswersMs(0))
    }),
    ("events before answers", |chance| {
        Trouble::Spell(Fault::EventsFirst(true), 4 * some_ns(chance), Fault::EventsFirst(false))
    }),
    ("pair refused", |chance| Trouble::Venue(Fault::RefuseOco(few(chance)))),
    ("stops ended by the venue", |_| Trouble::Venue(Fault::ExpireStops)),
    ("symbol halted", |chance| Trouble::Spell(Fault::Halt, some_ns(chance), Fault::Trading)),
    ("cancels only", |chance| Trouble::Spell(Fault::CancelOnly, some_ns(chance), Fault::Trading)),
    ("429", |_| Trouble::Venue(Fault::OtherWeight(6_000))),
    ("weight nearly used up", |chance| Trouble::Venue(Fault::OtherWeight(chance.between(4_500, 5_990) as u32))),
    ("418", |chance| Trouble::Venue(Fault::BanMs(chance.between(2_000, 20_000) as u32))),
    ("depth diffs lost", |chance| Trouble::Venue(Fault::DropDepthDiffs(few(chance)))),
    ("quotes silent", |chance| silent(chance, "solusdt@bookTicker")),
    ("depth silent", |chance| silent(chance, "solusdt@depth@100ms")),
    ("slots stalled", |chance| Trouble::Spell(Fault::StallSlots(true), 2 * some_ns(chance), Fault::StallSlots(false))),
    ("subscription ended", |_| Trouble::Venue(Fault::CutUserStream)),
    ("shutdown announced", |_| Trouble::Venue(Fault::ServerShutdown)),
    ("orders cut", |_| Trouble::Cut(Door::Orders)),
    ("market cut", |_| Trouble::Cut(Door::Streams)),
    ("slots cut", |_| Trouble::Cut(Door::Slots)),
    ("orders mute", |chance| Trouble::Mute(Door::Orders, long_ns(chance))),
    ("market mute", |chance| Trouble::Mute(Door::Streams, long_ns(chance))),
    ("frames slow", |chance| {
        let extra_ns = chance.between(50, 1_900) * NANOS_PER_MILLI;
        Trouble::Slow { extra_ns, for_ns: some_ns(chance) }
    }),
    ("user events lost", |chance| Trouble::LoseEvents(chance.between(1, 8) as u32)),
    ("user events repeated", |_| Trouble::RepeatEvents),
    ("venue's clock steps", |chance| {
        let step = chance.between(300, 2_600) * NANOS_PER_MILLI;
        Trouble::ClockStep(if chance.one_in(2) { step } else { -step })
    }),
    ("venue restarts", |chance| Trouble::VenueRestart(some_ns(chance))),
    ("command ring full", |chance| {
        let (room, for_ns) = (chance.between(0, 2) as u32, some_ns(chance) / 4);
        Trouble::RingFull(room, for_ns)
    }),
    ("disk full", |chance| Trouble::DiskFull(some_ns(chance))),
    ("crash", |chance| Trouble::Crash { down_ns: some_ns(chance), after_writes: 0 }),
    ("crash between two writes", |chance| Trouble::Crash {
        down_ns: some_ns(chance),
        after_writes: chance.between(1, 6) as u32,
    }),
    ("pause", |_| Trouble::Word(Control::Pause)),
    ("resume", |_| Trouble::Word(Control::Resume)),
    ("flatten", |_| Trouble::Word(Control::Flatten)),
    ("kill", |_| Trouble::Word(Control::Kill)),
    ("stop", |_| Trouble::Word(Control::Stop)),
];

fn few(chance: &mut Chance) -> u32 {
    chance.between(1, 3) as u32
}
fn some_ns(chance: &mut Chance) -> i64 {
    chance.between(100, 5_000) * NANOS_PER_MILLI
}
fn long_ns(chance: &mut Chance) -> i64 {
    let most = if chance.one_in(6) { 90 } else { 15 };
    chance.between(1, most) * NANOS_PER_SEC
}
fn silent(chance: &mut Chance, stream: &str) -> Trouble {
    let name = stream.to_owned();
    Trouble::Spell(Fault::MuteStream(name.clone()), 2 * some_ns(chance), Fault::UnmuteStream(name))
}

/// One trouble at a time, none that ends the trade.
pub fn one(chance: &mut Chance, at_ns: i64) -> (i64, usize, Trouble) {
    loop {
        let kind = chance.between(0, KINDS.len() as i64 - 1) as usize;
        let trouble = KINDS[kind].1(chance);
        let ends = matches!(trouble, Trouble::Word(_) | Trouble::Venue(Fault::ExpireStops | Fault::RefuseOco(_)));
        if !ends {
            return (at_ns, kind, trouble);
        }
    }
}

/// The troubles of a seed, one to six of them; half of them at the moments when orders move.
pub fn troubles(chance: &mut Chance, calm_ns: i64) -> Vec<(i64, usize, Trouble)> {
    let count = chance.between(1, 6);
    let mut chosen: Vec<(i64, usize, Trouble)> = (0..count)
        .map(|_| {
            let kind = chance.between(0, KINDS.len() as i64 - 1) as usize;
            let last_ns = if chance.one_in(2) { 12 * NANOS_PER_SEC } else { calm_ns - NANOS_PER_SEC };
            let at_ns = chance.between(1_100 * NANOS_PER_MILLI, last_ns);
            (at_ns, kind, KINDS[kind].1(chance))
        })
        .collect();
    chosen.sort_by_key(|(at_ns, kind, _)| (*at_ns, *kind));
    chosen
}
