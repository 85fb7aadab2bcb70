//! The fact sheet's account, accounts of our own, frames around them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sol_volume_bot::sim::server::dex::account::{MarketAccount, Order};
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{Event, EventKind, Price, Qty, Side, Time};
use sol_volume_bot::venue::dex::DexSide;
use sol_volume_bot::venue::manifest::{DexSession, DexSettings, Market, PROGRAM};

/// Two bids, 142.36 x 3.0 and 142.31 x 1.5 (expires after slot 500), one ask, 142.37 x 12.5.
const VECTOR: &str = "8K9hj5OfcUMACQb+/QAAAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEDgAAAAAAAADwAAAAAAAAAAAAAACgAAAAoAAAAP//////////AAAAAEDiAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFAAAAD//////////wACAAAAgDluqsP5AQAAAAAAAAAAAF7QsgAAAAALAAAAAAAAAPAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA//////////8AAAAAAQIAAABg/OUwlvkBAAAAAAAAAAAAL2hZAAAAAAwAAAAAAAAA8AAAAPQBAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD///////////////8AAgAAACCsvMLM+QEAAAAAAAAAAADdDukCAAAADQAAAAAAAADwAAAAAAAAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

pub fn vector() -> Vec<u8> {
    STANDARD.decode(VECTOR).expect("base64")
}

/// What the vector's header says of itself.
pub const MARKET: Market =
    Market { base_mint: [1; 32], quote_mint: [2; 32], base_decimals: 9, quote_decimals: 6, skip_global: true };

/// An order of `sol` SOL at `price`, both as decimal texts.
pub fn order(side: Side, price: &str, sol: &str, seq: u64) -> Order {
    let price = Price::parse(price.as_bytes()).expect("a price");
    let atoms = Qty::parse(sol.as_bytes()).expect("a size");
    let price_e18 = price.0 as u128 * 10_000_000;
    Order { side, price_e18, base_atoms: atoms.0 as u64, seq, trader: 240, last_valid_slot: 0, kind: 0 }
}

/// A market of these orders with the vector's other fields.
pub fn account(orders: Vec<Order>) -> MarketAccount {
    MarketAccount {
        decimals: [9, 6],
        bumps: [0xfe, 0xfd],
        mints: [[1; 32], [2; 32]],
        vaults: [[3; 32], [4; 32]],
        next_seq: 14,
        quote_volume: 123_456,
        orders,
    }
}

/// A book of one bid and one ask.
pub fn narrow(bid: &str, ask: &str) -> Vec<u8> {
    account(vec![order(Side::Buy, bid, "1", 1), order(Side::Sell, ask, "2", 2)]).bytes()
}

/// A side as texts.
pub fn shown(side: &DexSide) -> Vec<(String, String)> {
    side.levels().iter().map(|level| (level.price.to_string(), level.qty.to_string())).collect()
}

pub fn pairs(levels: &[(&str, &str)]) -> Vec<(String, String)> {
    levels.iter().map(|(price, qty)| ((*price).to_owned(), (*qty).to_owned())).collect()
}

fn value(data: &[u8], owner: &str) -> String {
    format!(
        r#"{{"lamports":1,"data":["{}","base64"],"owner":"{owner}","executable":false,"rentEpoch":18446744073709551615,"space":{}}}"#,
        STANDARD.encode(data),
        data.len()
    )
}

/// An `accountNotification` of subscription 7.
pub fn notice(slot: u64, data: &[u8]) -> Vec<u8> {
    notice_of(slot, &value(data, PROGRAM), 7)
}
pub fn notice_of(slot: u64, value: &str, subscription: u64) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"accountNotification","params":{{"result":{{"context":{{"slot":{slot}}},"value":{value}}},"subscription":{subscription}}}}}"#
    )
    .into()
}
pub fn owned_by(owner: &str, data: &[u8]) -> String {
    value(data, owner)
}

/// An answer to `getAccountInfo`.
pub fn answer(slot: u64, data: &[u8]) -> Vec<u8> {
    let value = value(data, PROGRAM);
    format!(
        r#"{{"jsonrpc":"2.0","result":{{"context":{{"apiVersion":"4.3.2","slot":{slot}}},"value":{value}}},"id":42}}"#
    )
    .into()
}

pub const ACK: &[u8] = br#"{"jsonrpc":"2.0","result":7,"id":41}"#;

/// Seconds on the sessions' clock.
pub fn s(seconds: i64) -> Time {
    Time(seconds * NANOS_PER_SEC)
}

pub fn settings() -> DexSettings {
    DexSettings { market: MARKET, ..DexSettings::default() }
}

/// A session with connection 1 open since second 0 and its subscription acknowledged.
pub fn opened() -> DexSession {
    let mut session = DexSession::new(settings());
    session.on_open(1, s(0), &mut |_| {});
    session.on_frame(1, ACK, s(0), &mut |event| panic!("an ack is no news: {event:?}")).expect("an ack");
    session
}

/// What a call emits, kinds only.
pub fn kinds(mut call: impl FnMut(&mut dyn FnMut(Event))) -> Vec<EventKind> {
    let mut out = Vec::new();
    call(&mut |event| out.push(event.kind));
    out
}
