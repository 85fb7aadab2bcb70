//! What request texts say.

use super::alloc_count;
use super::desk::*;
use serde_json::json;
use sol_volume_bot::types::command::{CancelOrder, QueryOrder};
use sol_volume_bot::types::*;

#[test]
fn every_request_carries_the_signature_of_its_own_sorted_parameters() {
    let mut desk = Desk::ready(hmac());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    for command in every_command() {
        let request = desk.send(command);
        let tag = ring::hmac::sign(&key, payload(&request).as_bytes());
        let expected: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(request["params"]["signature"], expected, "{request}");
        assert_eq!(request["params"]["apiKey"], "TESTKEY");
    }
}

#[test]
fn a_session_that_is_logged_on_sends_neither_key_nor_signature_but_the_time() {
    let mut desk = Desk::ready(ed25519());
    for command in every_command() {
        let request = desk.send(command);
        assert!(request["params"].get("apiKey").is_none() && request["params"].get("signature").is_none(), "{request}");
        assert_eq!(request["params"]["timestamp"], desk.now / MS);
    }
}

#[test]
fn a_limit_order_says_exactly_what_was_meant() {
    let mut desk = Desk::ready(ed25519());
    let request = desk.send(Command::Place(buy("1.5")));
    assert_eq!(request["method"], "order.place");
    assert_eq!(
        request["params"],
        json!({"newClientOrderId": entry().to_string(), "newOrderRespType": "ACK", "price": "150.20", "quantity": "1.500",
            "recvWindow": 1000, "side": "BUY", "symbol": "SOLUSDT", "timeInForce": "IOC", "timestamp": desk.now / MS,
            "type": "LIMIT"})
    );
}

#[test]
fn an_oco_says_exactly_what_was_meant_with_and_without_a_limit_on_its_stop() {
    let mut desk = Desk::ready(ed25519());
    let limited = desk.send(Command::PlaceOco(oco()));
    assert_eq!(limited["method"], "orderList.place.oco");
    assert_eq!(
        limited["params"],
        json!({"aboveClientOrderId": tp().to_string(), "abovePrice": "153.00", "aboveType": "LIMIT_MAKER",
            "belowClientOrderId": stop().to_string(), "belowPrice": "147.60", "belowStopPrice": "148.00",
            "belowTimeInForce": "GTC", "belowType": "STOP_LOSS_LIMIT", "listClientOrderId": list().to_string(),
            "newOrderRespType": "ACK", "quantity": "1.498", "recvWindow": 1000, "side": "SELL", "symbol": "SOLUSDT",
            "timestamp": desk.now / MS})
    );
    let Command::PlaceOco(other) = every_command()[5] else { panic!("the sixth command is an OCO") };
    let market = desk.send(Command::PlaceOco(other));
    assert_eq!(market["params"]["belowType"], "STOP_LOSS");
    assert!(market["params"].get("belowPrice").is_none() && market["params"].get("belowTimeInForce").is_none());
}

#[test]
fn market_and_post_only_orders_leave_out_what_the_venue_forbids() {
    let mut desk = Desk::ready(ed25519());
    let market = desk.send(Command::Place(flatten()));
    assert!(market["params"].get("price").is_none() && market["params"].get("timeInForce").is_none());
    let Command::Place(maker) = every_command()[2] else { panic!("the third command is a post-only order") };
    let maker = desk.send(Command::Place(maker));
    assert!(maker["params"].get("timeInForce").is_none() && maker["params"]["price"] == "150.20");
}

#[test]
fn a_cancel_uses_the_venues_number_once_an_ack_told_it() {
    let mut desk = Desk::ready(ed25519());
    let unknown = CancelOrder { target: entry(), venue_order_id: VenueOrderId(0) };
    let request = desk.send(Command::Place(buy("1.5")));
    assert_eq!(desk.send(Command::Cancel(unknown))["params"]["origClientOrderId"], entry().to_string());
    desk.answer(&request, ack(entry(), 12_000_001));
    let named = desk.send(Command::Cancel(unknown));
    assert_eq!(named["params"]["orderId"], 12_000_001);
    assert!(named["params"].get("origClientOrderId").is_none());
    let query = desk.send(Command::Query(QueryOrder { target: entry(), venue_order_id: VenueOrderId(0) }));
    assert_eq!((&query["method"], &query["params"]["orderId"]), (&json!("order.status"), &json!(12_000_001)));
    let mut desk = with_oco();
    assert_eq!(desk.send(cancel_list())["params"]["orderListId"], 77);
}

#[test]
fn a_cancel_replace_never_opens_a_second_position_when_the_cancel_failed() {
    let mut desk = Desk::ready(ed25519());
    let request = desk.send(every_command().remove(9));
    assert_eq!(request["method"], "order.cancelReplace");
    assert_eq!(request["params"]["cancelReplaceMode"], "STOP_ON_FAILURE");
    assert_eq!(request["params"]["cancelRestrictions"], "ONLY_NEW", "a stop that began to fill is not replaced");
    assert_eq!(request["params"]["cancelOrderId"], 12_000_001);
    assert_eq!(request["params"]["type"], "MARKET");
}

#[test]
fn encoding_an_order_and_reading_its_reports_allocate_nothing() {
    let mut desk = Desk::ready(hmac());
    let mut buf = Vec::with_capacity(1_024);
    let frames =
        [execution(json!({})), fill(900_001, "0.5", "0.5", "PARTIALLY_FILLED"), fill(900_002, "1", "1.5", "FILLED")]
            .map(|event| json!({"subscriptionId": 0, "event": event}).to_string());
    let mut told = 0_u32;
    let allocations = alloc_count::during(|| {
        let now = Time(desk.now);
        desk.session.encode(&Command::Place(buy("1.5")), now, &mut buf, &mut |_| told += 100).unwrap();
        for frame in &frames {
            desk.session.on_frame(frame.as_bytes(), now, &mut |_| told += 1, &mut |_| {}, &mut |_| {}).unwrap();
        }
        desk.session.encode(&cancel_list(), now, &mut buf, &mut |_| told += 100).unwrap();
        desk.session.encode(&Command::PlaceOco(oco()), now, &mut buf, &mut |_| told += 100).unwrap();
    });
    assert_eq!((allocations, told), (0, 3));
}
