//! Kraken Spot: frames, recorded lines with the books they lead to, the REST depth.

use crate::kraken_hands::frames::{DEPTH, FRAMES, OTHER};
use crate::{Errors, decoder, texts};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::kraken::decode::{self, Frame, Rows, frame};
use sol_volume_bot::venue::kraken::lines::LineDecoder;
use sol_volume_bot::venue::kraken::rest::{RestError, depth};

fn known() -> impl Iterator<Item = &'static str> {
    FRAMES.into_iter().filter(|frame| *frame != OTHER)
}

decoder!(market_frame, texts(known()), {
    let mut rows = Rows::new();
    move |bytes: &[u8], errors: &mut Errors| {
        let found = errors.note(frame(bytes, &mut rows), DecodeError::at);
        let levels: usize = rows.books.iter().map(|row| rows.bids(row).len() + rows.asks(row).len()).sum();
        match found {
            Some(Frame::Book { .. }) => levels > 0 && decode::is_about_book(bytes),
            Some(frame) => frame != Frame::Other,
            None => false,
        }
    }
});

decoder!(market_line, texts(known().map(|frame| format!("1790000000000000000 {frame}"))), {
    |bytes: &[u8], errors: &mut Errors| {
        let mut decoder = LineDecoder::new(true);
        let line = errors.note(decoder.decode(bytes), |error| Some(error.at));
        line.is_some_and(|line| line.recv.is_some() && line.frame.is_some_and(|frame| frame != Frame::Other))
    }
});

fn at(error: &RestError) -> Option<usize> {
    match error {
        RestError::Decode(why) => why.at(),
        RestError::Venue(_) => None,
    }
}

decoder!(rest_depth, texts([DEPTH]), |bytes: &[u8], errors: &mut Errors| errors.note(depth(bytes), at).is_some());
