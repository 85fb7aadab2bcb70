//! A recording as the market of the built-in venues, in this process.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sol_volume_bot::sim::play::{PlaySettings, Player, Speed, probe};
use sol_volume_bot::sim::scenario::Scenario;
use sol_volume_bot::sim::server::{Handle, Server, ServerSettings, Snapshot};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::types::Price;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::desk::{Folder, Owned, owned, write};

pub const NOON: i64 = 1_768_478_400_000_000_000;
pub const MS: i64 = 1_000_000;
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn ticker(n: i64, bid: &str, ask: &str) -> Owned {
    let text = format!(
        r#"{{"stream":"solusdt@bookTicker","data":{{"u":{n},"s":"SOLUSDT","b":"{bid}","B":"5.000","a":"{ask}","A":"7.000"}}}}"#
    );
    owned(NOON + n * MS, "binance_stream", text.as_bytes())
}

fn diff(n: i64, first: u64, last: u64, bid: &str) -> Owned {
    let text = format!(
        r#"{{"stream":"solusdt@depth@100ms","data":{{"e":"depthUpdate","E":1768478400000,"s":"SOLUSDT","U":{first},"u":{last},"b":[["{bid}","{last}.00000000"]],"a":[]}}}}"#
    );
    owned(NOON + n * MS, "binance_stream", text.as_bytes())
}

fn slot(n: i64, slot: u64) -> Owned {
    let text = format!(
        r#"{{"jsonrpc":"2.0","method":"slotNotification","params":{{"result":{{"parent":1,"root":1,"slot":{slot}}},"subscription":99}}}}"#
    );
    owned(NOON + n * MS, "solana_ws", text.as_bytes())
}

/// Far from where the scenario's own market is.
fn recording() -> Vec<Owned> {
    vec![
        diff(0, 100, 101, "119.90"),
        ticker(1, "120.00", "120.10"),
        owned(
            NOON + 2 * MS,
            "binance_rest:/api/v3/depth",
            br#"{"lastUpdateId":101,"bids":[["120.00","5"],["119.90","1"]],"asks":[["120.10","7"]]}"#,
        ),
        slot(3, 400_000_001),
        diff(4, 102, 105, "119.80"),
        owned(NOON + 5 * MS, "pumpfun", br#"{"volume24h":1}"#),
        ticker(6, "121.00", "121.10"),
        slot(7, 400_000_002),
        owned(NOON + 8 * MS, "pumpfun", br#"{"volume24h":2}"#),
    ]
}

pub fn venues() -> Arc<Handle> {
    let scenario = Scenario::parse("steered", include_str!("../../config/scenarios/steered.toml")).expect("good");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServerSettings { listen, scenario, tls: None, clock: Clock::start() };
    Arc::new(Server::start(settings).expect("a free port"))
}

pub type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

pub fn listen(handle: &Handle, path: &str) -> Socket {
    let (socket, _) = tungstenite::connect(handle.ws_url(path)).expect("it listens");
    let MaybeTlsStream::Plain(stream) = socket.get_ref() else { panic!("plain text here") };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is accepted");
    socket
}

/// The next text; `None` once the other side has gone.
pub fn next(socket: &mut Socket) -> Option<String> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return Some(text.to_string()),
            Err(tungstenite::Error::Io(why)) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came, and nobody hung up")
            }
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn get(handle: &Handle, path: &str) -> Value {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
    let mut answer = agent.get(handle.http_url(path)).call().expect("an answer");
    serde_json::from_str(&answer.body_mut().read_to_string().expect("a body")).expect("JSON")
}

fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price")
}

