//! A `logsNotification` in place, and the walk through a transaction's log that tells whose line a line is.
//!
//! Thread: any.  Invariants: no allocation but a line buffer taken at start; the invocation stack is bounded; a data
//! line counts only while the program asked for is the innermost active one, and nothing of a log counts behind a line
//! that contradicts its own stack or behind `Log truncated`: from there on nobody knows whose lines they are.

use super::base58::{TEXT_BYTES_MAX, is_key};
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest frame looked at; a log is cut at 10 kB by default, providers may allow more.
pub const FRAME_BYTES_MAX: usize = 512 * 1024;
/// Lines of one log that are walked.
const LINES_MAX: usize = 8_192;
/// Deepest invocation: 5 today, 9 once SIMD-0268 is live.
const STACK_MAX: usize = 16;
/// Room for a line that holds JSON escapes; a longer one is left out like one that is none of ours.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// One notification of a log subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// Slot of the node's answer.
    pub slot: u64,
    /// The node's number of the subscription.
    pub subscription: u64,
    /// The transaction.
    pub signature: &'a [u8],
    /// Whether it failed on the chain: then nothing was traded.
    pub failed: bool,
    /// Where its log starts in the frame; `None` = the node left it out.
    pub logs: Option<usize>,
}

/// What one frame of a PubSub connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A transaction's log.
    Logs(Notification<'a>),
    /// A subscription was accepted.
    Ack {
        /// Number of our request.
        id: u64,
        /// The node's number of the subscription.
        subscription: u64,
    },
    /// A request was refused.
    Refused,
    /// Anything else.
    Other,
}

/// Reads one frame.
///
/// Errors: [`DecodeError`] with the byte.  Cost: one pass, no allocation.
pub fn frame(bytes: &[u8]) -> Result<Frame<'_>, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: bytes.len() });
    }
    let (mut is_logs, mut refused, mut id, mut result, mut params) = (false, false, None, None, None);
    let mut parts = None;
    let mut scan = Scanner::new(bytes);
    scan.object(|scan, key| match key {
        b"method" => scan.string().map(|method| is_logs = method == b"logsNotification"),
        b"error" => scan.skip().map(|()| refused = true),
        b"id" => number_or_other(scan).map(|number| id = number),
        b"result" => number_or_other(scan).map(|number| result = number),
        b"params" if is_logs => parts_of(scan).map(|found| parts = Some(found)),
        b"params" => {
            params = Some(scan.at());
            scan.skip() // whose they are, a method behind them will say
        }
        _ => scan.skip(),
    })?;
    scan.end()?;
    if refused {
        return Ok(Frame::Refused);
    }
    if let (true, None, Some(at)) = (is_logs, &parts, params) {
        parts = Some(parts_of(&mut Scanner::starting_at(bytes, at))?);
    }
    match (is_logs, parts, id, result) {
        (true, Some(parts), ..) => parts.whole().map(Frame::Logs),
        (true, None, ..) => Err(DecodeError::Missing { name: "params" }),
        (false, _, Some(id), Some(subscription)) => Ok(Frame::Ack { id, subscription }),
        _ => Ok(Frame::Other),
    }
}

/// A whole number, or `None` for any other value.
fn number_or_other(scan: &mut Scanner<'_>) -> Result<Option<u64>, DecodeError> {
    match scan.peek()? {
        b'0'..=b'9' => {
            let mut ahead = scan.clone();
            let number = ahead.unsigned().ok();
            scan.skip().map(|()| number)
        }
        _ => scan.skip().map(|()| None),
    }
}

/// What a notification's parts are, as far as they came.
#[derive(Default)]
struct Parts<'a> {
    slot: Option<u64>,
    subscription: Option<u64>,
    signature: Option<&'a [u8]>,
    failed: Option<bool>,
    logs: Option<usize>,
}

impl<'a> Parts<'a> {
    fn whole(self) -> Result<Notification<'a>, DecodeError> {
        let missing = |name| DecodeError::Missing { name };
        Ok(Notification {
            slot: self.slot.ok_or(missing("slot"))?,
            subscription: self.subscription.ok_or(missing("subscription"))?,
            signature: self.signature.ok_or(missing("signature"))?,
            failed: self.failed.ok_or(missing("err"))?,
            logs: self.logs,
        })
    }
}

