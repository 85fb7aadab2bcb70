//! The ladder of quotes: what is asked, how often, what the answers are worth. And recorded quotes.

use std::path::PathBuf;

use super::desk::{kinds, s};
use super::frames::quote;
use proptest::prelude::*;
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use sol_volume_bot::types::{EventKind, Price, Qty, Time};
use sol_volume_bot::venue::jupiter::{self, LadderSession, LadderSettings, QuoteError, Refusal, SettingsError};

const WSOL: &str = "So11111111111111111111111111111111111111112";
const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const UP: EventKind = EventKind::Stream(StreamState::Up);
const GAP: EventKind = EventKind::Stream(StreamState::Gap);
const STALE: EventKind = EventKind::Stream(StreamState::Stale);
const DOWN: EventKind = EventKind::Stream(StreamState::Down);

fn session() -> LadderSession {
    LadderSession::new(LadderSettings::default()).expect("the defaults can be used")
}

/// A path's direction and amount.
fn asked(path: &str) -> (bool, u64) {
    let sale = format!("/swap/v2/order?inputMint={WSOL}&outputMint={USDC}&amount=");
    let purchase = format!("/swap/v2/order?inputMint={USDC}&outputMint={WSOL}&amount=");
    let amount = path.strip_prefix(&sale).or(path.strip_prefix(&purchase)).expect("a path of the fact sheet");
    (path.starts_with(&sale), amount.parse().expect("a whole number"))
}

/// Answers a path with `out` atoms.
fn reply(session: &mut LadderSession, path: &str, out: u64, at: Time) -> (Result<(), QuoteError>, Vec<EventKind>) {
    let (is_sale, amount) = asked(path);
    let (input, output) = if is_sale { (WSOL, USDC) } else { (USDC, WSOL) };
    answered(session, 200, quote(input, output, amount, out).as_bytes(), at)
}

fn answered(
    session: &mut LadderSession,
    status: u16,
    body: &[u8],
    at: Time,
) -> (Result<(), QuoteError>, Vec<EventKind>) {
    let mut result = Ok(());
    let events = kinds(|emit| result = session.on_answer(status, body, at, &mut |event| emit(event)));
    (result, events)
}

/// Runs one round with these answers: sale, purchase, sale, …; what the last one led to.
fn round(session: &mut LadderSession, outs: [u64; 6], at: Time) -> (Result<(), QuoteError>, Vec<EventKind>) {
    let mut last = (Ok(()), vec![]);
    for out in outs {
        assert_eq!(last, (Ok(()), vec![]), "nothing is told before the round is whole");
        let path = session.next_request(at).expect("the next step");
        last = reply(session, &path, out, at);
    }
    last
}

/// 142 for one; 10 and 50 bring less each; the other way round 0.999, 9.98 and 49.8 SOL.
const USUAL: [u64; 6] = [142_000_000, 999_000_000, 1_419_100_000, 9_980_000_000, 7_080_000_000, 49_800_000_000];

#[test]
fn a_round_asks_both_sides_in_turn_and_becomes_levels() {
    let mut session = session();
    session.on_slot(77);
    let mut amounts = Vec::new();
    let mut last = (Ok(()), vec![]);
    for out in USUAL {
        let path = session.next_request(s(1)).expect("the next step");
        assert_eq!(session.next_request(s(1)), None, "one at a time");
        amounts.push(asked(&path));
        last = reply(&mut session, &path, out, s(1));
    }
    assert_eq!(
        amounts,
        [
            (true, 1_000_000_000),
            (false, 142_000_000),
            (true, 10_000_000_000),
            (false, 1_420_000_000),
            (true, 50_000_000_000),
            (false, 7_100_000_000),
        ]
    );
    let levels = *session.levels().expect("a ladder");
    let side = |ladder: &sol_volume_bot::venue::dex::DexSide| -> Vec<(i64, i64)> {
        ladder.levels().iter().map(|level| (level.price.0, level.qty.0)).collect()
    };
    assert_eq!(
        side(&levels.bids),
        [(14_200_000_000, 1_000_000_000), (14_190_000_000, 9_000_000_000), (14_152_250_000, 40_000_000_000)]
    );
    assert_eq!(
        side(&levels.asks),
        [(14_214_214_215, 999_000_000), (14_230_041_199, 8_981_000_000), (14_264_188_850, 39_820_000_000)]
    );
    assert_eq!((last.0, last.1[0], last.1[1]), (Ok(()), UP, EventKind::Dex(levels.book())));
    assert_eq!(
        (levels.slot, levels.book().bid_depth, levels.book().ask_qty),
        (77, Qty(50_000_000_000), Qty(999_000_000))
    );
}