#[test]
fn the_venues_say_what_was_recorded_and_their_own_market_stands_where_it_stood() {
    let folder = Folder::new("play");
    write(&folder.0, 100, &recording());
    let looked = probe(&folder.0).expect("a recording");
    assert_eq!(
        (looked.symbol.map(|symbol| symbol.to_string()), looked.slot),
        (Some("SOLUSDT".to_owned()), Some(400_000_001))
    );
    let handle = venues();
    let settings = PlaySettings { path: folder.0.clone(), speed: Speed::Times(1.0), repeat: false };
    let player = Player::start(Arc::clone(&handle), settings, &looked, Clock::start()).expect("a thread");
    assert_eq!(get(&handle, "/pump/volume")["volume24h"], 1, "a body is there before its record comes");

    let mut slots = listen(&handle, "/solana");
    slots.send(Message::text(r#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#)).expect("it reads");
    assert!(next(&mut slots).is_some_and(|text| text.contains("\"result\"")));
    assert!(!player.has_ended(), "it waits for somebody to hear the market");
    let mut market = listen(&handle, "/stream?streams=solusdt@bookTicker/solusdt@depth@100ms");
    let wanted: Vec<String> = recording()
        .into_iter()
        .filter(|record| record.source == "binance_stream")
        .map(|record| String::from_utf8(record.bytes).expect("text"))
        .collect();
    for frame in &wanted {
        assert_eq!(next(&mut market).as_ref(), Some(frame), "every frame, unchanged and in order");
    }
    for number in [400_000_001_u64, 400_000_002] {
        let text = next(&mut slots).expect("a slot");
        assert!(text.contains(&format!("\"slot\":{number}")) && text.contains("\"subscription\":1"), "{text}");
    }
    let stands = |now: &Snapshot| now.bid == price("121.00") && now.ask == price("121.10");
    let (seen, holds) = handle.wait_for(PATIENCE, stands);
    assert!(holds, "orders fill on the recorded top of book: {} {}", seen.bid, seen.ask);
    assert!(handle.wait_for(PATIENCE, |_| player.has_ended()).1, "it ends with the recording");
    let played = player.stop().expect("a sound recording");
    assert_eq!((played.records, played.rounds), (9, 1));

    let depth = get(&handle, "/api/v3/depth?symbol=SOLUSDT&limit=5000");
    assert_eq!(depth["lastUpdateId"], 105, "the recorded snapshot, brought forward by the recorded diffs");
    let bids: BTreeSet<&str> =
        depth["bids"].as_array().expect("bids").iter().filter_map(|bid| bid[0].as_str()).collect();
    assert_eq!(bids, BTreeSet::from(["119.8", "119.9", "120"]));
    assert_eq!(get(&handle, "/pump/volume")["volume24h"], 2, "the newest body");
    assert!(get(&handle, "/api/v3/time")["serverTime"].is_i64(), "what was not recorded is the venue's own");
}

#[test]
fn a_recording_that_begins_again_begins_on_a_new_connection() {
    let folder = Folder::new("loop");
    write(&folder.0, 100, &recording());
    let handle = venues();
    let looked = probe(&folder.0).expect("a recording");
    let settings = PlaySettings { path: folder.0.clone(), speed: Speed::Times(0.1), repeat: true };
    let player = Player::start(Arc::clone(&handle), settings, &looked, Clock::start()).expect("a thread");
    for _ in 0..2 {
        let mut market = listen(&handle, "/ws/solusdt@bookTicker");
        let mut heard = Vec::new();
        while let Some(text) = next(&mut market) {
            heard.push(text);
            assert!(heard.len() < 10, "two a round: the connection outlived its round");
        }
        assert!(heard.last().is_some_and(|text| text.contains("121.00")), "{heard:?}");
    }
    assert!(player.stop().expect("a sound recording").rounds >= 2);
}

#[test]
fn a_damaged_recording_ends_the_play_with_its_place() {
    let folder = Folder::new("broken");
    write(&folder.0, 100, &recording());
    let file = folder.recordings().remove(0);
    let looked = probe(&folder.0).expect("a recording");
    let mut bytes = std::fs::read(&file).expect("it is there");
    let at = bytes.len() - 6; // the last part's own checksum
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).expect("writable");
    let handle = venues();
    let settings = PlaySettings { path: file, speed: Speed::Max, repeat: false };
    let player = Player::start(Arc::clone(&handle), settings, &looked, Clock::start()).expect("a thread");
    let _market = listen(&handle, "/ws/solusdt@bookTicker");
    handle.wait_for(PATIENCE, |_| player.has_ended());
    let error = player.stop().expect_err("damage").to_string();
    assert!(error.contains("damaged in the part that begins at byte"), "{error}");
}