fn parts_of<'a>(scan: &mut Scanner<'a>) -> Result<Parts<'a>, DecodeError> {
    let mut parts = Parts::default();
    scan.object(|scan, key| match key {
        b"subscription" => scan.unsigned().map(|number| parts.subscription = Some(number)),
        b"result" => scan.object(|scan, key| match key {
            b"context" => scan.object(|scan, key| match key {
                b"slot" => scan.unsigned().map(|slot| parts.slot = Some(slot)),
                _ => scan.skip(),
            }),
            b"value" => scan.object(|scan, key| value(scan, key, &mut parts)),
            _ => scan.skip(),
        }),
        _ => scan.skip(),
    })?;
    Ok(parts)
}

fn value<'a>(scan: &mut Scanner<'a>, key: &[u8], parts: &mut Parts<'a>) -> Result<(), DecodeError> {
    match key {
        b"signature" => scan.string().map(|text| parts.signature = Some(text)),
        b"err" => {
            parts.failed = Some(scan.peek()? != b'n');
            scan.skip()
        }
        b"logs" => {
            parts.logs = (scan.peek()? != b'n').then_some(scan.at());
            scan.skip()
        }
        _ => scan.skip(),
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Data lines of the program.
    pub data_lines: u32,
    /// The node cut the log, or it ends inside an invocation: what follows is lost.
    pub truncated: bool,
    /// A line contradicts the stack: what follows was left out.
    pub distrusted: bool,
}

