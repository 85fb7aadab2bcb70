//! The world's turns: one planned thing happens, the house answers, the rules are looked at.
//!
//! Thread: any.  Invariants: every turn ends with the house at rest and every wish of its planned.

use super::chance::Chance;
use super::house::{Asked, Wish};
use super::life::{FIRST_DATA_NS, market};
use super::lines::{Door, Far, Line};
use super::plan::Plan;
use super::queue::Queue;
use super::tally::Tally;
use super::truth::{Truth, Violation, broken};
use super::{BEGIN, Venues, WORLD_SALT, World};
use crate::ledger::Ledger;
use crate::sim::server::Fault;
use crate::sim::server::binance::{ApiSession, StreamSession};
use crate::sim::server::solana::SlotSession;
use crate::types::command::Alert;
use crate::types::event::{EventKind, SourceReason, SourceState, StreamState, VolumeDefinition, VolumeSample};
use crate::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use crate::types::{Event, Notional, StreamId, Time};
use std::collections::BTreeMap;

/// How often the gateway looks at its deadlines at least.
const KEEP_TIME_NS: i64 = 20 * NANOS_PER_MILLI;
/// A connection without any byte is given up: as the links are set.
const SILENCE_NS: i64 = 60 * NANOS_PER_SEC;
/// Ended orders that the venue still finds: far more than the house ever asks for.
const ENDED_KEPT: usize = 1_000;
/// Streams that the house listens to.
const HEARD: [&str; 4] = ["solusdt@bookTicker", "solusdt@depth@100ms", "solusdt@trade", "solusdt@kline_5m"];
/// Between two readings of the volume source.
const VOLUME_NS: i64 = 20 * NANOS_PER_SEC;

/// What can happen.
#[derive(Debug)]
pub(super) enum Due {
    /// The market moves.
    Market,
    /// A frame of ours arrives.
    ToVenue(u32, Vec<u8>),
    /// A frame of the venue's arrives.
    ToHouse(u32, String),
    /// The venue sends an answer that it was slow to make.
    LateAnswer(u32, String),
    /// The process starts.
    Start,
    /// The process dies, for so long.
    Die(i64),
    /// The house of that life tries to connect.
    Dial(u32, Door),
    /// A connection is open.
    Opened(u32),
    /// The venue closes a connection, or something between does.
    Cut(u32),
    /// The house learns that a connection is closed.
    HearsEnd(u32),
    /// The venue learns it.
    FarEnd(u32),
    /// A REST question of the market side arrives.
    RestAsk(u32, Asked, String),
    /// Its answer arrives.
    RestAnswer(u32, Asked, Option<String>),
    /// A volume source is read.
    Volume(u32),
    /// The gateway and ingest look at the clock.
    KeepTime(u32),
    /// The engine's deadline.
    Timer,
    /// The cold agent writes what waits.
    Flush,
    /// Something goes wrong, by its place in the plan.
    Trouble(usize),
    /// A switch of the venue goes back.
    Undo(Fault),
    /// The command ring is empty again.
    RingEmpty,
    /// From here on nothing goes wrong any more.
    Calm,
}

