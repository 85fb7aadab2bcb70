//! The Solana books: Manifest's account and the frames around it, Jupiter's quotes.

use crate::chain::reads_lines;
use crate::dex_hands::desk::{ACK, MARKET, answer, notice, vector};
use crate::dex_hands::frames::quote;
use crate::{Errors, decoder, texts};
use sol_volume_bot::cli::decode::VenueName;
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::jupiter::{self, QuoteError};
use sol_volume_bot::venue::manifest::account::{USDC, WSOL};
use sol_volume_bot::venue::manifest::frame::{self, Frame};
use sol_volume_bot::venue::manifest::{AccountError, Market, decode};

decoder!(account, [vector()], |bytes: &[u8], errors: &mut Errors| {
    if let Some(stated) = Market::stated(bytes) {
        errors.note(decode(bytes, 0, &stated), AccountError::at);
    }
    let levels = errors.note(decode(bytes, 400, &MARKET), AccountError::at);
    levels.is_some_and(|levels| levels.is_sound() && levels.mid().is_some())
});

decoder!(account_frame, texts([&notice(400, &vector())[..], &answer(400, &vector()), ACK]), {
    let mut buffer = Vec::new();
    move |bytes: &[u8], errors: &mut Errors| match errors.note(frame::decode(bytes), DecodeError::at) {
        Some(Frame::Account(reading)) => {
            let Some(account) = reading.account else { return false };
            let Some(data) = errors.note(account.data(&mut buffer), AccountError::at) else { return false };
            errors.note(decode(data, reading.slot, &MARKET), AccountError::at).is_some()
        }
        Some(Frame::Ack { .. } | Frame::Refused { .. }) => true,
        Some(Frame::Other) | None => false,
    }
});

decoder!(account_lines, [notice(400, &vector()), answer(400, &vector())], |bytes: &[u8], errors: &mut Errors| {
    reads_lines(VenueName::Manifest, bytes, errors)
});

fn at(error: &QuoteError) -> Option<usize> {
    match error {
        QuoteError::Decode(why) => why.at(),
        QuoteError::Refused(_)
        | QuoteError::Limited { .. }
        | QuoteError::BadKey { .. }
        | QuoteError::Status { .. }
        | QuoteError::Suspect => None,
    }
}

fn quotes() -> Vec<Vec<u8>> {
    let older =
        quote(USDC, WSOL, 1, 2).replace("[]}", r#"[{"percent":100}],"contextSlot":405112233,"errorCode":null}"#);
    texts([quote(WSOL, USDC, 1_000_000_000, 142_331_045), older])
}

decoder!(jupiter_quote, quotes(), |bytes: &[u8], errors: &mut Errors| {
    errors.note(jupiter::decode(400, bytes), at);
    errors.note(jupiter::decode(200, bytes), at).is_some()
});

decoder!(jupiter_lines, quotes(), |bytes: &[u8], errors: &mut Errors| {
    reads_lines(VenueName::Jupiter, bytes, errors)
});
