//! Recorded frames, one a line: what each one is and, if asked, the book it leads to. The core of the `decode` verb.
//!
//! Thread: any.  Invariants: one book per symbol, at most [`BOOKS_MAX`]; a REST snapshot names no symbol, so it goes to
//! the only book there is, or to the only one whose diffs it meets.

use super::decode::{self, Frame, Levels, Market};
use super::messages;
use super::sync::{BookSync, Bridge, Step};
use crate::types::Time;
use crate::types::event::Bbo;
use crate::venue::DecodeError;

/// Symbols whose books are kept.
pub const BOOKS_MAX: usize = 64;

/// One line, decoded.
#[derive(Debug)]
pub struct Line<'a> {
    /// The time before the frame, if it had one.
    pub recv: Option<Time>,
    /// The frame.
    pub content: Content<'a>,
    /// Top of the symbol's book after this line; only if books are kept and this one is whole.
    pub top: Option<Bbo>,
}

/// What a line holds.
#[derive(Debug)]
pub enum Content<'a> {
    /// Nothing.
    Blank,
    /// A stream frame; a depth diff brings its levels, and what it did to the book if one is kept.
    Frame(Frame<'a>, Option<(&'a Levels, Option<Step>)>),
    /// A REST depth snapshot.
    Snapshot {
        /// The update it stands at.
        update_id: u64,
        /// Its levels.
        levels: &'a Levels,
        /// Whether a book began from it.
        used: bool,
    },
}

/// Why a line could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Byte of the line: where the fault is, or where the message begins if all of it is at fault.
    pub at: usize,
    /// What is wrong with the frame, its bytes counted from the start of the line.
    pub error: DecodeError,
}

/// Decodes line after line.
#[derive(Debug, Default)]
pub struct LineDecoder {
    levels: Levels,
    with_books: bool,
    books: Vec<(Vec<u8>, BookSync)>,
}

impl LineDecoder {
    /// Keeps a book per symbol if `with_books`.
    pub fn new(with_books: bool) -> Self {
        Self { with_books, ..Self::default() }
    }

    /// Decodes `[<receive time, ns> ]<JSON>`. Errors: [`LineError`]; the next line may follow.
    pub fn decode<'a>(&'a mut self, line: &'a [u8]) -> Result<Line<'a>, LineError> {
        let (recv, from) = receive_time(line);
        let body = line.get(from..).unwrap_or_default().trim_ascii_end();
        if body.is_empty() {
            return Ok(Line { recv, content: Content::Blank, top: None });
        }
        let failed = |error: DecodeError| {
            let error = error.shifted(from);
            LineError { at: error.at().unwrap_or(from), error }
        };
        if body.starts_with(b"{\"lastUpdateId\"") {
            let update_id = messages::snapshot(body, &mut self.levels).map_err(failed)?;
            let (used, top) = self.bridge(update_id, recv.unwrap_or_default());
            return Ok(Line { recv, content: Content::Snapshot { update_id, levels: &self.levels, used }, top });
        }
        let frame = decode::frame(body, None, &mut self.levels).map_err(failed)?;
        let Frame::Market(symbol, market) = frame else {
            return Ok(Line { recv, content: Content::Frame(frame, None), top: None });
        };
        let book = self.book_of(symbol);
        let depth = match market {
            Market::Depth(diff) => {
                let sync = book.and_then(|at| self.books.get_mut(at)).map(|(_, sync)| sync);
                let step = sync.map(|sync| sync.on_diff(diff, &self.levels, recv.unwrap_or_default()));
                Some((&self.levels, step))
            }
            _ => None,
        };
        let whole = book.and_then(|at| self.books.get(at)).and_then(|(_, sync)| sync.book());
        Ok(Line { recv, content: Content::Frame(frame, depth), top: whole.and_then(|book| book.top()) })
    }

    /// Which book is `symbol`'s, a new one if there is room.
    fn book_of(&mut self, symbol: &[u8]) -> Option<usize> {
        let known = self.books.iter().position(|(of, _)| of == symbol);
        if known.is_some() || !self.with_books || self.books.len() >= BOOKS_MAX {
            return known;
        }
        self.books.push((symbol.to_vec(), BookSync::new()));
        Some(self.books.len() - 1)
    }

    /// Gives the snapshot just decoded to the book it belongs to: whether that took it, and its top.
    fn bridge(&mut self, update_id: u64, now: Time) -> (bool, Option<Bbo>) {
        let only = self.books.len() == 1;
        let waits = |sync: &BookSync| sync.book().is_none();
        let meets = |(first, last): (u64, u64)| first <= update_id.saturating_add(1) && update_id <= last;
        let fits = |sync: &BookSync| waits(sync) && (only || sync.held().is_some_and(meets));
        let mut matching = self.books.iter_mut().filter(|(_, sync)| fits(sync));
        let (Some((_, sync)), None) = (matching.next(), matching.next()) else { return (false, None) };
        let used = sync.on_snapshot(update_id, &self.levels, now) == Bridge::Live;
        (used, sync.book().and_then(|book| book.top()))
    }
}

/// The receive time before a frame, and where the frame begins.
pub fn receive_time(line: &[u8]) -> (Option<Time>, usize) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = line.get(..digits).and_then(|text| std::str::from_utf8(text).ok());
    match (text.and_then(|text| text.parse().ok()), line.get(digits)) {
        (Some(nanos), Some(b' ' | b'\t')) => (Some(Time(nanos)), digits + 1),
        _ => (None, 0),
    }
}