impl World {
    /// Before anything happened.
    pub(super) fn new(plan: Plan) -> Result<World, Violation> {
        let begin = |why: &dyn std::fmt::Display| broken("the world begins", why.to_string());
        let mut venues = Venues::new(plan.scenario.clone(), BEGIN).map_err(|why| begin(&why))?;
        venues.venue.be_brief(&HEARD.map(str::to_owned), ENDED_KEPT);
        let ledger = Ledger::in_memory(market()?).map_err(|why| begin(&why))?;
        let (free, locked) = venues.venue.snapshot().balance("USDT");
        let mut world = World {
            chance: Chance::new(plan.seed ^ WORLD_SALT),
            now: BEGIN,
            queue: Queue::new(),
            skew_ns: 0,
            venue_time: BEGIN,
            slot_told: venues.slot,
            lines: BTreeMap::new(),
            lines_made: 0,
            wishes: Vec::new(),
            timer_at: Time(i64::MAX),
            ledger: Some(ledger),
            disk_full_until: Time::NONE,
            flush_planned: false,
            truth: Truth::new(&plan, free + locked),
            tally: Tally::default(),
            slow: (Time::NONE, 0),
            closed_until: Time::NONE,
            to_lose: 0,
            told: Vec::new(),
            repeat: false,
            ill_until: BEGIN,
            ready_since: None,
            worst_naked_ns: 0,
            notes: Vec::new(),
            house: None,
            last_house: None,
            lives: 0,
            starts_failed: 0,
            killed: false,
            crash_after: None,
            venues,
            plan,
        };
        for due in [Due::Market, Due::Start] {
            world.queue.plan(BEGIN, due);
        }
        for (number, (at_ns, _, _)) in world.plan.troubles.iter().enumerate() {
            world.queue.plan(BEGIN.plus(*at_ns), Due::Trouble(number));
        }
        world.queue.plan(BEGIN.plus(world.plan.calm_ns), Due::Calm);
        Ok(world)
    }

    /// The next thing happens.
    pub(super) fn turn(&mut self) -> Result<(), Violation> {
        let Some((at, due)) = self.queue.pop() else { return Err(broken("time goes on", "nothing is planned")) };
        self.now = self.now.max(at);
        self.happen(due)?;
        if let Some(house) = &mut self.house {
            let circles = |what| broken("the house comes to rest", what);
            house.drive(self.now, &mut self.wishes).map_err(circles)?;
        }
        for wish in std::mem::take(&mut self.wishes) {
            self.grant(wish)?;
        }
        self.plan_timer();
        self.look()
    }

