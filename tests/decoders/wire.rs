//! The wire itself: WebSocket frames, the head of an HTTP answer.

use crate::{Errors, decoder, texts};
use sol_volume_bot::sys::net::Response;
use sol_volume_bot::sys::net::ws::{Message, Walker, WsError};
use sol_volume_bot::types::Time;

/// Longest message: shorter than what lengths may say.
const MESSAGE_BYTES_MAX: usize = 100_000;

/// A text, a fragmented one with a ping within, a longer binary one, and a close, as a server writes them.
fn session() -> Vec<u8> {
    let text = b"\x81\x05Hello\x01\x03one\x89\x02hi\x00\x00\x80\x04 two".to_vec();
    let close = b"\x88\x06\x03\xe8done".to_vec();
    [text, [&[0x82, 126, 0, 200][..], &[7; 200]].concat(), b"\x8a\x00".to_vec(), close].concat()
}

fn longest() -> Vec<u8> {
    [&[0x82, 127, 0, 0, 0, 0, 0, 0, 1, 0][..], &[7; 256]].concat()
}

/// Messages in the first `end` bytes, and where the next frame begins.
fn walk(walker: &mut Walker, bytes: &[u8], mut at: usize) -> Result<(usize, usize), WsError> {
    let mut messages = 0;
    while let Some(step) = walker.step(&bytes[at..])? {
        messages += usize::from(step.message.is_some_and(|message| message != Message::Ping(b"")));
        at += step.used;
    }
    Ok((messages, at))
}

decoder!(websocket_frames, [session(), longest()], |bytes: &[u8], errors: &mut Errors| {
    let whole = walk(&mut Walker::new(MESSAGE_BYTES_MAX), bytes, 0);
    let (mut walker, half) = (Walker::new(MESSAGE_BYTES_MAX), bytes.len() / 2);
    let halves = walk(&mut walker, &bytes[..half], 0).and_then(|(before, at)| {
        let (after, at) = walk(&mut walker, bytes, at)?;
        Ok((before + after, at))
    });
    assert_eq!(whole, halves, "how bytes are cut changes nothing");
    if let Ok((_, end)) = &whole {
        errors.name(*end);
    }
    whole.is_ok_and(|(messages, _)| messages > 0)
});

const HEAD: &str = "HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 7\r\nRetry-After:  17 \r\nContent-Length: 5\r\n\r\n";

decoder!(http_headers, texts([HEAD]), |bytes: &[u8], _: &mut Errors| {
    let answer = Response { status: 200, head: bytes, body: b"", recv: Time(1) };
    answer.header("x-mbx-used-weight-1m") == Some("7") && answer.header("retry-after") == Some("17")
});
