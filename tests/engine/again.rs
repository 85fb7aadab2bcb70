//! The driver around the engine, the rerun of a history, and the look at why it trades or does not.
//!
//! Thread: any.  Invariants: as of the desk.

use crate::desk::*;
use sol_volume_bot::engine::driver::{Driver, internal};
use sol_volume_bot::engine::rerun::{Difference, Rerun};
use sol_volume_bot::engine::{Engine, Setup};
use sol_volume_bot::types::command::{CancelOrder, QueryOrder};
use sol_volume_bot::types::decision::{RiskRule, Rule, Verdict};
use sol_volume_bot::types::event::{Control, TimerId};
use sol_volume_bot::types::order::ExecKind;
use sol_volume_bot::types::record::Record;
use sol_volume_bot::types::{Command, CommandBuf, Event, EventKind, Leg, Price, StreamId, Time, VenueOrderId};

/// Each event of a whole round trip with the commands that came of it.
fn history() -> Vec<(Event, Vec<Command>)> {
    let mut desk = Desk::new();
    desk.enter_all();
    desk.market("154.00", "154.01");
    desk.pass(5 * SEC);
    assert_eq!(desk.trades().len(), 1, "a whole round trip");
    with_commands(setup(), &desk.events)
}

fn with_commands(setup: Setup, events: &[Event]) -> Vec<(Event, Vec<Command>)> {
    let (mut engine, mut out) = (Engine::new(setup), CommandBuf::new());
    let mut step = |event: &Event| {
        out.clear();
        engine.step(event, &mut out);
        (*event, out.iter().copied().collect())
    };
    events.iter().map(&mut step).collect()
}

fn rerun(setup: Setup, history: &[(Event, Vec<Command>)]) -> Result<Rerun, Box<Difference>> {
    let mut rerun = Rerun::new(setup)?;
    for (event, commands) in history {
        rerun.event(event)?;
        commands.iter().try_for_each(|command| rerun.command(command))?;
    }
    rerun.end()?;
    Ok(rerun)
}

#[test]
fn a_history_made_again_has_no_difference_and_is_counted() {
    let history = history();
    let tally = rerun(setup(), &history).expect("the same commands").tally();
    assert_eq!(tally.events, history.len() as u64);
    assert_eq!(tally.commands, history.iter().map(|(_, commands)| commands.len() as u64).sum::<u64>());
    let orders = history.iter().flat_map(|(_, commands)| commands).filter(|command| command.is_new_order()).count();
    assert_eq!(tally.orders, orders as u64);
    assert!(orders > 4, "entries and exits");
    assert_eq!((tally.first, tally.last), (history[0].0.at, history[history.len() - 1].0.at));
}

#[test]
fn another_missing_or_additional_command_is_named_with_its_event_and_place() {
    let good = history();
    let at = good.iter().position(|(_, commands)| commands.iter().any(Command::is_new_order)).expect("an order");
    let (event, commands) = good[at].clone();
    for (place, engine) in commands.iter().copied().enumerate() {
        let mut bad = good.clone();
        let other = Command::ArmTimer { id: TimerId::Exit, at: Time(place as i64) };
        bad[at].1[place] = other;
        let told = Difference::Other { event, place: place + 1, journal: other, engine };
        assert_eq!(rerun(setup(), &bad).expect_err("changed"), Box::new(told));
    }
    let last = commands[commands.len() - 1];
    let mut bad = good.clone();
    bad[at].1.pop();
    let told = Difference::Missing { event, place: commands.len(), engine: last };
    assert_eq!(rerun(setup(), &bad).expect_err("missing"), Box::new(told));
    let mut bad = good.clone();
    bad[at].1.push(last);
    let told = Difference::Extra { event, place: commands.len() + 1, journal: last };
    assert_eq!(rerun(setup(), &bad).expect_err("additional"), Box::new(told));
}

#[test]
fn a_run_of_other_numbers_differs_at_its_first_other_decision() {
    let history = history();
    let mut other = setup();
    other.params.meme_drop = ratio("0.45");
    let why = rerun(other, &history).expect_err("another threshold");
    assert!(matches!(*why, Difference::Other { journal: Command::Record(Record::Decision(_)), .. }), "{why:?}");
}

#[test]
fn a_hole_a_step_back_in_time_and_a_setup_that_cannot_be_are_differences_not_panics() {
    let good = history();
    let mut bad = good.clone();
    let (lost, _) = bad.remove(7);
    assert_eq!(*rerun(setup(), &bad).expect_err("a hole"), Difference::Hole { expected: lost.seq, event: bad[7].0 });
    let mut bad = good.clone();
    bad[9].0.at = Time(bad[8].0.at.0 - 1);
    assert_eq!(*rerun(setup(), &bad).expect_err("a step back"), Difference::Hole { expected: 10, event: bad[9].0 });
    let none = Setup { epoch: 0, ..setup() };
    assert_eq!(*Rerun::new(none).expect_err("no epoch"), Difference::Setup);
    let journal = Command::CancelAll;
    let headless = Rerun::new(setup()).expect("a good setup").command(&journal);
    assert_eq!(headless, Err(Box::new(Difference::Headless { journal })));
}