    fn happen(&mut self, due: Due) -> Result<(), Violation> {
        match due {
            Due::Market => self.move_market(),
            Due::ToVenue(conn, text) => self.serve(conn, &text),
            Due::ToHouse(conn, frame) => self.hear(conn, frame.as_bytes())?,
            Due::LateAnswer(conn, frame) => self.send_down(conn, frame),
            Due::Start => self.start()?,
            Due::Die(down_ns) => self.die(down_ns),
            Due::Dial(life, door) if life == self.lives => self.dial(door),
            Due::Opened(conn) => self.open(conn),
            Due::Cut(conn) => self.cut(conn),
            Due::HearsEnd(conn) => self.hear_end(conn),
            Due::FarEnd(conn) => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.far = None;
                }
            }
            Due::RestAsk(life, asked, path) => {
                let answer = self.rest_answer(&path, "").filter(|response| response.status == 200);
                let at = self.now.plus(self.travel_ns());
                self.queue.plan(at, Due::RestAnswer(life, asked, answer.map(|response| response.body)));
            }
            Due::RestAnswer(life, asked, answer) if life == self.lives => {
                let Some(house) = &mut self.house else { return Ok(()) };
                let read = house.on_rest(asked, answer.as_deref().map(str::as_bytes), self.now);
                read.map_err(|why| broken("every answer can be read", why))?;
            }
            Due::Volume(life) if life == self.lives => self.tell_volume(),
            Due::KeepTime(life) if life == self.lives => self.keep_time(),
            Due::Dial(..) | Due::RestAnswer(..) | Due::Volume(_) | Due::KeepTime(_) => {} // of a process that is gone
            Due::Timer => self.timer_at = Time(i64::MAX),
            Due::Flush => self.flush()?,
            Due::Trouble(number) => self.strike(number),
            Due::Undo(fault) => self.venues.apply(&fault),
            Due::RingEmpty => {
                if let Some(house) = &mut self.house {
                    house.ring_room = None;
                }
            }
            Due::Calm => self.calm_down(),
        }
        Ok(())
    }

    fn hear(&mut self, conn: u32, frame: &[u8]) -> Result<(), Violation> {
        let now = self.now;
        let Some(line) = self.lines.get_mut(&conn) else { return Ok(()) };
        if !line.near || line.mute_since.is_some() || now > line.down_until {
            return Ok(());
        }
        let (door, Some(house)) = (line.door, &mut self.house) else { return Ok(()) };
        match house.on_frame((door, conn), frame, now, &mut self.wishes) {
            Ok(is_data) => line.has_data |= is_data,
            Err(why) => return Err(broken("every frame can be read", why)),
        }
        Ok(())
    }

    fn grant(&mut self, wish: Wish) -> Result<(), Violation> {
        match wish {
            Wish::Send(conn, text) => {
                let travel_ns = self.travel_ns();
                if let Some(line) = self.lines.get_mut(&conn).filter(|line| line.near) {
                    let at = line.up(self.now, travel_ns);
                    self.queue.plan(at, Due::ToVenue(conn, text));
                    self.count_to_crash();
                }
            }
            Wish::Drop(conn) => self.leave(conn),
            Wish::Renew(door) => self.queue.plan(self.now, Due::Dial(self.lives, door)),
            Wish::Ask(asked, path) => {
                let at = self.now.plus(self.travel_ns());
                self.queue.plan(at, Due::RestAsk(self.lives, asked, path));
            }
            Wish::Keep(record, at) => self.keep(&record, at),
            Wish::Wake(alert) => self.tally.count(alert_name(&alert)),
            Wish::Entered(order) if self.house.as_ref().is_some_and(|house| house.stopping) => {
                return Err(broken("no entry after a stop", format!("{order:?}")));
            }
            Wish::Entered(_) => self.tally.count("entry order"),
        }
        Ok(())
    }

    /// A process may die between any two writes.
    fn count_to_crash(&mut self) {
        if let Some((left, down_ns)) = &mut self.crash_after {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let down_ns = *down_ns;
                self.die(down_ns);
            }
        }
    }

    fn plan_timer(&mut self) {
        let deadline = self.house.as_ref().and_then(super::house::House::deadline);
        if let Some(at) = deadline.filter(|at| *at < self.timer_at) {
            self.timer_at = at;
            self.queue.plan(at.max(self.now), Due::Timer);
        }
    }

    /// One way's time now.
    pub(super) fn travel_ns(&mut self) -> i64 {
        let (until, extra_ns) = self.slow;
        let extra = if self.now < until { self.chance.between(0, extra_ns) } else { 0 };
        self.plan.pace.travel_ns(&mut self.chance) + extra
    }

    fn dial(&mut self, door: Door) {
        if self.now < self.closed_until {
            let later = self.now.plus(self.chance.between(100, 1_000) * NANOS_PER_MILLI);
            self.queue.plan(later, Due::Dial(self.lives, door));
            return;
        }
        self.lines_made += 1;
        let conn = self.lines_made;
        self.lines.insert(conn, Line::new((self.lives, door), self.now));
        let at = self.now.plus(2 * self.travel_ns()); // one way there and one back
        self.queue.plan(at, Due::Opened(conn));
    }

    fn open(&mut self, conn: u32) {
        let venue_now = self.venue_now();
        let Some(house) = &mut self.house else { return };
        let path = house.market_path();
        let Some(line) = self.lines.get_mut(&conn).filter(|line| line.life == self.lives) else { return };
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        line.far = match line.door {
            Door::Streams => StreamSession::of_path(path, query).map(Far::Streams),
            Door::Orders => Some(Far::Orders(Box::new(ApiSession::new("", venue_now)))),
            Door::Slots => Some(Far::Slots(SlotSession::default())),
        };
        line.near = true;
        line.opened = self.now;
        let door = line.door;
        self.tally.count("connection opened");
        house.on_open(door, conn, self.now, &mut self.wishes);
    }

    /// The connection breaks: the venue knows at once, the house a little later; what is under way may be lost.
    pub(super) fn cut(&mut self, conn: u32) {
        let lost_from = self.now.plus(self.chance.between(0, 50) * NANOS_PER_MILLI);
        let heard = lost_from.plus(self.chance.between(0, 1_500) * NANOS_PER_MILLI);
        let Some(line) = self.lines.get_mut(&conn) else { return };
        if line.far.take().is_none() {
            return;
        }
        if line.door == Door::Orders {
            self.to_lose = 0; // what a venue loses, it loses with the connection
        }
        line.down_until = lost_from;
        self.queue.plan(heard, Due::HearsEnd(conn));
    }

    fn hear_end(&mut self, conn: u32) {
        let Some(line) = self.lines.remove(&conn) else { return };
        if !line.near {
            return;
        }
        self.tally.count("connection lost");
        if let Some(house) = &mut self.house {
            house.on_down(line.door, conn, self.now);
        }
        self.dial_again(line.door);
    }

    /// The house gives a connection up.
    fn leave(&mut self, conn: u32) {
        let travel_ns = self.travel_ns();
        let Some(line) = self.lines.get_mut(&conn).filter(|line| line.near) else { return };
        line.near = false;
        let (door, at) = (line.door, line.up(self.now, travel_ns));
        self.queue.plan(at, Due::FarEnd(conn));
        self.tally.count("connection given up");
        if let Some(house) = &mut self.house {
            house.on_down(door, conn, self.now);
        }
        self.dial_again(door);
    }

    /// The next attempt, unless a newer connection serves already.
    fn dial_again(&mut self, door: Door) {
        let is_served = self.lines.values().any(|line| line.door == door && line.near);
        if !is_served {
            let at = self.now.plus(self.chance.between(0, 800) * NANOS_PER_MILLI);
            self.queue.plan(at, Due::Dial(self.lives, door));
        }
    }

    fn keep_time(&mut self) {
        let Some(house) = &mut self.house else { return };
        self.queue.plan(self.now.plus(KEEP_TIME_NS), Due::KeepTime(self.lives));
        house.keep_time(self.now, &mut self.wishes);
        let now = self.now;
        let is_dead = |line: &Line| {
            let is_mute = line.mute_since.is_some_and(|since| now.since(since) > SILENCE_NS);
            line.near && (is_mute || (!line.has_data && now.since(line.opened) > FIRST_DATA_NS))
        };
        let dead: Vec<u32> = self.lines.iter().filter(|(_, line)| is_dead(line)).map(|(conn, _)| *conn).collect();
        dead.into_iter().for_each(|conn| self.leave(conn));
    }

    /// The volume has fallen by a third, day over day.
    fn tell_volume(&mut self) {
        let Some(house) = &mut self.house else { return };
        self.queue.plan(self.now.plus(VOLUME_NS), Due::Volume(self.lives));
        let tell = |kind| Event {
            seq: 0,
            recv: self.now,
            at: self.now,
            venue_time: Time::NONE,
            stream: StreamId::DefiLlama,
            kind,
        };
        let sample = VolumeSample {
            definition: VolumeDefinition::UtcDay,
            state: SourceState::Ok,
            now: Notional(27_040_000_000_000_000 + self.now.utc_day()), // no day repeats another to the cent
            prev: Notional(42_620_000_000_000_000),
            reason: SourceReason::None,
            bucket_end: self.now.day_start(),
            as_of: self.now,
            ..VolumeSample::UNREAD
        };
        let events = [tell(EventKind::Stream(StreamState::Up)), tell(EventKind::Volume(sample))];
        events.into_iter().for_each(|event| house.tell_slow(event));
    }
}

fn alert_name(alert: &Alert) -> &'static str {
    match alert {
        Alert::Enter { .. } => "alert: entry",
        Alert::Stop { .. } => "alert: out",
        Alert::Fatal { .. } => "alert: somebody must look",
    }
}
