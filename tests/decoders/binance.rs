//! Binance Spot: market frames, the REST bodies, the account's events, the answers of the order session, and our own
//! orders as the last gate reads them.

use crate::market_frames::{FRAMES, KLINES, SNAPSHOT};
use crate::trade_hands::desk::{self, Desk, solusdt};
use crate::trade_hands::frames;
use crate::{Errors, decoder, texts};
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::{ClientOrderId, Notional, Time};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::binance_spot::answer::{Answer, answer, elements, envelope, fill};
use sol_volume_bot::venue::binance_spot::decode::{Frame, Levels, frame};
use sol_volume_bot::venue::binance_spot::errors;
use sol_volume_bot::venue::binance_spot::info::exchange_info;
use sol_volume_bot::venue::binance_spot::last_gate::{Bounds, LastGate};
use sol_volume_bot::venue::binance_spot::lines::{Content, LineDecoder};
use sol_volume_bot::venue::binance_spot::messages;
use sol_volume_bot::venue::binance_spot::rest::{self, RestError};
use sol_volume_bot::venue::binance_spot::trade::FrameKind;
use sol_volume_bot::venue::binance_spot::user::{self, UserEvent};
use std::collections::BTreeSet;

decoder!(market_frame, texts(FRAMES), {
    let mut levels = Levels::new();
    move |bytes: &[u8], errors: &mut Errors| {
        errors.note(frame(bytes, None, &mut levels), DecodeError::at);
        let ours = errors.note(frame(bytes, Symbol::new("SOLUSDT"), &mut levels), DecodeError::at);
        ours.is_some_and(|frame| frame != Frame::Other)
    }
});

decoder!(
    market_line,
    texts([SNAPSHOT, FRAMES[2], FRAMES[0]].map(|text| format!("1790000000000000000 {text}"))),
    |bytes: &[u8], errors: &mut Errors| {
        let mut decoder = LineDecoder::new(true);
        let line = errors.note(decoder.decode(bytes), |error| Some(error.at));
        line.is_some_and(|line| line.recv.is_some() && !matches!(line.content, Content::Blank))
    }
);

decoder!(snapshot, texts([SNAPSHOT]), {
    let mut levels = Levels::new();
    move |bytes: &[u8], errors: &mut Errors| {
        errors.note(messages::snapshot(bytes, &mut levels), DecodeError::at).is_some()
    }
});

decoder!(klines, texts([KLINES]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(messages::klines(bytes, |_| {}), DecodeError::at).is_some()
});

/// The byte that a REST error names.
fn at(error: &RestError) -> Option<usize> {
    match error {
        RestError::Decode { why, .. } => why.at(),
        RestError::Shape { at, .. } => Some(*at),
        RestError::Venue { .. } | RestError::Missing { .. } | RestError::Number { .. } => None,
    }
}

fn bodies<const N: usize>(bodies: [serde_json::Value; N]) -> Vec<Vec<u8>> {
    texts(bodies.map(|body| body.to_string()))
}

decoder!(info, bodies([frames::exchange_info()]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(exchange_info(bytes, solusdt().symbol), at).is_some()
});