#[test]
fn a_ladder_that_contradicts_itself_is_suspect_and_told_as_a_gap() {
    let spoiled = |at: usize, out: u64| {
        let mut outs = USUAL;
        outs[at] = out;
        round(&mut session(), outs, s(1))
    };
    let suspect = (Err(QuoteError::Suspect), vec![GAP]);
    assert_eq!(spoiled(4, 8_000_000_000), suspect, "the largest sale brings too much");
    assert_eq!(spoiled(4, 1_000_000_000), suspect, "a larger sale brings less");
    assert_eq!(spoiled(5, 51_000_000_000), suspect, "the largest purchase brings too much");
    assert_eq!(spoiled(5, 9_980_000_000), suspect, "a larger purchase brings no more");
    assert_eq!(spoiled(1, 1_000_000_000), suspect, "locked: what is sold for 142 is bought for 142");
    let mut session = session();
    round(&mut session, USUAL, s(1)).0.expect("taken");
    assert_eq!(round(&mut session, [142_000_000, 999_000_000, 1, 1, 2, 2], s(16)), suspect);
    assert_eq!(session.levels(), None);
    assert_eq!(round(&mut session, USUAL, s(31)).1.len(), 2, "up again with the next round");
}

#[test]
fn a_level_that_seems_a_trifle_better_counts_as_equal() {
    let mut outs = USUAL;
    outs[2] = 142_000_000 + 9 * 142_050_000; // 3.5 bps above the first
    let mut session = session();
    assert_eq!(round(&mut session, outs, s(1)).0, Ok(()));
    let best = session.levels().and_then(|levels| levels.bids.best()).expect("a bid");
    assert_eq!((best.price, best.qty), (Price(14_200_000_000), Qty(10_000_000_000)));
    outs[2] = 142_000_000 + 9 * 142_080_000; // 5.6 bps
    assert_eq!(round(&mut super::ladder::session(), outs, s(1)).0, Err(QuoteError::Suspect));
}

#[test]
fn no_sixty_seconds_hold_more_requests_than_the_plan_allows() {
    // Slow answers stretch a round, and what was sent late in one is counted late into the next minute.
    for (quotes_per_minute, slow_ms, rounds) in [(24, 100, 40), (6, 100, 10), (60, 0, 100), (25, 1_300, 37)] {
        let settings = LadderSettings { quotes_per_minute, ..LadderSettings::default() };
        let mut session = LadderSession::new(settings).expect("settings");
        let (mut sent, mut books, mut waiting): (Vec<i64>, i64, Option<(i64, String)>) = (Vec::new(), 0, None);
        for ms in 0..600_000 {
            let now = Time(ms * NANOS_PER_MILLI);
            if let Some(path) = session.next_request(now) {
                sent.push(ms);
                waiting = Some((ms + slow_ms, path));
            }
            if let Some((_, path)) = waiting.take_if(|(due, _)| *due <= ms) {
                let (is_sale, amount) = asked(&path);
                let out = if is_sale { amount * 142 / 1_000 } else { amount * 1_000 * 999 / 142_000 };
                let (result, events) = reply(&mut session, &path, out, now);
                assert_eq!(result, Ok(()));
                books += events.iter().filter(|event| matches!(event, EventKind::Dex(_))).count() as i64;
            }
        }
        let busiest =
            sent.iter().map(|from| sent.iter().filter(|at| (*from..from + 60_000).contains(*at)).count()).max();
        assert!(busiest <= Some(quotes_per_minute as usize), "{busiest:?} of {quotes_per_minute}");
        assert_eq!(books, rounds, "{quotes_per_minute} quotes a minute");
    }
}

#[test]
fn too_many_requests_pause_for_longer_each_time() {
    let mut session = session();
    let mut pauses = Vec::new();
    let mut now = 0;
    for _ in 0..6 {
        let since = now;
        while session.next_request(s(now)).is_none() {
            now += 1;
        }
        pauses.push(now - since);
        let (result, _) = answered(&mut session, 429, b"[API Gateway] Too many requests", s(now));
        assert_eq!(result, Err(QuoteError::Limited { by_plan: true }));
    }
    assert_eq!(pauses, [0, 10, 20, 40, 60, 60]);
    assert_eq!(session.state(), Some(StreamState::Down));
}

