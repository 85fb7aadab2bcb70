//! `decode --venue pumpchain`: log notifications in, one JSON line a trade out.
//!
//! Thread: main.  Invariants: as the session reads them: failed transactions trade nothing, only the programs' own lines
//! count; a transaction that both programs wrote to is told once.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use super::{Tally, read_line};
use crate::types::Qty;
use crate::venue::DecodeError;
use crate::venue::pumpchain::Program;
use crate::venue::pumpchain::base58::KeyText;
use crate::venue::pumpchain::logs::{FRAME_BYTES_MAX, Frame, Notification, Walker, frame};
use crate::venue::pumpchain::trade_event::{CurveTrade, EventBuf, Quote, Trade};

/// Bytes a line may have: a frame, a receive time before it, the line end.
const LINE_BYTES_MAX: usize = FRAME_BYTES_MAX + 64;

/// What the lines are read with.
struct Reader {
    walker: Walker,
    event: EventBuf,
}

/// Decodes all of `input`: trades to `out`, what cannot be decoded, and logs that were cut, to `complaints`.
///
/// Errors: those of the three.
pub(super) fn decode_lines(
    mut input: impl BufRead,
    mut out: impl Write,
    mut complaints: impl Write,
) -> io::Result<Tally> {
    let mut reader = Reader { walker: Walker::new(), event: EventBuf::default() };
    let mut line = Vec::new();
    let mut tally = Tally::default();
    for number in 1_u64.. {
        if !read_line(&mut input, LINE_BYTES_MAX, &mut line)? {
            break;
        }
        let (recv, text) = parts(&line);
        if text.is_empty() {
            continue;
        }
        tally.lines += 1;
        let mut told = Vec::new();
        let mut faults = Vec::new();
        let read = reader.trades(text, &mut |trade| told.push(trade), &mut |fault| faults.push(fault));
        if let Err(error) = read {
            let at = error.at().unwrap_or(text.len()) + (line.trim_ascii_end().len() - text.len());
            faults.push(format!("byte {at}: {error}"));
        }
        for mut trade in told {
            if let Some(recv) = recv {
                trade["recv_ns"] = json!(recv);
            }
            writeln!(out, "{trade}")?;
        }
        tally.bad += u64::from(!faults.is_empty());
        for fault in faults {
            writeln!(complaints, "decode: line {number}, {fault}")?;
        }
    }
    out.flush()?;
    Ok(tally)
}

/// The receive time before a frame, if there is one, and the frame.
fn parts(line: &[u8]) -> (Option<i64>, &[u8]) {
    let line = line.trim_ascii_end();
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (time, rest) = line.split_at(digits);
    match std::str::from_utf8(time).ok().and_then(|text| text.parse().ok()) {
        Some(recv) if rest.starts_with(b" ") => (Some(recv), rest.trim_ascii_start()),
        _ => (None, line),
    }
}

impl Reader {
    fn trades(
        &mut self,
        text: &[u8],
        told: &mut impl FnMut(Value),
        fault: &mut impl FnMut(String),
    ) -> Result<(), DecodeError> {
        let Frame::Logs(notification) = frame(text)? else { return Ok(()) };
        let Some(logs) = notification.logs.filter(|_| !notification.failed) else { return Ok(()) };
        for program in Program::ALL {
            let mut errors = Vec::new();
            let Reader { walker, event } = self;
            let walk =
                walker.walk(text, logs, program.text().as_bytes(), &mut |data| match event.trade(program, data) {
                    Ok(None) => {}
                    Ok(Some(trade)) => told(trade_json(&trade, &notification)),
                    Err(error) => errors.push(error),
                })?;
            errors.iter().for_each(|error| fault(format!("{}: {error}", program.name())));
            if walk.distrusted {
                fault(format!("{}: a line contradicts the stack; the rest of the log is left out", program.name()));
            }
            if walk.truncated && program == Program::Curve {
                fault("the log is cut: what follows is lost".to_owned());
            }
        }
        Ok(())
    }
}

