//! Frames around an account: `accountNotification` of the PubSub socket, the answer to `getAccountInfo`.
//!
//! Thread: any.  Invariants: texts stay in the frame; only the account's data is copied, into a buffer that is used
//! again.  Source: solana fact sheet, sections 1 and 2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::AccountError;
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;

/// Longest account taken: a market of 13 000 orders.
pub const DATA_BYTES_MAX: usize = 1024 * 1024;
/// Longest frame looked at: such an account in base64.
pub const FRAME_BYTES_MAX: usize = DATA_BYTES_MAX / 3 * 4 + 4 * 1024;

/// What one frame or answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An account, as it was at a slot.
    Account(Reading<'a>),
    /// A request was answered with a number: the subscription's.
    Ack {
        /// Which request.
        id: u64,
        /// Its subscription.
        subscription: u64,
    },
    /// A request was refused.
    Refused {
        /// Which request; 0 if it does not say.
        id: u64,
        /// The error's code; 0 if it gave none.
        code: i64,
    },
    /// Nothing of ours.
    Other,
}

/// An account at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The slot.
    pub slot: u64,
    /// The subscription that told it; `None` in an answer.
    pub subscription: Option<u64>,
    /// The account; `None` if there is none.
    pub account: Option<Account<'a>>,
}

/// The parts of an account that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// Address of the program that owns it.
    pub owner: &'a [u8],
    data: &'a [u8],
    data_at: usize,
    encoding: &'a [u8],
}

impl Account<'_> {
    /// Its data, decoded into `buffer`. Errors: [`AccountError`], counted from the start of the frame.
    pub fn data<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], AccountError> {
        if self.encoding != b"base64" {
            return Err(AccountError::NotBase64 { at: self.data_at });
        }
        buffer.clear();
        let decoded = STANDARD.decode_vec(self.data, buffer);
        let within = decoded.err().map(|error| match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => self.data.len(),
        });
        match within {
            None => Ok(buffer),
            Some(within) => Err(AccountError::NotBase64 { at: self.data_at + within.min(self.data.len()) }),
        }
    }
}

/// Decodes one frame. Errors: [`DecodeError`] with the byte.  Cost: two passes, no allocation.
pub fn decode(frame: &[u8]) -> Result<Frame<'_>, DecodeError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLong { got: frame.len() });
    }
    let (mut is_ours, mut result, mut subscription, mut id, mut error) = (false, None, None, 0, None);
    let mut scan = Scanner::new(frame);
    scan.object(|scan, key| match key {
        b"method" => scan.string().map(|method| is_ours = method == b"accountNotification"),
        b"id" if scan.peek()?.is_ascii_digit() => scan.unsigned().map(|value| id = value),
        b"error" => error_code(scan).map(|code| error = Some(code)),
        b"result" => place(scan).map(|at| result = Some(at)),
        b"params" if scan.peek()? == b'{' => scan.object(|scan, key| match key {
            b"result" => place(scan).map(|at| result = Some(at)),
            b"subscription" if scan.peek()?.is_ascii_digit() => scan.unsigned().map(|value| subscription = Some(value)),
            _ => scan.skip(),
        }),
        _ => scan.skip(),
    })?;
    scan.end()?;
    if let Some(code) = error {
        return Ok(Frame::Refused { id, code });
    }
    match (subscription, result) {
        (Some(_), None) if is_ours => Err(DecodeError::Missing { name: "result" }),
        (Some(_), Some((at, _))) if is_ours => reading(frame, at, subscription).map(Frame::Account),
        (None, Some((at, b'{'))) => reading(frame, at, None).map(Frame::Account),
        (None, Some((at, b'0'..=b'9'))) => {
            Scanner::starting_at(frame, at).unsigned().map(|subscription| Frame::Ack { id, subscription })
        }
        _ => Ok(Frame::Other),
    }
}

/// Where the value that comes next stands, and its first byte; it is stepped over.
fn place(scan: &mut Scanner) -> Result<(usize, u8), DecodeError> {
    let first = scan.peek()?;
    let at = scan.at();
    scan.skip().map(|()| (at, first))
}

fn error_code(scan: &mut Scanner) -> Result<i64, DecodeError> {
    let mut code = 0;
    if scan.peek()? != b'{' {
        return scan.skip().map(|()| code);
    }
    scan.object(|scan, key| match key {
        b"code" => scan.integer().map(|value| code = value),
        _ => scan.skip(),
    })?;
    Ok(code)
}

