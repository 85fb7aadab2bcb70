//! The session: what is told, once and in order, when streams come, stop, repeat, break and move between connections.

use sol_volume_bot::types::event::{Event, EventKind, StreamState};
use sol_volume_bot::types::instrument::Symbol;
use sol_volume_bot::types::time::NANOS_PER_SEC;
use sol_volume_bot::types::{StreamId, Time};
use sol_volume_bot::venue::DecodeError;
use sol_volume_bot::venue::binance_spot::candles::Interval;
use sol_volume_bot::venue::binance_spot::market::{FrameKind, MarketSession, MarketSettings, StaleAfter};

const START_S: i64 = 1_790_000_100; // a multiple of 300
const FIVE_MIN_S: i64 = 300;

/// A session, the clock, and what was told in short words.
struct Rig {
    session: MarketSession,
    now: Time,
    told: Vec<String>,
}

fn words(event: &Event) -> String {
    let stream = event.stream.name().trim_start_matches("binance_");
    match event.kind {
        EventKind::Stream(state) => format!("{stream} {}", state.name()),
        EventKind::Bbo(bbo) => format!("bbo {}/{} {}", bbo.bid, bbo.ask, bbo.update_id),
        EventKind::Depth(depth) => format!("depth {}/{} {}", depth.bid[0], depth.ask[0], depth.update_id),
        EventKind::Trade(trade) => format!("trade {}", trade.trade_id),
        EventKind::Candle(candle) => {
            format!("candle +{} {}", candle.open_time.0 / NANOS_PER_SEC - START_S, candle.close)
        }
        other => panic!("not market data: {other:?}"),
    }
}

impl Rig {
    fn new(candles_seed: u16) -> Rig {
        let second = NANOS_PER_SEC;
        let settings = MarketSettings {
            symbol: Symbol::new("SOLUSDT").expect("a symbol"),
            candle: Interval::parse("5m").expect("an interval"),
            candles_seed,
            stale_after: StaleAfter {
                bbo_ns: 2 * second,
                depth_ns: 3 * second,
                trade_ns: 10 * second,
                candle_ns: 20 * second,
            },
            depth_sample_ns: second / 4,
            first_data_ns: 5 * second,
        };
        Rig { session: MarketSession::new(settings), now: Time(START_S * second), told: Vec::new() }
    }

    fn open(candles_seed: u16) -> Rig {
        let mut rig = Rig::new(candles_seed);
        rig.session.on_open(1, rig.now);
        rig
    }

    fn frame(&mut self, conn: u32, text: &str) -> Result<FrameKind, DecodeError> {
        let told = &mut self.told;
        self.session.on_frame(conn, text.as_bytes(), self.now, &mut |event| told.push(words(&event)))
    }

    fn bbo(&mut self, conn: u32, id: u64, bid: &str) {
        let text = format!(
            r#"{{"stream":"solusdt@bookTicker","data":{{"u":{id},"s":"SOLUSDT","b":"{bid}","B":"1","a":"151","A":"1"}}}}"#
        );
        assert_eq!(self.frame(conn, &text), Ok(FrameKind::Data));
    }

    /// A diff that sets the size at 150.00 to its last update number.
    fn diff(&mut self, conn: u32, first: u64, last: u64) {
        let text = format!(
            r#"{{"stream":"solusdt@depth@100ms","data":{{"e":"depthUpdate","E":1790000000200,"s":"SOLUSDT","U":{first},"u":{last},"b":[["150.00","{last}"]],"a":[]}}}}"#
        );
        assert_eq!(self.frame(conn, &text), Ok(FrameKind::Data));
    }

    fn trade(&mut self, conn: u32, id: i64) {
        let text = format!(
            r#"{{"stream":"solusdt@trade","data":{{"e":"trade","E":1,"s":"SOLUSDT","t":{id},"p":"150","q":"1","T":1790000000122,"m":true,"M":true}}}}"#
        );
        assert_eq!(self.frame(conn, &text), Ok(FrameKind::Data));
    }

    /// A candle that opened `offset_s` after the start.
    fn candle(&mut self, conn: u32, offset_s: i64, closed: bool) {
        let from = (START_S + offset_s) * 1_000;
        let text = format!(
            r#"{{"stream":"solusdt@kline_5m","data":{{"e":"kline","E":{from},"s":"SOLUSDT","k":{{"t":{from},"T":{},"s":"SOLUSDT","i":"5m","o":"150","c":"150.5","h":"151","l":"149","v":"1","x":{closed}}}}}}}"#,
            from + 299_999
        );
        assert_eq!(self.frame(conn, &text), Ok(FrameKind::Data));
    }

