//! Stream frames of every kind, and the two REST bodies that a stream needs beside it.

pub const FRAMES: [&str; 9] = [
    r#"{"stream":"solusdt@bookTicker","data":{"u":400000017,"s":"SOLUSDT","b":"150.24000000","B":"31.21000000","a":"150.25000000","A":"40.66000000"}}"#,
    r#"{"u":400000017,"s":"SOLUSDT","b":"150.24","B":"31.210","a":"150.25","A":"40.660"}"#,
    r#"{"stream":"solusdt@depth@100ms","data":{"e":"depthUpdate","E":1790000000200,"s":"SOLUSDT","U":157,"u":160,"b":[["150.24","10.000"],["150.23","0.000"]],"a":[["150.26","0.000"]]}}"#,
    r#"{"e":"trade","E":1790000000123,"s":"SOLUSDT","t":900001,"p":"150.25","q":"1.500","T":1790000000122,"m":true,"M":true}"#,
    r#"{"e":"kline","E":1790000000500,"s":"SOLUSDT","k":{"t":1789999800000,"T":1790000099999,"s":"SOLUSDT","i":"5m","f":1,"L":2,"o":"150.00","c":"150.25","h":"150.30","l":"149.90","v":"12.5","n":2,"x":false,"q":"1","V":"1","Q":"1","B":"0"}}"#,
    r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1790000000000}}"#,
    r#"{"event":{"e":"serverShutdown","E":1790000000000}}"#,
    r#"{"result":null,"id":1}"#,
    r#"{"code":2,"msg":"Invalid request: unknown \"method\"","id":"a"}"#,
];
pub const SNAPSHOT: &str =
    r#"{"lastUpdateId":1027024,"bids":[["150.24","10.000"],["150.23","1"]],"asks":[["150.25","8.000"]]}"#;
pub const KLINES: &str =
    r#"[[1725382800000,"130.0","130.4","129.8","130.3","1000.5",1725383099999,"1",7,"1","1","0"]]"#;