fn reading(frame: &[u8], at: usize, subscription: Option<u64>) -> Result<Reading<'_>, DecodeError> {
    let (mut slot, mut account) = (None, None);
    Scanner::starting_at(frame, at).object(|scan, key| match key {
        b"context" => scan.object(|scan, key| match key {
            b"slot" => scan.unsigned().map(|value| slot = Some(value)),
            _ => scan.skip(),
        }),
        b"value" if scan.peek()? == b'n' => scan.skip().map(|()| account = Some(None)),
        b"value" => self::account(scan).map(|value| account = Some(Some(value))),
        _ => scan.skip(),
    })?;
    Ok(Reading {
        slot: slot.ok_or(DecodeError::Missing { name: "slot" })?,
        subscription,
        account: account.ok_or(DecodeError::Missing { name: "value" })?,
    })
}

fn account<'a>(scan: &mut Scanner<'a>) -> Result<Account<'a>, DecodeError> {
    let (mut owner, mut data) = (None, None);
    scan.object(|scan, key| match key {
        b"owner" => scan.string().map(|text| owner = Some(text)),
        b"data" if scan.peek()? == b'[' => {
            let (mut texts, mut count, mut data_at) = ([&b""[..]; 2], 0_usize, 0);
            scan.array(|scan| {
                scan.peek()?;
                if count == 0 {
                    data_at = scan.at() + 1;
                }
                let text = scan.string()?;
                if let Some(place) = texts.get_mut(count) {
                    *place = text;
                }
                count += 1;
                Ok(())
            })?;
            data = Some((texts, data_at));
            Ok(())
        }
        _ => scan.skip(),
    })?;
    let ([data, encoding], data_at) = data.ok_or(DecodeError::Missing { name: "data" })?;
    let owner = owner.ok_or(DecodeError::Missing { name: "owner" })?;
    Ok(Account { owner, data, data_at, encoding })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTICE: &[u8] = br#"{"jsonrpc":"2.0","method":"accountNotification","params":{"result":{"context":{"slot":405112233},"value":{"lamports":33594,"data":["AQID","base64"],"owner":"11111111111111111111111111111111","executable":false,"rentEpoch":18446744073709551615,"space":3}},"subscription":23784}}"#;

    #[test]
    fn the_fact_sheets_notification_is_read() {
        let Ok(Frame::Account(Reading { slot: 405_112_233, subscription: Some(23_784), account: Some(account) })) =
            decode(NOTICE)
        else {
            panic!("{:?}", decode(NOTICE));
        };
        let mut buffer = Vec::new();
        assert_eq!(account.owner, b"11111111111111111111111111111111");
        assert_eq!(account.data(&mut buffer), Ok(&[1, 2, 3][..]));
    }

    #[test]
    fn what_is_not_base64_is_named_by_its_byte_of_the_frame() {
        let mut frame = NOTICE.to_vec();
        let at = frame.windows(4).position(|text| text == b"AQID").expect("the data");
        frame[at + 2] = b'!';
        let Ok(Frame::Account(Reading { account: Some(account), .. })) = decode(&frame) else { panic!("no account") };
        assert_eq!(account.data(&mut Vec::new()), Err(AccountError::NotBase64 { at: at + 2 }));
    }

    #[test]
    fn acks_refusals_answers_and_strangers_are_told_apart() {
        assert_eq!(
            decode(br#"{"jsonrpc":"2.0","result":23784,"id":7}"#),
            Ok(Frame::Ack { id: 7, subscription: 23_784 })
        );
        let refusal = br#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid param"},"id":7}"#;
        assert_eq!(decode(refusal), Ok(Frame::Refused { id: 7, code: -32_602 }));
        let absent = br#"{"jsonrpc":"2.0","result":{"context":{"apiVersion":"4.3.2","slot":9},"value":null},"id":8}"#;
        let reading = Reading { slot: 9, subscription: None, account: None };
        assert_eq!(decode(absent), Ok(Frame::Account(reading)));
        let slot = br#"{"jsonrpc":"2.0","method":"slotNotification","params":{"result":{"parent":1,"root":0,"slot":2},"subscription":1}}"#;
        assert_eq!(decode(slot), Ok(Frame::Other));
        assert_eq!(decode(br#"{"jsonrpc":"2.0","result":true,"id":9}"#), Ok(Frame::Other));
        assert_eq!(decode(b"<html>"), Err(DecodeError::Syntax { at: 0 }));
    }

    #[test]
    fn frames_cut_or_changed_at_every_byte_never_panic() {
        let mut buffer = Vec::new();
        for at in 0..NOTICE.len() {
            assert!(decode(&NOTICE[..at]).is_err(), "cut at {at}");
            for byte in 0..=255 {
                let mut changed = NOTICE.to_vec();
                changed[at] = byte;
                if let Ok(Frame::Account(Reading { account: Some(account), .. })) = decode(&changed) {
                    let _ = account.data(&mut buffer).is_ok();
                }
            }
        }
    }
}
