//! Frames of every kind that the venue sends, and its REST body.

use super::desk::{HEARTBEAT, ONLINE, SNAPSHOT, UPDATE};

pub const REFUSED: &str = r#"{"error":"Subscription depth not supported","method":"subscribe","req_id":1,"success":false,"time_in":"2026-11-22T10:00:00.000100Z","time_out":"2026-11-22T10:00:00.000150Z"}"#;
pub const ACK: &str = r#"{"method":"subscribe","req_id":1,"result":{"channel":"book","depth":10,"snapshot":true,"symbol":"SOL\/USD","warnings":["x"]},"success":true,"time_in":"2026-11-22T10:00:00.000100Z","time_out":"2026-11-22T10:00:00.000150Z"}"#;
pub const PONG: &str = r#"{"method":"pong","req_id":101,"time_in":"2026-11-22T10:00:00.000100Z","time_out":"2026-11-22T10:00:00.000150Z"}"#;
pub const TICKER: &str = r#"{"channel":"ticker","type":"snapshot","data":[{"symbol":"SOL/USD","bid":65972.8,"bid_qty":0.10000000,"ask":65972.9,"ask_qty":39.67506683,"last":65972.9,"volume":4216.61829370,"vwap":64275.2,"low":61325.4,"high":66450.0,"change":-4412.1,"change_pct":-7.17}]}"#;
pub const TRADE: &str = r#"{"channel":"trade","type":"update","data":[{"symbol":"SOL/USD","side":"buy","price":161.00,"qty":0.01044926,"ord_type":"limit","trade_id":70635299,"timestamp":"2024-05-27T12:43:11.798009Z"},{"symbol":"SOL/USD","side":"sell","price":161.00,"qty":0.00483192,"ord_type":"market","trade_id":70635300,"timestamp":"2024-05-27T12:43:11.798009Z"}]}"#;
pub const OTHER: &str = r#"{"channel":"ohlc","type":"snapshot","timestamp":"2024-05-17T11:21:16.318303322Z","data":[{"symbol":"ETH/USD","open":3027.80,"interval":1}]}"#;
pub const FRAMES: [&str; 10] = [SNAPSHOT, UPDATE, HEARTBEAT, ONLINE, REFUSED, ACK, PONG, TICKER, TRADE, OTHER];
pub const DEPTH: &str = r#"{"error":[],"result":{"SOLUSD":{"asks":[["142.37000","12.500",1795341600],["142.38000","1.000",1795341600]],"bids":[["142.36000","3.000",1795341600]]}}}"#;
