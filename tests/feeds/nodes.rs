//! Several nodes that tell slots: one that lags is named, and the death of the first is survived.

use std::net::SocketAddr;

use sol_volume_bot::sim::scenario::Scenario;
use sol_volume_bot::sim::server::{Server, ServerSettings};
use sol_volume_bot::sys::clock::Clock;

use crate::rig::Rig;

const SECOND: &str = r#"
seed = 19
step_ms = 1000
path = [{ at = "0s", mid = "162.50" }]
[balances]
[solana]
slot_ms = 50
"#;

#[test]
fn a_lagging_node_is_named_and_slots_go_on_from_it_when_the_first_one_dies() {
    let scenario = Scenario::parse("second", SECOND).expect("a good scenario");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Server::start(ServerSettings { listen, scenario, tls: None, clock: Clock::start() });
    let first = first.expect("a free port");
    let mut overrides = "endpoints.solana_ws_more = ['{ws}/solana?lag=40']\n".to_owned();
    overrides += &format!("endpoints.solana_ws = '{}'\n", first.ws_url("/solana"));
    let mut rig = Rig::open(&overrides, |_| {});
    rig.start();
    rig.until("the laggard is named", |rig| rig.story().contains("slot endpoint 1"));
    first.stop();
    let slot = rig.status()["slot"].as_u64().expect("a slot");
    rig.until("slots go on", |rig| rig.status()["slot"].as_u64().is_some_and(|now| now > slot + 40));
    rig.until("ready", |rig| rig.http("/readyz").0 == 200);
    rig.finish();
}
