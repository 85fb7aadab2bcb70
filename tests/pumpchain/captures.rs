//! Real logs nobody here wrote. Without the shared folder these tests say so and pass.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::desk::{CURVE, Rig, frame};
use serde_json::Value;
use sol_volume_bot::types::Qty;
use sol_volume_bot::venue::pumpchain::logs::{Walk, Walker};
use sol_volume_bot::venue::pumpchain::trade_event::{EventBuf, Quote, Trade};
use sol_volume_bot::venue::pumpchain::{Program, Venues, base58::KeyText};

fn log_of_creation() -> Option<(Vec<String>, Value)> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    let path = shared.join("captures/solana_rpc/pumpfun_getTransaction_create.json.gz");
    if !shared.join("captures").exists() {
        println!("SKIPPED: no shared folder at {}", shared.display());
        return None;
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path).expect("the capture")).read_to_string(&mut text).expect("unpacks");
    let reply: Value = serde_json::from_str(&text).expect("JSON");
    let lines = reply["result"]["meta"]["logMessages"].as_array().expect("a log");
    Some((lines.iter().map(|line| line.as_str().expect("text").to_owned()).collect(), reply["result"].clone()))
}

#[test]
fn the_log_of_a_coins_creation_walks_whole_and_holds_its_creators_first_buy() {
    let Some((lines, reply)) = log_of_creation() else { return };
    let text = serde_json::to_vec(&lines).expect("JSON");
    let mut told = Vec::new();
    let walk = Walker::new().walk(&text, 0, CURVE.as_bytes(), &mut |line| told.push(line.to_vec()));
    assert_eq!(walk, Ok(Walk { data_lines: 2, truncated: false, distrusted: false }));
    let mut buf = EventBuf::default();
    assert_eq!(buf.trade(Program::Curve, &told[0]), Ok(None), "the creation itself");
    let Ok(Some(Trade::Curve(buy))) = buf.trade(Program::Curve, &told[1]) else { panic!("no trade") };
    assert_eq!((buy.is_buy, buy.quote, buy.amount), (true, Quote::Sol, 1_100_000_000));
    assert_eq!(Some(buy.at_s), reply["blockTime"].as_i64());
    let mint = KeyText::of(&buy.mint).to_string();
    assert_eq!(Some(mint.as_str()), reply["meta"]["postTokenBalances"][0]["mint"].as_str());
    let mut nobody = 0;
    let walk = Walker::new().walk(&text, 0, Program::Amm.text().as_bytes(), &mut |_| nobody += 1);
    assert_eq!((walk.map(|walk| walk.data_lines), nobody), (Ok(0), 0));
}

#[test]
fn the_same_log_as_a_notification_counts_1_1_sol_at_its_time() {
    let Some((lines, reply)) = log_of_creation() else { return };
    let mut rig = Rig::new(Venues::Curve);
    rig.now = super::desk::at(reply["blockTime"].as_i64().expect("a time") + 1);
    rig.session.on_mid(super::desk::price("150"), rig.now);
    rig.connect(1);
    let signature = reply["transaction"]["signatures"][0].as_str().expect("a signature");
    rig.feed(&frame(Program::Curve, signature, Value::Null, &lines));
    let start = rig.now.0 / super::desk::SECOND / 300 * 300;
    let bucket = rig.session.buckets().get(super::desk::at(start)).expect("counted");
    assert_eq!((bucket.sol, bucket.trades, bucket.lost), (Qty(1_100_000_000), 1, 0));
    assert_eq!(bucket.usd_e17, 165_i128 * 10_i128.pow(17));
}
