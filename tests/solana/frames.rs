//! Notifications and answers as nodes write them.

pub const ACCOUNT: &[u8] = br#"{"jsonrpc":"2.0","method":"accountNotification","params":{"result":{"context":{"slot":405112233},"value":{"lamports":33594,"data":["AQID","base64"],"owner":"11111111111111111111111111111111","executable":false,"rentEpoch":18446744073709551615,"space":3}},"subscription":23784}}"#;
pub const LOGS: &[u8] = br#"{"jsonrpc":"2.0","method":"logsNotification","params":{"result":{"context":{"slot":5208469},"value":{"signature":"5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv","err":{"InstructionError":[2,{"Custom":6001}]},"logs":["Program 11111111111111111111111111111111 invoke [1]","say \"hi\"","Log truncated"]}},"subscription":24040}}"#;
/// Why a node that is 42 slots behind answers nothing else.
pub const BEHIND: &[u8] = br#"{"jsonrpc":"2.0","error":{"code":-32005,"message":"Node is behind by 42 slots","data":{"numSlotsBehind":42}},"id":1}"#;
/// Of `getRecentPerformanceSamples`.
pub const SAMPLES: &str = r#"{"id":1,"result":[{"numSlots":171,"numTransactions":1,"numNonVoteTransactions":0,"samplePeriodSecs":60,"slot":348125},{"numSlots":280,"samplePeriodSecs":60,"slot":347984}]}"#;
/// Of `getMultipleAccounts`: one account, none, one that is not in base64.
pub const ACCOUNTS: &[u8] = br#"{"jsonrpc":"2.0","result":{"value":[{"data":["AQI=","base64"],"lamports":18446744073709551615,"owner":"o","rentEpoch":18446744073709551615},null,{"data":{"parsed":{}},"lamports":1,"owner":"p"}],"context":{"slot":77}},"id":1}"#;
