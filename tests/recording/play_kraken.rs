//! Kraken's recorded words out of the built-in Kraken: to who was there from the first, and to who comes later.

use std::sync::Arc;

use sol_volume_bot::sim::play::{PlaySettings, Player, Speed, probe};
use sol_volume_bot::sim::server::Handle;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::venue::kraken::Pair;
use sol_volume_bot::venue::kraken::session::BookDepth;
use tungstenite::Message;

use crate::desk::{Folder, Owned, owned, write};
use crate::play::{MS, NOON, PATIENCE, Socket, listen, next, ticker, venues};

const ACK: &str = r#"{"method":"subscribe","req_id":1,"result":{"channel":"book","depth":10,"snapshot":true,"symbol":"SOL\/USD"},"success":true,"time_in":"2026-01-15T12:00:00.000100Z","time_out":"2026-01-15T12:00:00.000150Z"}"#;
const SNAPSHOT: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"SOL/USD","bids":[{"price":142.36,"qty":3.00000000},{"price":142.35,"qty":0.00050000}],"asks":[{"price":142.37,"qty":12.50000000},{"price":142.38,"qty":0.07000000},{"price":142.41,"qty":250.00000000}],"checksum":437706113,"timestamp":"2026-01-15T12:00:00.001000Z"}]}"#;
const UPDATE: &str = r#"{"channel":"book","type":"update","data":[{"symbol":"SOL/USD","bids":[{"price":142.36,"qty":2.25000000}],"asks":[{"price":142.37,"qty":0.00000000},{"price":142.39,"qty":1.00000000}],"checksum":3019098155,"timestamp":"2026-01-15T12:00:00.004000Z"}]}"#;
const TRADE: &str = r#"{"channel":"trade","type":"update","data":[{"symbol":"SOL/USD","side":"buy","price":142.37,"qty":12.50000000,"ord_type":"market","trade_id":70635299,"timestamp":"2026-01-15T12:00:00.003000Z"}]}"#;

/// The book after the update, whose checksum is the venue's own of these digits.
const AS_IT_STANDS: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"SOL/USD","bids":[{"price":142.36,"qty":2.25000000},{"price":142.35,"qty":0.00050000}],"asks":[{"price":142.38,"qty":0.07000000},{"price":142.39,"qty":1.00000000},{"price":142.41,"qty":250.00000000}],"checksum":3019098155,"timestamp":"2026-01-15T12:00:00.004000Z"}]}"#;

/// Binance's market opens and closes it, and its best bid says how far the play is.
fn recording() -> Vec<Owned> {
    let heard = |n: i64, text: &str| owned(NOON + n * MS, "kraken_ws", text.as_bytes());
    vec![
        ticker(0, "120.00", "120.10"),
        heard(1, r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#),
        heard(2, ACK),
        heard(3, SNAPSHOT),
        heard(4, TRADE),
        heard(5, UPDATE),
        heard(6, r#"{"channel":"heartbeat"}"#),
        ticker(7, "121.00", "121.10"),
    ]
}

fn play(handle: &Arc<Handle>, folder: &Folder) -> Player {
    write(&folder.0, 100, &recording());
    let looked = probe(&folder.0).expect("a recording");
    assert_eq!(looked.kraken, Pair::new("SOL/USD").map(|pair| (pair, BookDepth::Ten)));
    let settings = PlaySettings { path: folder.0.clone(), speed: Speed::Max, repeat: false };
    Player::start(Arc::clone(handle), settings, &looked, Clock::start()).expect("a thread")
}

/// A connection that follows book and trades; what it was answered is read.
fn follow(handle: &Handle) -> Socket {
    let mut socket = listen(handle, "/kraken/ws");
    for channel in ["trade", "book"] {
        let text = format!(r#"{{"method":"subscribe","params":{{"channel":"{channel}","symbol":["SOL/USD"]}}}}"#);
        socket.send(Message::text(text)).expect("it reads");
        while !next(&mut socket).is_some_and(|text| text.contains(r#""success":true"#)) {}
    }
    socket
}

/// The next text of the market; a heartbeat a second goes before it.
fn market(socket: &mut Socket) -> String {
    let is_market =
        |text: &String| !text.contains(r#""channel":"heartbeat""#) && !text.contains(r#""channel":"status""#);
    let mut texts = std::iter::from_fn(|| next(socket)).take(20);
    texts.find(is_market).expect("the market within twenty texts")
}

#[test]
fn who_was_there_from_the_first_hears_every_frame_unchanged_and_in_order() {
    let (handle, folder) = (venues(), Folder::new("kraken-first"));
    let player = play(&handle, &folder);
    let mut kraken = follow(&handle);
    let _opens = listen(&handle, "/ws/solusdt@bookTicker");
    for frame in [SNAPSHOT, TRADE, UPDATE] {
        assert_eq!(market(&mut kraken), frame);
    }
    player.stop().expect("a sound recording");
}

#[test]
fn who_comes_later_begins_with_the_book_as_it_stands_and_its_checksum_holds() {
    let (handle, folder) = (venues(), Folder::new("kraken-late"));
    let player = play(&handle, &folder);
    let _opens = listen(&handle, "/ws/solusdt@bookTicker");
    assert!(handle.wait_for(PATIENCE, |_| player.has_ended()).1);
    player.stop().expect("a sound recording");
    assert_eq!(market(&mut follow(&handle)), AS_IT_STANDS, "and no old trade");
}

#[test]
fn another_depth_than_the_recorded_one_is_refused_in_the_venues_words() {
    let (handle, folder) = (venues(), Folder::new("kraken-depth"));
    let player = play(&handle, &folder);
    let mut socket = listen(&handle, "/kraken/ws");
    let text = r#"{"method":"subscribe","params":{"channel":"book","symbol":["SOL/USD"],"depth":25}}"#;
    socket.send(Message::text(text)).expect("it reads");
    assert!(market(&mut socket).contains("Subscription depth not supported"));
    player.stop().expect("a sound recording");
}
