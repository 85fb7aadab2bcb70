//! What a node says of the two programs' logs.

use super::desk::{AMM, CURVE, SOL, START_S, amm_event, called, curve_event, data, frame};
use serde_json::Value;
use sol_volume_bot::venue::pumpchain::{Program, USDC};

/// A trade of each program, the second line of one with escapes; an acknowledgement.
pub fn texts() -> [String; 3] {
    let curve = called(CURVE, &[data(&curve_event(START_S, SOL, &USDC, 7)), "Program log: \"a\"\n".to_owned()]);
    let amm = called(AMM, &[data(&amm_event(START_S, SOL, &[1; 32]))]);
    [
        frame(Program::Curve, "5h6x", Value::Null, &curve),
        frame(Program::Amm, "5h6y", Value::Null, &amm),
        r#"{"jsonrpc":"2.0","result":24040,"id":1}"#.to_owned(),
    ]
}
