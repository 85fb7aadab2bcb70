//! What goes out over the bus is what the ledger keeps, name for name and digit for digit.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use crate::nats::{FALLEN, Nats, Peer, house, until, volume};
use crate::rig::{House, cents};

/// A table, one object a row.
fn table(house: &House, sql: &str) -> Vec<Map<String, Value>> {
    let db = rusqlite::Connection::open(house.data().join("engine.db")).expect("opens");
    let mut query = db.prepare(sql).expect(sql);
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let mut rows = query.query([]).expect(sql);
    let mut found = Vec::new();
    while let Some(row) = rows.next().expect(sql) {
        let value = |at: usize| match row.get_ref(at).expect("a column") {
            ValueRef::Integer(number) => json!(number),
            ValueRef::Text(text) => json!(std::str::from_utf8(text).expect("UTF-8")),
            ValueRef::Null => Value::Null,
            other => panic!("{other:?}"),
        };
        found.push(names.iter().enumerate().map(|(at, name)| (name.clone(), value(at))).collect());
    }
    found
}

/// The same columns of a message.
fn like(message: &Value, row: &Map<String, Value>) -> Map<String, Value> {
    row.keys().map(|name| (name.clone(), message.get(name).unwrap_or(&json!("absent")).clone())).collect()
}

#[test]
fn orders_fills_and_signals_on_the_bus_are_those_of_the_ledger() {
    let Some(server) = Nats::start(&[]) else { return };
    let mut house = house("bus-facts", &server);
    house.set("feeds", "nats_subject", "\"desk-1.sol\"");
    let heard = Peer::connect(&server).subscribe("desk-1.sol.*");
    let (mut bot, _) = house.open();
    let epoch = bot.log.iter().find(|line| line["event"] == "START").expect("a START")["epoch"].clone();
    server.wait_for_subscriber("desk-1.sol.feed.*");
    Peer::connect(&server).publish("desk-1.sol.feed.defillama", volume(FALLEN.0, FALLEN.1).as_bytes());
    house.enters_wholly(&mut bot);
    house.venue.set_mid(cents(16_460)); // above + 2 %
    bot.next("FILL", |line| line["side"] == "sell");
    house.venue.set_mid(cents(15_450)); // the stop
    bot.line("TRADE_CLOSED");
    let ended = bot.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let orders = table(
        &house,
        "SELECT client_order_id, venue_order_id, list_id, venue, symbol, side, type, tif, price, stop_price, qty, \
         cum_qty, avg_px, status, purpose, tranche, trade_id, reason, created_ns, acked_ns, done_ns, code FROM orders",
    );
    let fills = table(&house, "SELECT * FROM fills ORDER BY venue_ns, trade_id");
    let signals = table(&house, "SELECT ts_ns, decision FROM signals ORDER BY rowid");
    assert!(orders.len() > 5 && fills.len() > 4 && signals.len() > 1, "{orders:?}\n{fills:?}\n{signals:?}");

    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    until("the last messages", || {
        for (subject, message) in heard.try_iter() {
            told.entry(subject).or_default().push(message);
        }
        (told.get("desk-1.sol.fill").map_or(0, Vec::len) >= fills.len()).then_some(())
    });
    let all = |topic: &str| told.get(&format!("desk-1.sol.{topic}")).cloned().unwrap_or_default();
    let mut told_fills: Vec<_> = all("fill").iter().map(|message| like(message, &fills[0])).collect();
    told_fills.sort_by_key(|fill| (fill["venue_ns"].as_i64(), fill["trade_id"].as_i64()));
    assert_eq!(told_fills, fills);
    assert_eq!(all("signal").iter().map(|message| like(message, &signals[0])).collect::<Vec<_>>(), signals);
    assert!(all("signal").iter().all(|signal| signal["rules"]["volume_drop"]["threshold"] == "> 0.3"));

    let told_orders = all("order");
    for row in &orders {
        let last = told_orders.iter().rfind(|message| message["client_order_id"] == row["client_order_id"]);
        let last = last.unwrap_or_else(|| panic!("nothing was told of {row:?}"));
        assert_eq!(&like(last, row), row);
        assert_eq!((&last["epoch"], last["ts"].is_string()), (&epoch, true));
    }
    let of_ledger = |message: &Value| orders.iter().any(|row| row["client_order_id"] == message["client_order_id"]);
    assert!(told_orders.iter().all(of_ledger), "an order that the ledger does not have");
    let status = all("status");
    assert!(status.iter().all(|status| status["mode"] == "live" && status["symbol"] == "SOLUSDT"));
    assert!(status.iter().any(|status| status["position"] != "0"), "told while it held something");
}