#[test]
fn the_driver_numbers_events_without_a_hole_and_never_lets_time_fall() {
    let mut driver = Driver::new(Engine::new(setup()));
    let word = |control| internal(EventKind::Control(control), NOON);
    let first = driver.step(word(Control::Pause), Time(NOON.0 - SEC));
    let second = driver.step(word(Control::Resume), Time(NOON.0 + SEC));
    let third = driver.step(word(Control::Pause), Time(NOON.0));
    assert_eq!([first.seq, second.seq, third.seq], [1, 2, 3]);
    assert_eq!([first.at, second.at, third.at], [NOON, Time(NOON.0 + SEC), Time(NOON.0 + SEC)]);
    assert_eq!(third.recv, NOON, "when it was read stays as it was");
}

#[test]
fn the_driver_gives_a_timer_once_when_it_is_due_and_names_the_nearest_deadline() {
    let mut driver = Driver::new(Engine::new(setup()));
    assert_eq!(driver.deadline(), None);
    driver.step(internal(EventKind::Control(Control::Pause), NOON), NOON);
    assert_eq!(driver.deadline(), Some(Time(NOON.0 + SEC)), "the tick of the first event");
    assert_eq!(driver.due_timer(Time(NOON.0 + SEC - 1)), None);
    let due = driver.due_timer(Time(NOON.0 + SEC)).expect("due");
    assert_eq!((due.kind, due.stream), (EventKind::Timer(TimerId::Tick), StreamId::Internal));
    assert_eq!(driver.due_timer(Time(NOON.0 + SEC)), None, "given once");
}

#[test]
fn an_order_that_finds_no_room_is_answered_for_every_leg() {
    let history = history();
    let mut driver = Driver::new(Engine::new(setup()));
    let mut refused = Vec::new();
    for (event, _) in &history {
        driver.step(*event, event.at);
        let asked: Vec<Command> = driver.commands().iter().filter(|command| command.is_for_venue()).copied().collect();
        let mut offered = Vec::new();
        assert!(!driver.carry_out(|command| {
            offered.push(*command);
            false
        }));
        assert_eq!(offered, asked, "each one is offered, in order");
        assert_eq!(driver.has_refused(), asked.iter().any(|command| *command != Command::CancelAll));
        if driver.has_refused() {
            refused = asked;
            break;
        }
    }
    let [Command::Place(order)] = refused[..] else { panic!("the first tranche, not {refused:?}") };
    let answer = driver.refused().expect("an answer");
    let EventKind::Execution(report) = answer.kind else { panic!("a report, not {answer:?}") };
    assert_eq!((report.id, report.kind), (order.id, ExecKind::Rejected));
    assert_eq!(driver.refused(), None);
    driver.step(answer, answer.at);
    assert_eq!(driver.engine().status().orders_open, 0, "the engine knows that it was never sent");
}

#[test]
fn requests_to_the_venue_and_new_orders_are_told_from_the_rest() {
    let mut desk = Desk::new();
    desk.enter_all();
    let id = desk.live_id(Leg::Stop(1));
    let cancel = Command::Cancel(CancelOrder { target: id, venue_order_id: VenueOrderId(0) });
    let query = Command::Query(QueryOrder { target: id, venue_order_id: VenueOrderId(0) });
    for ask in [cancel, query, Command::CancelAll] {
        assert!(ask.is_for_venue());
        assert!(!ask.is_new_order());
    }
    assert!(desk.placed().into_iter().map(Command::Place).all(|order| order.is_for_venue() && order.is_new_order()));
    assert!(!Command::Record(Record::Reloaded).is_for_venue());
}

#[test]
fn before_the_volume_falls_the_look_names_the_one_rule_that_fails() {
    let desk = Desk::new();
    let why = desk.engine.why(desk.now);
    assert_eq!(why.decision.verdict, Verdict::NoOp);
    let failing: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| why.decision.passed & rule.bit() == 0).collect();
    assert_eq!(failing, [Rule::VolumeSource, Rule::VolumeDrop]);
    assert_eq!(why.refused.map(|refused| refused.rule), Some(RiskRule::StaleFeed), "no volume sample was ever read");
    assert_eq!((why.book_age_ns, why.position.0), ((Some(0), 5 * SEC), 0));
}

#[test]
fn the_look_ages_with_the_moment_and_changes_nothing() {
    let mut desk = Desk::new();
    desk.volume("90000000");
    let later = desk.engine.why(Time(desk.now.0 + 6 * SEC));
    assert_eq!(later.decision.passed & Rule::BookFresh.bit(), 0, "a book of six seconds ago is old");
    assert_eq!(later.refused.map(|refused| refused.rule), Some(RiskRule::StaleFeed));
    let now = desk.engine.why(desk.now);
    assert_ne!(now.decision.passed & Rule::BookFresh.bit(), 0);
    assert_eq!(now.refused, None, "risk would let a tranche pass");
    assert_eq!(desk.engine.why(desk.now), now);
}

#[test]
fn the_last_decision_is_the_one_that_the_entry_was_made_with() {
    let mut desk = Desk::new();
    desk.enter();
    let why = desk.engine.why_last().expect("decided");
    assert_eq!(why.decision.mid, px("161.005"));
    assert_eq!(why.decision.drop, ratio("0.4"));
    assert_eq!(why.acted, Some(desk.now));
    desk.control(Control::Pause);
    assert_eq!(desk.engine.why(desk.now).refused.map(|refused| refused.rule), Some(RiskRule::Paused));
    assert!(desk.engine.why(desk.now).decision.mid > Price::ZERO);
}