decoder!(
    time,
    texts([r#"{"serverTime":1790000000000}"#, r#"{"serverTime":1790000000000123}"#]),
    |bytes: &[u8], errors: &mut Errors| errors.note(rest::time(bytes), at).is_some()
);

decoder!(account, bodies([frames::account()]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(rest::account(bytes, &solusdt()), at).is_some()
});

decoder!(commission, bodies([frames::commission()]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(rest::commission(bytes), at).is_some()
});

fn one_order() -> serde_json::Value {
    desk::order(desk::tp(), 22, "SELL", "PARTIALLY_FILLED", "0.5")
}

decoder!(open_orders, bodies([[one_order(), one_order()].into()]), |bytes: &[u8], errors: &mut Errors| {
    let found = errors.note(rest::open_orders(bytes), at);
    found.is_some_and(|found| found.iter().filter_map(|order| order.resting()).count() > 0)
});

decoder!(order, bodies([one_order()]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(rest::order(bytes), at).is_some_and(|order| order.resting().is_some())
});

decoder!(order_state, bodies([one_order()]), |bytes: &[u8], errors: &mut Errors| {
    errors.note(rest::order_state(bytes), at).is_some()
});

decoder!(
    open_lists,
    bodies([[desk::list_answer("EXEC_STARTED", serde_json::Value::Null)].into_iter().collect()]),
    |bytes: &[u8], errors: &mut Errors| errors.note(rest::open_lists(bytes), at).is_some()
);

decoder!(
    my_trades,
    bodies([[desk::trade(1, 22, "0.5"), desk::trade(2, 22, "0.25")].into_iter().collect()]),
    |bytes: &[u8], errors: &mut Errors| errors.note(rest::my_trades(bytes, &solusdt()), at).is_some()
);

decoder!(venue_error, texts([r#"{"code":-1121,"msg":"Invalid \"symbol\"."}"#]), |bytes: &[u8], _: &mut Errors| {
    rest::venue_error(bytes).is_some()
});

const FURTHER_EVENTS: [&str; 3] = [
    r#"{"subscriptionId":0,"event":{"e":"balanceUpdate","E":1790000000005,"a":"SOL","d":"-100.00000000","T":1790000000004}}"#,
    r#"{"event":{"e":"eventStreamTerminated","E":1790000000005}}"#,
    r#"{"e":"serverShutdown","E":1790000000005}"#,
];

fn events() -> Vec<Vec<u8>> {
    let told = frames::frames().into_iter().filter(|frame| frame.contains("subscriptionId"));
    texts(told.chain(FURTHER_EVENTS.map(str::to_owned)))
}

decoder!(user_event, events(), |bytes: &[u8], errors: &mut Errors| {
    let event = errors.note(user::decode(bytes, &solusdt()), DecodeError::at);
    if let Some(UserEvent::Order(event)) = &event {
        let id = event.ours().unwrap_or(desk::entry());
        let _ = (event.report(id), event.resting(id));
    }
    event.is_some_and(|event| event != UserEvent::Other)
});

decoder!(order_id, texts([desk::entry(), desk::list(), desk::stop()].map(|id| id.to_string())), {
    |bytes: &[u8], _: &mut Errors| ClientOrderId::parse(bytes).is_some_and(|id| id.to_string().as_bytes() == bytes)
});

/// Follows an answer to all that it holds, as the session does for one request or another.
fn follow(bytes: &[u8], from: usize, errors: &mut Errors) -> Option<()> {
    let found: Answer<'_> = errors.note(answer(bytes, from), DecodeError::at)?;
    errors::judge(409, found.code, &String::from_utf8_lossy(found.msg));
    for at in [found.orders_at, found.reports_at].into_iter().flatten() {
        errors.note(elements(bytes, at, |at| answer(bytes, at).map(drop)), DecodeError::at)?;
    }
    for at in [found.cancel_at, found.new_at].into_iter().flatten() {
        errors.note(answer(bytes, at), DecodeError::at)?;
    }
    let fills = |at: usize| elements(bytes, at, |at| fill(bytes, at, &solusdt()).map(drop));
    if let Some(at) = found.fills_at {
        errors.note(fills(at), DecodeError::at)?;
    }
    if bytes.get(from) == Some(&b'[') {
        errors.note(fills(from), DecodeError::at)?;
    }
    match found.data_at {
        Some(at) => follow(bytes, at, errors),
        None => Some(()),
    }
}

decoder!(
    answers,
    texts(frames::frames().into_iter().filter(|frame| frame.contains(r#""status":"#))),
    |bytes: &[u8], errors: &mut Errors| {
        let Some(outside) = errors.note(envelope(bytes), DecodeError::at) else { return false };
        if let Some(at) = outside.event_at {
            errors.note(user::decode_at(bytes, at, &solusdt()), DecodeError::at);
        }
        let inside = [outside.result_at, outside.error_at].into_iter().flatten();
        inside.filter_map(|at| follow(bytes, at, errors)).count() > 0
    }
);

/// A session that waits for the answers of requests of every kind, and their numbers.
fn busy() -> (Desk, Vec<String>) {
    let mut desk = desk::with_oco();
    let sent = desk::every_command().into_iter().filter_map(|command| desk.try_send(command).ok());
    let numbers = sent.map(|request| request["id"].to_string()).collect();
    (desk, numbers)
}

/// What answers one of those requests, and events.
fn told() -> Vec<Vec<u8>> {
    let answers = |number: String| {
        frames::frames().into_iter().map(move |frame| frame.replacen("\"id\":0", &format!("\"id\":{number}"), 1))
    };
    let all: BTreeSet<String> = busy().1.into_iter().flat_map(answers).collect();
    texts(all.into_iter().filter(|frame| busy().0.raw(frame.as_bytes()) == Ok(FrameKind::Data)))
}

decoder!(session, told(), {
    let mut kept = None;
    move |bytes: &[u8], errors: &mut Errors| {
        // A new one would cost more than all it hears; one that panicked is not put back.
        let (mut desk, heard) = kept.take().filter(|(_, heard)| *heard < 16).unwrap_or_else(|| (busy().0, 0));
        let read = errors.note(desk.raw(bytes), DecodeError::at);
        desk.timer(100);
        kept = Some((desk, heard + 1));
        read.is_some()
    }
});

fn orders() -> Vec<Vec<u8>> {
    let sent = desk::every_command().into_iter().filter_map(|command| desk::with_oco().try_send(command).ok());
    texts(sent.map(|request| request.to_string()))
}

decoder!(last_gate, orders(), |bytes: &[u8], _: &mut Errors| {
    let bounds = Bounds { order_notional_max: Notional(1_000_000_000_000), ..Bounds::default() };
    LastGate::new(solusdt().symbol, bounds).pass(bytes, Time(desk::START)).is_ok()
});