#[test]
fn what_is_no_quote_is_asked_again_and_the_third_time_in_a_row_is_down() {
    let mut session = session();
    let answers: [(u16, &[u8], QuoteError); 3] = [
        (500, b"Internal server error", QuoteError::Status { status: 500 }),
        (200, b"<html>", jupiter::decode(200, b"<html>").expect_err("no quote")),
        (400, br#"{"error":"x","errorCode":"NO_ROUTES_FOUND"}"#, QuoteError::Refused(Refusal::NoRoute)),
    ];
    for (at, (status, body, error)) in (0..).zip(answers) {
        let path = session.next_request(s(10 * at)).expect("a request");
        assert_eq!(asked(&path), (true, 1_000_000_000), "the first step again");
        let (result, events) = answered(&mut session, status, body, s(10 * at));
        assert_eq!((result, events), (Err(error), if at == 2 { vec![DOWN] } else { vec![] }));
    }
    assert_eq!(round(&mut session, USUAL, s(40)).1[0], UP);
    session.next_request(s(60)).expect("a request");
    assert_eq!(kinds(|emit| session.on_failed(s(60), &mut |event| emit(event))), vec![], "one failure is none");
    assert_eq!(kinds(|emit| session.on_failed(s(60), &mut |event| emit(event))), vec![], "nothing was asked");
}

#[test]
fn a_key_that_is_not_accepted_says_so_and_is_not_tried_for_a_minute() {
    let mut session = session();
    session.next_request(s(0)).expect("a request");
    let error = answered(&mut session, 401, b"{}", s(0)).0.expect_err("no key");
    assert_eq!(error.to_string(), "Jupiter does not accept the API key (HTTP status 401)");
    assert_eq!((session.next_request(s(59)), session.next_request(s(60)).is_some()), (None, true));
}

#[test]
fn answers_to_another_question_are_not_taken() {
    let spoilt = |input: &str, output: &str, amount: u64, out: u64| {
        let mut session = session();
        session.next_request(s(0)).expect("a request");
        answered(&mut session, 200, quote(input, output, amount, out).as_bytes(), s(0)).0
    };
    assert_eq!(spoilt(WSOL, USDC, 1_000_000_000, 142_000_000), Ok(()));
    assert!(spoilt(USDC, WSOL, 1_000_000_000, 142_000_000).is_err());
    assert!(spoilt(WSOL, USDC, 1_000_000_001, 142_000_000).is_err());
    assert!(spoilt(WSOL, USDC, 1_000_000_000, 0).is_err());
    let mut idle = session();
    assert_eq!(answered(&mut idle, 200, b"garbage", s(0)), (Ok(()), vec![]), "nothing was asked");
}

#[test]
fn a_round_that_takes_too_long_begins_anew_and_no_answer_is_a_failure() {
    let mut session = session();
    let path = session.next_request(s(0)).expect("a request");
    reply(&mut session, &path, 142_000_000, s(0)).0.expect("a quote");
    session.next_request(s(1)).expect("the second step");
    assert_eq!(kinds(|emit| session.on_timer(s(5), &mut |event| emit(event))), vec![]);
    assert_eq!(session.next_request(s(10)), None, "still waiting");
    kinds(|emit| session.on_timer(s(11), &mut |event| emit(event)));
    let path = session.next_request(s(16)).expect("a new round");
    assert!(asked(&path).0, "from its first step");
}

#[test]
fn no_whole_round_for_a_while_is_stale_once() {
    let mut session = session();
    let timer = |session: &mut LadderSession, at| kinds(|emit| session.on_timer(at, &mut |event| emit(event)));
    assert_eq!(timer(&mut session, s(0)), vec![]);
    assert_eq!(timer(&mut session, s(59)), vec![]);
    assert_eq!(timer(&mut session, s(60)), [STALE]);
    assert_eq!(timer(&mut session, s(61)), vec![]);
    assert_eq!(round(&mut session, USUAL, s(70)).1[0], UP);
    assert_eq!((timer(&mut session, s(129)), timer(&mut session, s(130))), (vec![], vec![STALE]));
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let of = |change: &dyn Fn(&mut LadderSettings)| {
        let mut settings = LadderSettings::default();
        change(&mut settings);
        LadderSession::new(settings).err()
    };
    let sizes = |sizes: &[i64]| of(&|settings| settings.sizes = sizes.iter().map(|size| Qty(*size)).collect());
    let sol = NANOS_PER_SEC;
    assert_eq!(sizes(&[sol]), None);
    for bad in [&[][..], &[0], &[-sol, sol], &[sol, sol], &[10 * sol, sol], &[1; 11]] {
        assert_eq!(sizes(bad), Some(SettingsError::Sizes), "{bad:?}");
    }
    assert_eq!(of(&|settings| settings.quotes_per_minute = 5), Some(SettingsError::Quotes));
    assert_eq!(of(&|settings| settings.quote_decimals = 19), Some(SettingsError::Decimals));
}

#[test]
fn recorded_quotes_are_read() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(shared.join("captures/solana_rpc/jupiter_quotes_a.jsonl")) else {
        println!("SKIPPED: no jupiter_quotes_a.jsonl below {}", shared.display());
        return;
    };
    let quotes: Vec<jupiter::Quote> =
        text.lines().map(|line| jupiter::decode(200, line.as_bytes()).expect("a quote")).collect();
    let amounts: Vec<(u64, u64, Option<u64>)> =
        quotes.iter().map(|quote| (quote.in_amount, quote.out_amount, quote.slot)).collect();
    assert_eq!(amounts, [(1_000_000, 6_015_074, Some(269_097_074)), (100_000, 9_752, Some(242_321_550))]);
    assert_eq!((quotes[0].input_mint, quotes[1].input_mint), (USDC.as_bytes(), WSOL.as_bytes()));
}

proptest! {
    #[test]
    fn any_answers_give_a_sound_ladder_or_none(outs in prop::collection::vec(any::<u64>(), 60), small in any::<bool>()) {
        let mut session = session();
        for (at, out) in (0_i64..).zip(outs) {
            let now = s(20 * at);
            let Some(path) = session.next_request(now) else { continue };
            let out = if small { out % 1_000_000_000_000 } else { out / 2 };
            let _ = reply(&mut session, &path, out, now);
            prop_assert!(session.levels().is_none_or(|levels| levels.is_sound()));
        }
    }
}
