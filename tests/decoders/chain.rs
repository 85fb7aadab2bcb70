//! Solana: answers and notifications of a node, slots, the logs of the two programs and the trades in them, pools.

use crate::pumpchain_hands::desk::{AMM, SOL, START_S, amm_event, curve_event, data};
use crate::pumpchain_hands::frames::texts as log_frames;
use crate::solana_hands::desk::{Desk, frame_on};
use crate::solana_hands::frames::{ACCOUNT, ACCOUNTS, BEHIND, LOGS, SAMPLES};
use crate::{Errors, decoder, texts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sol_volume_bot::cli::decode::{VenueName, decode_lines};
use sol_volume_bot::types::Time;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::pumpchain::logs::{self, Walker};
use sol_volume_bot::venue::pumpchain::pools::{PoolLayout, Pools, PoolsWanted};
use sol_volume_bot::venue::pumpchain::trade_event::{AmmTrade, EventBuf, EventError, Trade, trade};
use sol_volume_bot::venue::pumpchain::{Program, USDC, WSOL};
use sol_volume_bot::venue::solana::FrameKind;
use sol_volume_bot::venue::solana::rpc::{RpcError, answer};
use sol_volume_bot::venue::solana::subscribe::{Frame, Subscriptions, Topic, frame};

const SLOT: &str = r#"{"jsonrpc":"2.0","result":18446744073709551615,"id":9}"#;
const HEALTH: &str = r#"{"jsonrpc":"2.0","result":"ok","id":1}"#;
const ACK: &[u8] = br#"{"jsonrpc":"2.0","result":23784,"id":1}"#;

/// The byte that a node's error names.
fn at(error: &RpcError) -> Option<usize> {
    match error {
        RpcError::Decode(why) => why.at(),
        RpcError::TooMany { .. } | RpcError::Behind { .. } | RpcError::Node { .. } | RpcError::Status { .. } => None,
    }
}

fn answers() -> Vec<Vec<u8>> {
    let account = String::from_utf8_lossy(ACCOUNT);
    let (_, result) = account.split_once(r#""result":"#).expect("a notification");
    let (result, _) = result.split_once(r#","subscription""#).expect("a notification");
    let account = format!(r#"{{"jsonrpc":"2.0","result":{result},"id":3}}"#);
    texts([SLOT, HEALTH, SAMPLES, &account, &String::from_utf8_lossy(ACCOUNTS)])
}

decoder!(rpc_answer, answers(), {
    let mut buffer = Vec::new();
    move |bytes: &[u8], errors: &mut Errors| {
        errors.note(answer(500, Some(3), bytes), at);
        let Some(answer) = errors.note(answer(200, None, bytes), at) else { return false };
        let simple = [errors.note(answer.slot(), at).is_some(), errors.note(answer.health(), at).is_some()];
        let sampled = errors.note(answer.sampled_time(), at).map(|(time, _)| time.slot_ns());
        let account = errors.note(answer.account(), at);
        if let Some(account) = account.and_then(|note| note.account) {
            errors.note(account.data.decode_into(&mut buffer), DecodeError::at);
        }
        let accounts = answer.accounts(|_, account| _ = account.map(|it| it.data.decode_into(&mut buffer)));
        let accounts = errors.note(accounts, at);
        simple.contains(&true) || sampled.is_some() || account.is_some() || accounts.is_some()
    }
});

fn notifications() -> Vec<Vec<u8>> {
    texts([frame_on(405_112_233, 405_112_232).as_slice(), ACCOUNT, LOGS, ACK, BEHIND])
}

decoder!(pubsub_frame, notifications(), {
    let mut buffer = Vec::new();
    move |bytes: &[u8], errors: &mut Errors| {
        let Some(frame) = errors.note(frame(bytes), DecodeError::at) else { return false };
        match &frame {
            Frame::Logs(_, note) => errors.note(note.each_line(|_| {}), DecodeError::at).is_some(),
            Frame::Account(_, note) => note
                .account
                .is_none_or(|account| errors.note(account.data.decode_into(&mut buffer), DecodeError::at).is_some()),
            Frame::Ack { .. } | Frame::Refused { .. } => {
                let mut asked = Subscriptions::default();
                asked.ask(1, 1, &Topic::Slots, &mut Vec::new());
                asked.on_answer(1, &frame);
                true
            }
            Frame::Slot(..) => true,
            Frame::Other => false,
        }
    }
});

decoder!(slot_session, texts([frame_on(405_112_233, 405_112_232)]), |bytes: &[u8], errors: &mut Errors| {
    let told = Desk::open(2).session.on_frame(0, 1, bytes, Time(1), &mut |_| {});
    errors.note(told, DecodeError::at) == Some(FrameKind::Data)
});

/// Runs the verb `decode`. Output: whether it read every line.
pub fn reads_lines(venue: VenueName, bytes: &[u8], errors: &mut Errors) -> bool {
    let mut complaints = Vec::new();
    let tally = decode_lines(venue, true, bytes, std::io::sink(), &mut complaints).expect("memory does not fail");
    let complaints = String::from_utf8_lossy(&complaints);
    for (_, place) in complaints.lines().filter_map(|line| line.split_once(", byte ")) {
        let byte = place.split(':').next().and_then(|number| number.parse().ok());
        errors.name(byte.expect("a number"));
    }
    tally.lines > 0 && tally.bad == 0
}

fn stamped(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().map(|frame| [b"1790000000000000000 ", frame.as_slice()].concat()).collect()
}

decoder!(node_lines, stamped(notifications()), |bytes: &[u8], errors: &mut Errors| {
    reads_lines(VenueName::Solana, bytes, errors)
});

decoder!(log_lines, stamped(texts(log_frames())), |bytes: &[u8], errors: &mut Errors| {
    reads_lines(VenueName::PumpChain, bytes, errors)
});

decoder!(logs_and_trades, texts(log_frames()), {
    let (mut walker, mut event) = (Walker::new(), EventBuf::default());
    move |bytes: &[u8], errors: &mut Errors| {
        let Some(frame) = errors.note(logs::frame(bytes), DecodeError::at) else { return false };
        let logs::Frame::Logs(note) = frame else { return frame != logs::Frame::Other };
        let (Some(at), mut trades) = (note.logs, 0) else { return false };
        for program in Program::ALL {
            let mut each = |line: &[u8]| trades += u32::from(matches!(event.trade(program, line), Ok(Some(_))));
            errors.note(walker.walk(bytes, at, program.text().as_bytes(), &mut each), DecodeError::at);
        }
        trades > 0
    }
});

fn trade_events() -> Vec<Vec<u8>> {
    let curve = [WSOL, USDC, [5; 32], [0; 32]].map(|mint| curve_event(START_S, SOL, &mint, 7));
    curve.into_iter().chain([amm_event(START_S, SOL, &[1; 32])]).collect()
}

/// The byte that a trade event's error names.
fn event_at(error: &EventError) -> Option<usize> {
    Some(error.at())
}

decoder!(trade_event, trade_events(), |bytes: &[u8], errors: &mut Errors| {
    let mut read = |program| errors.note(trade(program, bytes), event_at).flatten().is_some();
    read(Program::Curve) | read(Program::Amm)
});

fn data_lines() -> Vec<Vec<u8>> {
    trade_events().iter().map(|event| data(event).trim_start_matches("Program data: ").as_bytes().to_vec()).collect()
}

decoder!(trade_event_text, data_lines(), {
    let mut buf = EventBuf::default();
    move |bytes: &[u8], errors: &mut Errors| {
        let mut read = |program| errors.note(buf.trade(program, bytes), event_at).flatten().is_some();
        read(Program::Curve) | read(Program::Amm)
    }
});

/// What a node says of three pools, of which one is not there.
fn pool_answer() -> String {
    let account = |quote: &[u8]| {
        let data = STANDARD.encode([&[5; 32], quote].concat()).replace('/', r"\/");
        format!(r#"{{"lamports":1,"data":["{data}","base64"],"owner":"{AMM}","executable":false,"space":300}}"#)
    };
    let (sol, usdc) = (account(&WSOL), account(&USDC));
    format!(r#"{{"jsonrpc":"2.0","result":{{"context":{{"slot":5}},"value":[{sol},{usdc},null]}},"id":1}}"#)
}

fn waiting(pool: u8) -> AmmTrade {
    let event = amm_event(START_S, SOL, &[pool; 32]);
    match trade(Program::Amm, &event) {
        Ok(Some(Trade::Amm(trade))) => trade,
        other => panic!("no trade: {other:?}"),
    }
}

decoder!(pools, texts([pool_answer()]), {
    let mut pools = Pools::new(PoolLayout::default(), 7);
    move |bytes: &[u8], errors: &mut Errors| {
        let all_wait = [1, 2, 3].into_iter().all(|pool| pools.wait(waiting(pool), Time(1)));
        assert!(all_wait, "there is room");
        let asked = pools.wanted(Time(1)).expect("three pools are asked about");
        let learned = errors.note(pools.on_answer(&asked, bytes, |_| {}), DecodeError::at);
        pools.expire(Time(i64::MAX), |_| {}); // the next bytes find it as these did
        learned == Some(2)
    }
});

fn pool_request() -> Vec<u8> {
    let (mut pools, mut request) = (Pools::new(PoolLayout::default(), 7), Vec::new());
    assert!(pools.wait(waiting(1), Time(1)) && pools.wait(waiting(2), Time(1)), "there is room");
    pools.wanted(Time(1)).expect("two").request(9, PoolLayout::default(), &mut request);
    request
}

decoder!(pool_request_of_old, [pool_request()], |bytes: &[u8], _: &mut Errors| {
    PoolsWanted::asked_by(bytes).is_some_and(|asked| !asked.keys().is_empty())
});