/// An active program: its address as the log spells it.
#[derive(Clone, Copy, Debug)]
struct Active {
    text: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl Active {
    const NONE: Active = Active { text: [0; TEXT_BYTES_MAX], len: 0 };

    fn is(&self, word: &[u8]) -> bool {
        self.text.get(..self.len) == Some(word)
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    /// A program starts, at this depth.
    Invoke(&'a [u8], usize),
    /// A program ends.
    End(&'a [u8]),
    /// The innermost program wrote data.
    Data(&'a [u8]),
    /// The node cuts the log here.
    Truncated,
    /// Text.
    Other,
}

/// Walks logs; keeps its buffers from one to the next.
#[derive(Clone, Debug)]
pub struct Walker {
    stack: [Active; STACK_MAX],
    depth: usize,
    unescaped: Vec<u8>,
}

impl Default for Walker {
    fn default() -> Walker {
        Walker::new()
    }
}

impl Walker {
    /// With its buffer taken.
    pub fn new() -> Walker {
        Walker { stack: [Active::NONE; STACK_MAX], depth: 0, unescaped: Vec::with_capacity(LINE_BYTES_MAX) }
    }

    /// Walks the log that starts at byte `at` of `frame`; `each` gets the base64 text of every data line that `program`
    /// itself wrote.
    ///
    /// Errors: [`DecodeError`] for a log that is no array of texts; what came before the error was told.
    /// Cost: one pass, no allocation.
    pub fn walk(
        &mut self,
        frame: &[u8],
        at: usize,
        program: &[u8],
        each: &mut impl FnMut(&[u8]),
    ) -> Result<Walk, DecodeError> {
        self.depth = 0;
        let mut walk = Walk::default();
        let mut lines = 0;
        let mut scan = Scanner::starting_at(frame, at);
        scan.array(|scan| {
            let raw = scan.string()?;
            lines += 1;
            if walk.truncated || walk.distrusted {
                return Ok(());
            }
            if lines > LINES_MAX {
                walk.truncated = true;
                return Ok(());
            }
            self.step(raw, program, &mut walk, each);
            Ok(())
        })?;
        walk.truncated |= self.depth > 0 && !walk.distrusted;
        Ok(walk)
    }

    /// One line as it stands in the frame.
    fn step(&mut self, raw: &[u8], program: &[u8], walk: &mut Walk, each: &mut impl FnMut(&[u8])) {
        if raw.contains(&b'\\') {
            let mut line = std::mem::take(&mut self.unescaped);
            match unescape(raw, &mut line) {
                true => self.take(&line, program, walk, each),
                false => walk.distrusted = true,
            }
            self.unescaped = line;
        } else {
            self.take(raw, program, walk, each);
        }
    }

    fn take(&mut self, text: &[u8], program: &[u8], walk: &mut Walk, each: &mut impl FnMut(&[u8])) {
        match line(text) {
            Line::Other => {}
            Line::Truncated => walk.truncated = true,
            Line::Invoke(word, depth) => walk.distrusted = depth != self.depth + 1 || !self.push(word),
            Line::End(word) => walk.distrusted = !self.pop(word),
            Line::Data(data) => {
                if self.innermost().is_some_and(|active| active.is(program)) {
                    walk.data_lines += 1;
                    each(data);
                }
            }
        }
    }

    fn innermost(&self) -> Option<&Active> {
        self.stack.get(self.depth.checked_sub(1)?)
    }

    /// Whether there was room.
    fn push(&mut self, word: &[u8]) -> bool {
        let Some(free) = self.stack.get_mut(self.depth) else { return false };
        free.len = word.len().min(TEXT_BYTES_MAX);
        free.text.iter_mut().zip(word).for_each(|(place, byte)| *place = *byte);
        self.depth += 1;
        true
    }

    /// Whether the innermost program is the one that ends.
    fn pop(&mut self, word: &[u8]) -> bool {
        let is_it = self.innermost().is_some_and(|active| active.is(word));
        self.depth -= usize::from(is_it);
        is_it
    }
}

/// What a line is. Programs write text only behind `Program log: ` and data behind `Program data: `, so no text of
/// theirs can look like a line of the runtime.
fn line(text: &[u8]) -> Line<'_> {
    let Some(rest) = text.strip_prefix(b"Program ") else {
        return if text == b"Log truncated" { Line::Truncated } else { Line::Other };
    };
    let Some(space) = rest.iter().take(TEXT_BYTES_MAX + 1).position(|byte| *byte == b' ') else { return Line::Other };
    let (word, rest) = (rest.get(..space).unwrap_or_default(), rest.get(space + 1..).unwrap_or_default());
    match word {
        b"log:" | b"return:" | b"consumption:" => return Line::Other,
        b"data:" => return Line::Data(rest),
        _ if !is_key(word) => return Line::Other,
        _ => {}
    }
    if rest == b"success" || rest.starts_with(b"failed") {
        return Line::End(word);
    }
    match rest.strip_prefix(b"invoke [").and_then(|rest| rest.strip_suffix(b"]")) {
        Some(digits) => Line::Invoke(word, depth(digits)),
        None => Line::Other,
    }
}

/// A depth of one or two digits; what is none is one that no stack has.
fn depth(digits: &[u8]) -> usize {
    match digits {
        [one @ b'1'..=b'9'] => usize::from(one - b'0'),
        [ten @ b'1'..=b'9', one @ b'0'..=b'9'] => usize::from(ten - b'0') * 10 + usize::from(one - b'0'),
        _ => usize::MAX,
    }
}

/// Translates JSON escapes into `line`; false for an escape that is none, or a line that is too long.
fn unescape(raw: &[u8], line: &mut Vec<u8>) -> bool {
    line.clear();
    if raw.len() > LINE_BYTES_MAX {
        return is_text_of_a_program(raw); // too long for the buffer: harmless only if it is somebody's plain text
    }
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        at += 1;
        if *byte != b'\\' {
            line.push(*byte);
            continue;
        }
        let Some(letter) = raw.get(at) else { return false };
        at += 1;
        match letter {
            b'"' | b'\\' | b'/' => line.push(*letter),
            b'n' => line.push(b'\n'),
            b't' => line.push(b'\t'),
            b'r' => line.push(b'\r'),
            b'b' => line.push(8),
            b'f' => line.push(12),
            b'u' => {
                let Some(code) = raw.get(at..at + 4).and_then(hex) else { return false };
                at += 4;
                line.push(u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b'?')); // no line of ours holds more
            }
            _ => return false,
        }
    }
    true
}

fn is_text_of_a_program(raw: &[u8]) -> bool {
    raw.starts_with(b"Program log: ") || raw.starts_with(b"Program return: ")
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P";
    const OTHER: &str = "11111111111111111111111111111111";

    fn walk(lines: &[String]) -> (Walk, Vec<String>) {
        let frame = serde_json::to_vec(lines).expect("JSON");
        walk_raw(&frame)
    }

    fn walk_raw(frame: &[u8]) -> (Walk, Vec<String>) {
        let mut told = Vec::new();
        let mut each = |data: &[u8]| told.push(String::from_utf8_lossy(data).into_owned());
        let walk = Walker::new().walk(frame, 0, OURS.as_bytes(), &mut each).expect("an array of texts");
        (walk, told)
    }

    fn invoke(who: &str, depth: usize) -> String {
        format!("Program {who} invoke [{depth}]")
    }
    fn success(who: &str) -> String {
        format!("Program {who} success")
    }
    fn data(text: &str) -> String {
        format!("Program data: {text}")
    }

    #[test]
    fn only_the_innermost_program_writes() {
        let lines = [
            data("before"),
            invoke(OTHER, 1),
            data("caller"),
            invoke(OURS, 2),
            data("ours"),
            invoke(OTHER, 3),
            data("callee"),
            success(OTHER),
            data("ours again"),
            success(OURS),
            data("caller again"),
            success(OTHER),
            data("after"),
        ];
        let (walk, told) = walk(&lines);
        assert_eq!(told, ["ours", "ours again"]);
        assert_eq!(walk, Walk { data_lines: 2, ..Walk::default() });
    }

    #[test]
    fn text_that_looks_like_a_line_of_the_runtime_changes_nothing() {
        let lines = [
            invoke(OTHER, 1),
            format!("Program log: Program {OURS} invoke [2]"),
            "Program log: invoke [2]".to_owned(),
            format!("Program log: x\nProgram {OURS} invoke [2]\nProgram data: forged"),
            format!("Program return: {OURS} invoke [2]"),
            data("forged"),
            format!("{OURS} invoke [2]"),
            format!(" Program {OURS} invoke [2]"),
            data("forged"),
            success(OTHER),
        ];
        assert_eq!(walk(&lines), (Walk::default(), vec![]));
    }

    #[test]
    fn a_line_that_contradicts_the_stack_ends_the_trust() {
        let broken: [&[String]; 6] = [
            &[invoke(OTHER, 1), invoke(OURS, 3)],
            &[invoke(OTHER, 1), success(OURS), invoke(OURS, 1)],
            &[success(OTHER), invoke(OURS, 1)],
            &[invoke(OTHER, 0), invoke(OURS, 1)],
            &[invoke(OTHER, 1), format!("Program {OURS} failed: custom program error: 0x1"), invoke(OURS, 2)],
            &[format!("Program {OTHER} invoke [x]"), invoke(OURS, 1)],
        ];
        for lines in broken {
            let lines = [lines, &[data("forged"), success(OURS)]].concat();
            let (walk, told) = walk(&lines);
            assert!(walk.distrusted && told.is_empty(), "{lines:?}");
        }
    }

    #[test]
    fn a_stack_deeper_than_any_runtime_allows_is_not_followed() {
        let mut lines: Vec<String> = (1..=STACK_MAX + 1).map(|depth| invoke(OURS, depth)).collect();
        lines.push(data("too deep"));
        let (walk, told) = walk(&lines);
        assert!(walk.distrusted && told.is_empty());
    }

    #[test]
    fn a_cut_log_counts_up_to_the_cut_and_not_behind_it() {
        let lines = [invoke(OURS, 1), data("heard"), "Log truncated".to_owned(), data("whose?"), success(OURS)];
        let (walk_, told) = walk(&lines);
        assert_eq!((walk_.truncated, told), (true, vec!["heard".to_owned()]));
        let (walk_, told) = walk(&lines[..2]);
        assert_eq!((walk_.truncated, told), (true, vec!["heard".to_owned()]), "it ends inside an invocation");
    }

    #[test]
    fn escapes_are_translated_and_false_ones_end_the_trust() {
        let line = |text: &str| format!(r#"["Program {OURS} invoke [1]","{text}","Program {OURS} success"]"#);
        let (walk, told) = walk_raw(line(r"\u0050rogram data: a\/b\u002b\n").as_bytes());
        assert_eq!((walk.distrusted, told), (false, vec!["a/b+\n".to_owned()]));
        for text in [r"\q", r"\u12", r"\u12x4"] {
            let (walk, told) = walk_raw(line(text).as_bytes());
            assert!(walk.distrusted && told.is_empty(), "{text}");
        }
        let long = format!("Program log: {}", r"\n".repeat(LINE_BYTES_MAX));
        assert!(!walk_raw(line(&long).as_bytes()).0.distrusted, "somebody's long text harms nobody");
    }

    #[test]
    fn keys_of_a_notification_may_come_in_any_order() {
        let text = br#"{"params":{"subscription":7,"result":{"value":{"logs":["x"],"err":{"InstructionError":[2,{"Custom":6001}]},"signature":"5h6x"},"context":{"slot":18446744073709551615}}},"method":"logsNotification","jsonrpc":"2.0"}"#;
        assert!(frame(text).is_err(), "a slot beyond any");
        let text = String::from_utf8_lossy(text).replace("18446744073709551615", "9");
        let expected = Notification { slot: 9, subscription: 7, signature: b"5h6x", failed: true, logs: Some(54) };
        assert_eq!(frame(text.as_bytes()), Ok(Frame::Logs(expected)));
        assert_eq!(frame(br#"{"jsonrpc":"2.0","result":24040,"id":1}"#), Ok(Frame::Ack { id: 1, subscription: 24040 }));
        assert_eq!(frame(br#"{"jsonrpc":"2.0","result":true,"id":1}"#), Ok(Frame::Other));
        assert_eq!(frame(br#"{"error":{"code":-32602},"id":1}"#), Ok(Frame::Refused));
    }
}
