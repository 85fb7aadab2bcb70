//! Recorded frames, one a line: what each one is and, if asked, the book it leads to. The core of the `decode` verb.
//!
//! Thread: any.  Invariants: one book per pair, at most [`BOOKS_MAX`]; its depth is the one that the subscription's
//! acknowledgement named, else the smallest on offer that holds the snapshot.

use super::Pair;
use super::book::{Book, DEPTHS, Fault};
use super::decode::{self, Frame, Method, Rows};
use crate::types::Time;
use crate::types::event::Bbo;
use crate::venue::lines::{LineError, receive_time};

/// Pairs whose books are kept.
pub const BOOKS_MAX: usize = 64;

/// What a book message did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The book moved on and its checksum holds.
    Verified,
    /// No snapshot came before it.
    NoSnapshot,
    /// The book was thrown away.
    Lost(Fault),
}

/// One line, decoded.
#[derive(Debug)]
pub struct Line<'a> {
    /// The time before the frame, if it had one.
    pub recv: Option<Time>,
    /// The frame; `None` if the line holds nothing.
    pub frame: Option<Frame<'a>>,
    /// The rows of a frame that has some.
    pub rows: &'a Rows,
    /// What the frame did to the book, if books are kept and it is about one.
    pub step: Option<Step>,
    /// Top of the book of the frame's pair after this line; only if it is whole.
    pub top: Option<Bbo>,
}

/// One pair's book.
#[derive(Debug)]
struct Kept {
    pair: Pair,
    /// The depth that was acknowledged, for the next snapshot.
    depth: Option<usize>,
    book: Option<Book>,
}

/// Decodes line after line.
#[derive(Debug, Default)]
pub struct LineDecoder {
    rows: Rows,
    with_books: bool,
    books: Vec<Kept>,
}

impl LineDecoder {
    /// Keeps a book per pair if `with_books`.
    pub fn new(with_books: bool) -> Self {
        Self { with_books, ..Self::default() }
    }

    /// Decodes `[<receive time, ns> ]<JSON>`. Errors: [`LineError`]; the next line may follow.
    pub fn decode<'a>(&'a mut self, line: &'a [u8]) -> Result<Line<'a>, LineError> {
        let (recv, from) = receive_time(line);
        let body = line.get(from..).unwrap_or_default().trim_ascii_end();
        if body.is_empty() {
            return Ok(Line { recv, frame: None, rows: &self.rows, step: None, top: None });
        }
        let frame = decode::frame(body, &mut self.rows).map_err(|error| LineError::new(error, from))?;
        let (mut step, mut pair) = (None, None);
        match frame {
            Frame::Ack { method: Method::Subscribe, pair: Some(of), depth: Some(depth), .. } => {
                if let Some(kept) = kept(&mut self.books, self.with_books, of) {
                    kept.depth = Some(depth);
                }
            }
            Frame::Book { snapshot } => (step, pair) = self.book(snapshot),
            Frame::Ticker { .. } => pair = self.rows.tickers.last().map(|row| row.pair),
            Frame::Trade { .. } => pair = self.rows.trades.last().map(|row| row.pair),
            _ => {}
        }
        let of_pair = pair.and_then(|pair| self.books.iter().find(|kept| kept.pair == pair));
        let top = of_pair.and_then(|kept| kept.book.as_ref()).and_then(Book::top);
        Ok(Line { recv, frame: Some(frame), rows: &self.rows, step, top })
    }

    /// Applies the rows just decoded: what the last one did, and to which pair's book.
    fn book(&mut self, snapshot: bool) -> (Option<Step>, Option<Pair>) {
        let Self { rows, with_books, books } = self;
        let mut done = (None, None);
        for row in &rows.books {
            let Some(kept) = kept(books, *with_books, row.pair) else { continue };
            let (bids, asks) = (rows.bids(row), rows.asks(row));
            let applied = match (snapshot, &mut kept.book) {
                (true, place) => {
                    let levels = bids.len().max(asks.len());
                    let guess = || DEPTHS.into_iter().find(|depth| *depth >= levels).unwrap_or(levels);
                    let book = place.insert(Book::new(kept.depth.unwrap_or_else(guess)));
                    book.load(bids, asks, row.checksum, row.venue_time)
                }
                (false, Some(book)) => book.apply(bids, asks, row.checksum, row.venue_time),
                (false, None) => {
                    done = (Some(Step::NoSnapshot), Some(row.pair));
                    continue;
                }
            };
            if applied.is_err() {
                kept.book = None;
            }
            done = (Some(applied.map_or_else(Step::Lost, |()| Step::Verified)), Some(row.pair));
        }
        done
    }
}

/// The place of a pair's book, a new one if there is room.
fn kept(books: &mut Vec<Kept>, with_books: bool, pair: Pair) -> Option<&mut Kept> {
    let known = books.iter().any(|kept| kept.pair == pair);
    if !known && with_books && books.len() < BOOKS_MAX {
        books.push(Kept { pair, depth: None, book: None });
    }
    books.iter_mut().find(|kept| kept.pair == pair)
}