fn trade_json(trade: &Trade, told: &Notification<'_>) -> Value {
    let mut event = match trade {
        Trade::Curve(trade) => curve_json(trade),
        Trade::Amm(trade) => json!({
            "kind": "trade", "program": Program::Amm.name(), "side": side(trade.is_buy),
            "pool": KeyText::of(&trade.pool).to_string(), "quote_atoms": trade.amount, "venue_s": trade.at_s,
        }),
    };
    event["signature"] = json!(String::from_utf8_lossy(told.signature));
    event["slot"] = json!(told.slot);
    event
}

fn curve_json(trade: &CurveTrade) -> Value {
    let mut event = json!({
        "kind": "trade", "program": Program::Curve.name(), "side": side(trade.is_buy),
        "mint": KeyText::of(&trade.mint).to_string(), "tokens_e6": trade.tokens_e6, "venue_s": trade.at_s,
    });
    match trade.quote {
        Quote::Sol => event["sol"] = json!(i64::try_from(trade.amount).map(|lamports| Qty(lamports).to_string()).ok()),
        Quote::Usdc => event["usdc"] = json!(format!("{}.{:06}", trade.amount / 1_000_000, trade.amount % 1_000_000)),
        Quote::Other => event["quote_atoms"] = json!(trade.amount),
    }
    event
}

fn side(is_buy: bool) -> &'static str {
    if is_buy { "BUY" } else { "SELL" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: &str = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P";

    fn decode(text: &str) -> (Tally, String, String) {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let tally = decode_lines(text.as_bytes(), &mut out, &mut complaints).expect("memory does not fail");
        (tally, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&complaints).into_owned())
    }

    fn notification(err: &str, lines: &[&str]) -> String {
        let logs = serde_json::to_string(lines).expect("JSON");
        let value = format!(r#"{{"signature":"5h6x","err":{err},"logs":{logs}}}"#);
        let result = format!(r#"{{"context":{{"slot":9}},"value":{value}}}"#);
        format!(r#"{{"method":"logsNotification","params":{{"result":{result},"subscription":1}}}}"#)
    }

    #[test]
    fn each_trade_is_a_line_and_each_fault_names_its_line() {
        let event = "Program data: vdt/007mYe7HT2k/Flq3J5mg3Jba9720N+tPl2XtsnQmOpPDQ6uvTwCrkEEAAAAAKeutVYQiAAAB3RCwV26Z6LvVQTRP3D8hq1DzmmTgkQjV0SSojWCZLn5YHcRmAAAAAABXtD0HAAAA1yQq8l6tAwAAq5BBAAAAANeMF6bNrgIA";
        let (invoke, success) = (format!("Program {CURVE} invoke [1]"), format!("Program {CURVE} success"));
        let good = notification("null", &[&invoke, event, &success]);
        let failed = notification(r#"{"InstructionError":[0,"Custom"]}"#, &[&invoke, event, &success]);
        let cut = notification("null", &[&invoke, "Log truncated"]);
        let ack = r#"{"jsonrpc":"2.0","result":1,"id":1}"#;
        let (tally, out, complaints) = decode(&format!("17 {good}\n\n{failed}\n{ack}\n{cut}\n{{\n"));
        assert_eq!((tally.lines, tally.bad, out.lines().count()), (5, 2, 1));
        let trade: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((&trade["sol"], &trade["side"], &trade["recv_ns"]), (&json!("1.1"), &json!("BUY"), &json!(17)));
        assert_eq!(
            (&trade["signature"], &trade["slot"], &trade["venue_s"]),
            (&json!("5h6x"), &json!(9), &json!(1_724_128_600))
        );
        assert!(complaints.starts_with("decode: line 5, the log is cut"), "{complaints}");
        assert!(complaints.contains("line 6, byte 1"), "{complaints}");
    }
}