    fn klines(&mut self, offsets_s: &[i64]) -> Result<(), DecodeError> {
        let row = |offset_s: &i64| {
            let from = (START_S + offset_s) * 1_000;
            format!(r#"[{from},"150","151","149","150.7","1",{},"1",1,"1","1","0"]"#, from + 299_999)
        };
        let body = format!("[{}]", offsets_s.iter().map(row).collect::<Vec<_>>().join(","));
        let told = &mut self.told;
        self.session.on_klines(body.as_bytes(), self.now, &mut |event| told.push(words(&event)))
    }

    fn snapshot(&mut self, last: u64) {
        let body = format!(r#"{{"lastUpdateId":{last},"bids":[["150.00","1"]],"asks":[["150.10","7"]]}}"#);
        let told = &mut self.told;
        let taken = self.session.on_snapshot(body.as_bytes(), self.now, &mut |event| told.push(words(&event)));
        assert_eq!(taken, Ok(()));
    }

    fn after_ms(&mut self, millis: i64) {
        self.now = self.now.plus(millis * 1_000_000);
        let told = &mut self.told;
        self.session.on_timer(self.now, &mut |event| told.push(words(&event)));
    }

    fn down(&mut self, conn: u32) {
        let told = &mut self.told;
        self.session.on_down(conn, self.now, &mut |event| told.push(words(&event)));
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn the_path_names_all_four_streams() {
    let path = "/stream?streams=solusdt@bookTicker/solusdt@depth@100ms/solusdt@trade/solusdt@kline_5m";
    assert_eq!(Rig::new(0).session.path(), path);
}

#[test]
fn only_data_brings_a_stream_up_and_a_top_is_told_only_when_it_changed() {
    let mut rig = Rig::open(0);
    assert_eq!(rig.frame(1, r#"{"result":null,"id":1}"#), Ok(FrameKind::Control));
    assert_eq!(rig.frame(1, r#"{"code":2,"msg":"x","id":1}"#), Ok(FrameKind::Refused { code: 2 }));
    assert_eq!(rig.told(), [""; 0]);
    rig.bbo(1, 5, "150");
    rig.bbo(1, 6, "150");
    rig.bbo(1, 7, "150.01");
    assert_eq!(rig.told(), ["bbo up", "bbo 150/151 5", "bbo 150.01/151 7"]);
}

#[test]
fn silence_is_told_once_and_ends_with_fresh_data_only() {
    let mut rig = Rig::open(0);
    rig.bbo(1, 5, "150");
    rig.told();
    rig.after_ms(2_000);
    assert_eq!(rig.told(), [""; 0]);
    rig.after_ms(1);
    rig.after_ms(1_000);
    assert_eq!(rig.told(), ["bbo stale"]);
    rig.bbo(1, 5, "150"); // an old copy is not fresh
    assert_eq!(rig.told(), [""; 0]);
    rig.bbo(1, 6, "150");
    assert_eq!(rig.told(), ["bbo up", "bbo 150/151 6"]);
}

#[test]
fn a_connection_that_never_delivers_is_told_stale() {
    let mut rig = Rig::open(0);
    rig.after_ms(5_000);
    assert_eq!(rig.told(), [""; 0]);
    rig.after_ms(1);
    assert_eq!(rig.told(), ["bbo stale", "depth stale", "trade stale", "candle stale"]);
    assert_eq!(rig.session.silent_ns(1, rig.now), Some(5_001_000_000));
    assert_eq!(rig.session.silent_ns(2, rig.now), None);
    assert!(!rig.session.is_delivering(1));
}

#[test]
fn depth_comes_up_with_a_whole_book_and_a_hole_is_a_gap_until_the_next_snapshot() {
    let mut rig = Rig::open(0);
    assert_eq!(rig.session.snapshot_wanted(rig.now), None);
    rig.diff(1, 11, 15);
    let path = Some("/api/v3/depth?symbol=SOLUSDT&limit=1000".to_owned());
    assert_eq!(rig.session.snapshot_wanted(rig.now), path);
    assert_eq!(rig.session.snapshot_wanted(rig.now), None);
    rig.diff(1, 16, 16);
    assert_eq!(rig.told(), [""; 0]);
    rig.snapshot(12);
    rig.diff(1, 17, 17);
    assert_eq!(rig.told(), ["depth up", "depth 16/7 16"]);
    rig.after_ms(250);
    assert_eq!(rig.told(), ["depth 17/7 17"]);
    rig.diff(1, 20, 21);
    assert_eq!(rig.told(), ["depth gap"]);
    assert!(rig.session.book().is_none());
    assert_eq!(rig.session.snapshot_wanted(rig.now), None, "a pause after the last request");
    rig.after_ms(750);
    assert_eq!(rig.session.snapshot_wanted(rig.now), path);
    rig.session.on_snapshot_failed(rig.now);
    rig.after_ms(2_000);
    assert_eq!(rig.session.snapshot_wanted(rig.now), path);
    rig.snapshot(20);
    assert_eq!(rig.told(), ["depth up", "depth 21/7 21"]);
}

#[test]
fn depth_is_sampled_at_its_interval_however_often_the_book_moves_and_a_top_of_book_never_waits() {
    let mut rig = Rig::open(0);
    rig.diff(1, 11, 15);
    rig.snapshot(15);
    rig.told();
    let mut samples = Vec::new();
    for at in 1..=20 {
        rig.diff(1, 15 + at, 15 + at);
        rig.bbo(1, 15 + at, &format!("150.{at:02}"));
        assert_eq!(rig.told().last().map(|word| word.starts_with("bbo 150.")), Some(true), "at once");
        rig.after_ms(100);
        samples.extend(rig.told().into_iter().map(|word| (at * 100, word)));
    }
    let at_ms: Vec<u64> = samples.iter().map(|(at_ms, _)| *at_ms).collect();
    assert_eq!(at_ms, [300, 500, 800, 1_000, 1_300, 1_500, 1_800, 2_000]);
    assert_eq!((samples[0].1.as_str(), samples[7].1.as_str()), ("depth 18/7 18", "depth 35/7 35"));
    rig.after_ms(2_800);
    rig.told();
    rig.after_ms(200);
    rig.after_ms(5_000);
    assert_eq!(rig.told().iter().filter(|word| word.starts_with("depth")).collect::<Vec<_>>(), ["depth stale"]);
}

#[test]
fn two_connections_at_once_tell_nothing_twice_and_lose_nothing() {
    let mut rig = Rig::open(0);
    rig.diff(1, 11, 15);
    rig.snapshot(15);
    rig.session.on_open(2, rig.now);
    rig.told();
    for conn in [1, 2] {
        rig.bbo(conn, 30, "150");
        rig.trade(conn, 8);
        rig.diff(conn, 16, 20);
        rig.candle(conn, 0, true);
    }
    rig.bbo(1, 29, "149");
    assert!(rig.session.is_delivering(2));
    let once = ["bbo up", "bbo 150/151 30", "trade up", "trade 8", "candle up", "candle +0 150.5"];
    assert_eq!(rig.told(), once);
    rig.after_ms(250);
    assert_eq!(rig.told(), ["depth 20/7 20"]);
    rig.down(1);
    rig.trade(2, 9);
    rig.diff(2, 21, 22);
    rig.candle(2, FIVE_MIN_S, true);
    rig.after_ms(250);
    assert_eq!(rig.told(), ["trade 9", "candle +300 150.5", "depth 22/7 22"]);
    assert_eq!(rig.frame(1, r#"{"u":99,"s":"SOLUSDT","b":"1","B":"1","a":"2","A":"1"}"#), Ok(FrameKind::Control));
    assert_eq!(rig.told(), [""; 0], "a connection that is gone has no say");
}

#[test]
fn the_last_connection_takes_everything_down_and_a_venue_that_restarted_may_count_from_one() {
    let mut rig = Rig::open(0);
    rig.bbo(1, 1_000, "150");
    rig.diff(1, 1_000, 1_000);
    rig.snapshot(1_000);
    rig.trade(1, 1_000);
    rig.told();
    rig.down(1);
    assert_eq!(rig.told(), ["bbo down", "depth down", "trade down"]);
    assert!(rig.session.book().is_none());
    rig.session.on_open(2, rig.now);
    rig.bbo(2, 1, "150");
    rig.trade(2, 1);
    assert_eq!(rig.told(), ["bbo up", "bbo 150/151 1", "trade up", "trade 1"]);
}

#[test]
fn a_hole_in_trade_numbers_on_one_connection_is_a_gap() {
    let mut rig = Rig::open(0);
    rig.trade(1, 5);
    rig.trade(1, 6);
    rig.trade(1, 9);
    assert_eq!(rig.told(), ["trade up", "trade 5", "trade 6", "trade gap", "trade up", "trade 9"]);
    rig.session.on_open(2, rig.now);
    rig.trade(2, 12);
    assert_eq!(rig.told(), ["trade 12"], "a new connection may run ahead of the old one");
}

#[test]
fn the_first_candles_come_from_rest_and_the_stream_goes_on_where_they_end() {
    let mut rig = Rig::open(3);
    let path = Some("/api/v3/klines?symbol=SOLUSDT&interval=5m&limit=4".to_owned());
    assert_eq!(rig.session.klines_wanted(rig.now), path);
    assert_eq!(rig.session.klines_wanted(rig.now), None);
    rig.candle(1, 900, false);
    assert_eq!(rig.told(), [""; 0], "not up before the candles before it are known");
    assert_eq!(rig.klines(&[0, 300, 600, 900]), Ok(()));
    assert_eq!(rig.told(), ["candle +0 150.7", "candle +300 150.7", "candle +600 150.7", "candle up"]);
    rig.candle(1, 900, true);
    rig.candle(1, 900, true);
    assert_eq!(rig.told(), ["candle +900 150.5"]);
}

#[test]
fn a_missed_candle_is_fetched_and_told_in_its_place() {
    let mut rig = Rig::open(0);
    rig.candle(1, 0, true);
    rig.down(1);
    rig.session.on_open(2, rig.now);
    rig.told();
    rig.candle(2, 900, false);
    assert_eq!(rig.told(), [""; 0]);
    let from_ms = (START_S + 300) * 1_000;
    let path = format!("/api/v3/klines?symbol=SOLUSDT&interval=5m&startTime={from_ms}&limit=1000");
    assert_eq!(rig.session.klines_wanted(rig.now), Some(path.clone()));
    assert_eq!(rig.klines(&[300]), Ok(())); // REST lags behind the stream
    assert_eq!(rig.told(), ["candle +300 150.7"]);
    rig.after_ms(1_000);
    assert_eq!(
        rig.session.klines_wanted(rig.now),
        Some(path.replace(&from_ms.to_string(), &(from_ms + 300_000).to_string()))
    );
    assert_eq!(rig.klines(&[300, 600, 900]), Ok(()));
    assert_eq!(rig.told(), ["candle +600 150.7", "candle up"]);
}

#[test]
fn a_candle_lost_while_connected_is_a_gap_until_rest_brought_it() {
    let mut rig = Rig::open(0);
    rig.candle(1, 0, true);
    rig.told();
    rig.candle(1, 600, true);
    assert_eq!(rig.told(), ["candle gap"]);
    assert!(rig.session.klines_wanted(rig.now).is_some());
    rig.session.on_klines_failed(rig.now);
    assert_eq!(rig.session.klines_wanted(rig.now), None);
    assert_eq!(rig.klines(&[300, 600, 900]), Ok(()));
    assert_eq!(rig.told(), ["candle +300 150.7", "candle +600 150.7", "candle up"]);
}

#[test]
fn the_open_candle_of_a_rest_reply_is_never_taken_for_closed() {
    let mut rig = Rig::open(2);
    assert_eq!(rig.klines(&[0, 300, 600]), Ok(()));
    assert_eq!(rig.told(), ["candle +0 150.7", "candle +300 150.7"], "nothing proves that the last one closed");
    rig.candle(1, 900, false); // this proves it
    rig.told();
    assert!(rig.session.klines_wanted(rig.now).is_none(), "a pause after the last reply");
    assert_eq!(rig.klines(&[600]), Ok(()));
    assert_eq!(rig.told(), ["candle +600 150.7", "candle up"]);
}

#[test]
fn a_frame_that_cannot_be_decoded_is_told_to_the_agent_and_changes_nothing() {
    let mut rig = Rig::open(0);
    rig.bbo(1, 5, "150");
    rig.told();
    let crossed = r#"{"stream":"solusdt@bookTicker","data":{"u":6,"s":"SOLUSDT","b":"152","B":"1","a":"151","A":"1"}}"#;
    assert_eq!(rig.frame(1, crossed), Err(DecodeError::Contradiction { name: "b" }));
    assert_eq!(rig.frame(1, r#"{"stream":"solusdt@bookTicker","da"#), Err(DecodeError::Truncated { at: 34 }));
    let shutdown = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1790000000000}}"#;
    assert_eq!(rig.frame(1, shutdown), Ok(FrameKind::Shutdown));
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.session.state(StreamId::BinanceBbo), Some(StreamState::Up));
}
