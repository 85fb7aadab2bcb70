//! What the engine is told: answers and events in any order, twice, late or never.

use super::desk::*;
use serde_json::{Value, json};
use sol_volume_bot::types::command::{CancelOrder, CancelReplace, QueryOrder};
use sol_volume_bot::types::event::{Balance, EventKind};
use sol_volume_bot::types::note::{Verb, WireNote};
use sol_volume_bot::types::order::{FeeAsset, Reason};
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::trade::FrameKind;

fn query(target: ClientOrderId) -> Command {
    Command::Query(QueryOrder { target, venue_order_id: VenueOrderId(0) })
}
fn cancel(target: ClientOrderId) -> Command {
    Command::Cancel(CancelOrder { target, venue_order_id: VenueOrderId(0) })
}
fn replace() -> Command {
    Command::CancelReplace(CancelReplace {
        cancel: CancelOrder { target: tp(), venue_order_id: VenueOrderId(22) },
        new: flatten(),
    })
}

#[test]
fn an_ack_and_its_events_tell_new_once_in_either_order() {
    for ack_first in [true, false] {
        let mut desk = Desk::ready(hmac());
        let request = desk.send(Command::Place(buy("1.5")));
        if ack_first {
            desk.answer(&request, ack(entry(), 12_000_001));
            desk.event(execution(json!({})));
        } else {
            desk.event(execution(json!({})));
            desk.answer(&request, ack(entry(), 12_000_001));
        }
        let reports = desk.reports();
        assert_eq!(reports.len(), 1, "{ack_first}");
        assert_eq!((reports[0].kind, reports[0].venue_order_id), (ExecKind::New, VenueOrderId(12_000_001)));
        assert_eq!(reports[0].leaves_qty, qty("1.5"));
    }
}

#[test]
fn a_fill_that_overtakes_its_ack_is_told_with_every_figure_the_venue_gave() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::Place(buy("1.5")));
    desk.event(fill(900_001, "0.50000000", "0.50000000", "PARTIALLY_FILLED"));
    desk.answer(&request, ack(entry(), 12_000_001));
    let report = desk.reports()[0];
    assert_eq!((report.id, report.kind, report.side, report.trade_id), (entry(), ExecKind::Fill, Side::Buy, 900_001));
    assert_eq!((report.last_qty, report.last_px), (qty("0.5"), price("150.2")));
    assert_eq!((report.cum_qty, report.leaves_qty), (qty("0.5"), qty("1")));
    assert_eq!((report.fee, report.fee_asset), (500_000, FeeAsset::Base), "0.0005 SOL in lamports");
    assert_eq!(report.liquidity, Liquidity::Taker);
    desk.event(fill(900_002, "1.00000000", "1.50000000", "FILLED"));
    assert_eq!(desk.reports()[0].leaves_qty, Qty::ZERO);
    desk.timer(1_000);
    assert!(desk.asked().is_empty(), "the order is done and nothing is hidden");
}

#[test]
fn fees_come_in_the_units_of_their_asset() {
    for (asset, fee, kind) in [("USDT", "0.07512500", FeeAsset::Quote), ("BNB", "0.00000100", FeeAsset::Other)] {
        let mut desk = Desk::ready(hmac());
        let mut event = fill(900_001, "0.5", "0.5", "PARTIALLY_FILLED");
        (event["N"], event["n"]) = (json!(asset), json!(fee));
        desk.event(event);
        let report = desk.reports()[0];
        assert_eq!((report.fee, report.fee_asset), (Notional::parse(fee.as_bytes()).unwrap().0, kind));
    }
}

#[test]
fn an_immediate_order_whose_end_no_event_told_is_asked_about() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::Place(buy("1.5")));
    desk.answer(&request, ack(entry(), 12_000_001));
    desk.timer(249);
    assert!(desk.asked().is_empty());
    desk.timer(1);
    let question = desk.asked().remove(0);
    assert_eq!((&question["method"], &question["params"]["orderId"]), (&json!("order.status"), &json!(12_000_001)));
    desk.forget();
    desk.answer(&question, order(entry(), 12_000_001, "BUY", "EXPIRED", "0.50000000"));
    let report = desk.reports()[0];
    assert_eq!((report.kind, report.reason), (ExecKind::Expired, Reason::TimeInForce));
    assert_eq!((report.cum_qty, report.leaves_qty), (qty("0.5"), Qty::ZERO));
    // Half a coin was bought that nobody told of: its trades are asked for.
    let trades = desk.asked().remove(0);
    assert_eq!((&trades["method"], &trades["params"]["orderId"]), (&json!("myTrades"), &json!(12_000_001)));
    desk.answer(&trades, json!([trade(900_001, 12_000_001, "0.20000000"), trade(900_002, 12_000_001, "0.30000000")]));
    let fills = desk.reports();
    let told: Vec<_> = fills.iter().map(|fill| (fill.trade_id, fill.last_qty, fill.cum_qty, fill.fee)).collect();
    assert_eq!(told, [(900_001, qty("0.2"), qty("0.2"), 500_000), (900_002, qty("0.3"), qty("0.5"), 500_000)]);
    desk.timer(10_000);
    assert!(!desk.asked_methods().contains(&"myTrades".to_owned()), "all is told");
}

#[test]
fn trades_that_the_venue_counts_but_does_not_list_yet_are_asked_for_again() {
    let mut desk = Desk::ready(hmac());
    desk.event(fill(900_002, "0.30000000", "0.50000000", "PARTIALLY_FILLED"));
    let asked = |desk: &mut Desk| {
        let of_order = |sent: &Value| sent["method"] == "myTrades" && sent["params"].get("orderId").is_some();
        desk.asked().into_iter().find(of_order).expect("its trades are asked for")
    };
    desk.timer(250);
    let trades = asked(&mut desk);
    desk.answer(&trades, json!([trade(900_002, 12_000_001, "0.30000000")]));
    desk.timer(600);
    let again = asked(&mut desk);
    desk.forget();
    desk.answer(&again, json!([trade(900_001, 12_000_001, "0.2"), trade(900_002, 12_000_001, "0.3")]));
    assert_eq!(desk.reports().len(), 2);
    desk.timer(10_000);
    assert!(!desk.asked_methods().contains(&"myTrades".to_owned()));
}

#[test]
fn a_result_with_fills_tells_them_with_their_trade_numbers() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::Place(buy("1.5")));
    let mut full = order(entry(), 12_000_001, "BUY", "FILLED", "1.50000000");
    full["fills"] = json!([
        {"price":"150.10000000","qty":"0.50000000","commission":"0.00050000","commissionAsset":"SOL","tradeId":900_001},
        {"price":"150.20000000","qty":"1.00000000","commission":"0.00100000","commissionAsset":"SOL","tradeId":900_002}]);
    desk.answer(&request, full);
    let reports = desk.reports();
    let told: Vec<_> = reports.iter().map(|r| (r.kind, r.trade_id, r.cum_qty, r.leaves_qty)).collect();
    assert_eq!(told[1], (ExecKind::Fill, 900_001, qty("0.5"), qty("1")));
    assert_eq!(told[2], (ExecKind::Fill, 900_002, qty("1.5"), Qty::ZERO));
    assert_eq!((told[0].0, told.len()), (ExecKind::New, 3));
}

#[test]
fn a_placement_without_a_certain_refusal_is_unknown_and_never_rejected() {
    for (status, code, msg) in [
        (400, -1000, "An unknown error occurred while processing the request."),
        (400, -1001, "Internal error; unable to process your request. Please try again."),
        (400, -1006, "An unexpected response was received from the message bus. Execution status unknown."),
        (
            400,
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        ),
        (400, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
        (503, 0, ""),
        (500, -2010, "Account has insufficient balance for requested action."),
        (400, -9_876, "A code of tomorrow."),
        (400, -2010, "Duplicate order sent."),
    ] {
        let mut desk = Desk::ready(hmac());
        let request = desk.send(Command::Place(buy("1.5")));
        desk.refuse(&request, status, code, msg);
        assert_eq!(desk.kinds(), [(entry(), ExecKind::Unknown)], "{status} {code}");
    }
}

#[test]
fn a_certain_refusal_is_rejected_with_its_reason() {
    for (code, msg, reason) in [
        (-2010, "Account has insufficient balance for requested action.", Reason::Balance),
        (-2010, "Order would immediately match and take.", Reason::WouldTake),
        (-2010, "Order would trigger immediately.", Reason::PriceMoved),
        (-1013, "Filter failure: LOT_SIZE", Reason::Filter),
        (-1015, "Too many new orders; current limit is 50 orders per 10 SECOND.", Reason::RateLimit),
        (-1021, "Timestamp for this request was 1000ms ahead of the server's time.", Reason::Clock),
        (-2015, "Invalid API-key, IP, or permissions for action.", Reason::Halt),
    ] {
        let mut desk = Desk::ready(hmac());
        let request = desk.send(Command::Place(buy("1.5")));
        desk.refuse(&request, 400, code, msg);
        let report = desk.reports()[0];
        assert_eq!((report.id, report.kind, report.reason, report.code), (entry(), ExecKind::Rejected, reason, code));
    }
}

#[test]
fn an_oco_refused_because_the_price_moved_rejects_both_legs() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::PlaceOco(oco()));
    desk.refuse(&request, 400, -2010, "The relationship of the prices for the orders is not correct.");
    let reports = desk.reports();
    assert_eq!(reports.iter().map(|report| report.id).collect::<Vec<_>>(), [tp(), stop()]);
    assert!(reports.iter().all(|r| r.kind == ExecKind::Rejected && r.reason == Reason::PriceMoved));
}

#[test]
fn the_legs_of_a_list_are_known_by_name_never_by_place() {
    for with_reports in [true, false] {
        let mut desk = Desk::ready(hmac());
        let request = desk.send(Command::PlaceOco(oco()));
        let legs = json!([
            {"symbol":"SOLUSDT","orderId":21,"orderListId":77,"clientOrderId":stop().to_string(),"origQty":"1.49800000",
             "executedQty":"0.00000000","status":"NEW","type":"STOP_LOSS_LIMIT","side":"SELL","workingTime":-1},
            {"symbol":"SOLUSDT","orderId":22,"orderListId":77,"clientOrderId":tp().to_string(),"origQty":"1.49800000",
             "executedQty":"0.00000000","status":"NEW","type":"LIMIT_MAKER","side":"SELL","workingTime":1790000000003_i64}]);
        let mut result = list_answer("EXEC_STARTED", legs);
        if !with_reports {
            result.as_object_mut().unwrap().remove("orderReports");
        }
        desk.answer(&request, result);
        let told: Vec<_> =
            desk.reports().iter().map(|r| (r.id, r.kind, r.venue_order_id.0, r.list_id, r.leaves_qty)).collect();
        let size = qty("1.498");
        assert_eq!(told, [(stop(), ExecKind::New, 21, 77, size), (tp(), ExecKind::New, 22, 77, size)]);
    }
}

#[test]
fn a_canceled_list_tells_both_legs_and_asks_for_fills_that_were_not_told() {
    let mut desk = with_oco();
    let request = desk.send(cancel_list());
    desk.answer(
        &request,
        list_answer("ALL_DONE", json!([canceled_leg(stop(), 21, "0.0"), canceled_leg(tp(), 22, "0.40000000")])),
    );
    let reports = desk.reports();
    assert_eq!(
        reports.iter().map(|r| (r.id, r.kind)).collect::<Vec<_>>(),
        [(stop(), ExecKind::Canceled), (tp(), ExecKind::Canceled)]
    );
    assert_eq!((reports[1].cum_qty, reports[1].leaves_qty), (qty("0.4"), Qty::ZERO));
    let trades = desk.asked().remove(0);
    assert_eq!((&trades["method"], &trades["params"]["orderId"]), (&json!("myTrades"), &json!(22)));
}

#[test]
fn a_canceled_list_whose_reports_carry_only_the_legs_own_names_is_understood() {
    let mut desk = with_oco();
    let request = desk.send(cancel_list());
    let leg = |name: ClientOrderId, number| {
        let mut leg = canceled_leg(name, number, "0.0");
        leg["clientOrderId"] = json!(name.to_string());
        leg.as_object_mut().unwrap().remove("origClientOrderId");
        leg
    };
    desk.answer(&request, list_answer("ALL_DONE", json!([leg(stop(), 21), leg(tp(), 22)])));
    assert_eq!(desk.kinds(), [(stop(), ExecKind::Canceled), (tp(), ExecKind::Canceled)]);
}

#[test]
fn cancelling_one_leg_is_answered_in_the_shape_of_a_list() {
    let mut desk = with_oco();
    let request = desk.send(cancel(tp()));
    desk.answer(&request, list_answer("ALL_DONE", json!([canceled_leg(stop(), 21, "0"), canceled_leg(tp(), 22, "0")])));
    assert_eq!(desk.kinds(), [(stop(), ExecKind::Canceled), (tp(), ExecKind::Canceled)]);
}

#[test]
fn a_cancels_event_is_known_by_the_name_the_order_had_and_told_once() {
    let mut desk = with_oco();
    let request = desk.send(cancel_list());
    let event = |name: ClientOrderId, number: i64| {
        execution(
            json!({"c":"R4nd0m","C":name.to_string(),"x":"CANCELED","X":"CANCELED","i":number,"g":77,"S":"SELL","f":"GTC"}),
        )
    };
    desk.event(event(tp(), 22));
    desk.event(event(stop(), 21));
    desk.answer(&request, list_answer("ALL_DONE", json!([canceled_leg(stop(), 21, "0"), canceled_leg(tp(), 22, "0")])));
    desk.event(event(stop(), 21));
    assert_eq!(desk.kinds(), [(tp(), ExecKind::Canceled), (stop(), ExecKind::Canceled)]);
}

#[test]
fn a_cancel_that_raced_a_fill_is_rejected_and_the_truth_is_asked_for() {
    let mut desk = with_oco();
    let request = desk.send(cancel_list());
    desk.refuse(&request, 400, -2011, "Unknown order sent.");
    assert_eq!(desk.kinds(), [(tp(), ExecKind::CancelRejected), (stop(), ExecKind::CancelRejected)]);
    let questions = desk.asked();
    let numbers: Vec<_> = questions.iter().map(|sent| sent["params"]["orderId"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [22, 21]);
    let mut filled = order(tp(), 22, "SELL", "FILLED", "1.49800000");
    filled["origQty"] = json!("1.49800000");
    desk.answer(&questions[0], filled);
    let report = desk.reports()[0];
    assert_eq!((report.kind, report.cum_qty, report.leaves_qty), (ExecKind::Status, qty("1.498"), Qty::ZERO));
    let trades = desk.asked().remove(0);
    desk.answer(&trades, json!([trade(900_007, 22, "1.49800000")]));
    let fill = desk.reports()[0];
    assert_eq!((fill.id, fill.kind, fill.leaves_qty), (tp(), ExecKind::Fill, Qty::ZERO));
}

#[test]
fn the_first_fill_of_a_take_profit_expires_its_stop() {
    let mut desk = with_oco();
    desk.event(execution(
        json!({"c":stop().to_string(),"x":"EXPIRED","X":"EXPIRED","i":21,"g":77,"S":"SELL","eR":"OCO_TRIGGER"}),
    ));
    let report = desk.reports()[0];
    assert_eq!((report.id, report.kind, report.reason), (stop(), ExecKind::Expired, Reason::OcoTrigger));
}

#[test]
fn an_expiry_that_leaves_coins_without_a_stop_says_so() {
    for (word, reason) in [
        ("UNFILLED_IOC_QUANTITY_EXPIRED", Reason::TimeInForce),
        ("UNFILLED_FOK_ORDER_EXPIRED", Reason::TimeInForce),
        ("OCO_TRIGGER", Reason::OcoTrigger),
        ("REJECTED", Reason::Unprotected),
        ("INSUFFICIENT_LIQUIDITY", Reason::Unprotected),
        ("EXECUTION_RULE_PRICE_RANGE_EXCEEDED", Reason::Unprotected),
        ("EXCHANGE_CANCELED", Reason::Unprotected),
        ("A_WORD_OF_TOMORROW", Reason::Unprotected),
    ] {
        let mut desk = Desk::ready(hmac());
        desk.event(execution(json!({"x":"EXPIRED","X":"EXPIRED","eR":word})));
        assert_eq!(desk.reports()[0].reason, reason, "{word}");
    }
}

#[test]
fn a_status_or_happening_of_tomorrow_halts_and_is_asked_about() {
    for change in [json!({"x": "TELEPORTED"}), json!({"X": "SUSPENDED"})] {
        let mut desk = Desk::ready(hmac());
        desk.event(execution(change));
        let report = desk.reports()[0];
        assert_eq!((report.kind, report.reason), (ExecKind::Unknown, Reason::Halt));
        assert_eq!(desk.asked_methods(), ["order.status"]);
    }
}

#[test]
fn orders_of_others_and_of_other_symbols_are_counted_and_not_told() {
    let mut desk = Desk::ready(hmac());
    desk.event(execution(json!({"c": "web_0123456789abcdef"})));
    desk.event(execution(json!({"s": "BTCUSDT"})));
    assert!(desk.reports().is_empty());
    assert_eq!(desk.session.foreign_events(), 2);
}

fn replaced(cancel: &str, new: &str, cancel_response: Value, new_response: Value) -> Value {
    json!({"cancelResult":cancel,"newOrderResult":new,"cancelResponse":cancel_response,"newOrderResponse":new_response})
}

#[test]
fn a_cancel_replace_that_worked_cancels_the_whole_list_and_places_the_new_order() {
    let mut desk = with_oco();
    let request = desk.send(replace());
    let legs = list_answer("ALL_DONE", json!([canceled_leg(stop(), 21, "0"), canceled_leg(tp(), 22, "0")]));
    desk.answer(&request, replaced("SUCCESS", "SUCCESS", legs, ack(flatten().id, 23)));
    assert_eq!(desk.kinds(), [(stop(), ExecKind::Canceled), (tp(), ExecKind::Canceled), (flatten().id, ExecKind::New)]);
}

#[test]
fn every_half_of_a_failed_cancel_replace_is_judged_by_its_own_result() {
    let refused = json!({"code": -2010, "msg": "Account has insufficient balance for requested action."});
    let lost = json!({"code": -1007, "msg": "Timeout waiting for response from backend server."});
    let gone = json!({"code": -2011, "msg": "Unknown order sent."});
    let canceled = canceled_leg(tp(), 22, "0");
    let new = flatten().id;
    let table = [
        (
            400,
            -2022,
            replaced("FAILURE", "NOT_ATTEMPTED", gone.clone(), Value::Null),
            vec![(tp(), ExecKind::CancelRejected), (new, ExecKind::Rejected)],
        ),
        (
            409,
            -2021,
            replaced("SUCCESS", "FAILURE", canceled.clone(), refused.clone()),
            vec![(tp(), ExecKind::Canceled), (new, ExecKind::Rejected)],
        ),
        (
            409,
            -2021,
            replaced("SUCCESS", "FAILURE", canceled, lost),
            vec![(tp(), ExecKind::Canceled), (new, ExecKind::Unknown)],
        ),
        (
            400,
            -2022,
            replaced("FAILURE", "FAILURE", gone.clone(), refused),
            vec![(tp(), ExecKind::CancelRejected), (new, ExecKind::Rejected)],
        ),
        (
            409,
            -2021,
            replaced("FAILURE", "SUCCESS", gone, ack(new, 23)),
            vec![(tp(), ExecKind::CancelRejected), (new, ExecKind::New)],
        ),
        (429, -1015, Value::Null, vec![(tp(), ExecKind::CancelRejected), (new, ExecKind::Rejected)]),
        (400, -1013, Value::Null, vec![(tp(), ExecKind::CancelRejected), (new, ExecKind::Rejected)]),
        (504, -1007, Value::Null, vec![(tp(), ExecKind::Unknown), (new, ExecKind::Unknown)]),
    ];
    for (status, code, data, expected) in table {
        let mut desk = with_oco();
        let request = desk.send(replace());
        desk.frame(&json!({"id": request["id"], "status": status, "error": {"code": code, "msg": "Filter failure: LOT_SIZE", "data": data}}));
        assert_eq!(desk.kinds(), expected, "{status} {code} {data}");
    }
}

#[test]
fn cancel_all_tells_every_order_it_names_and_no_open_order_is_no_failure() {
    let mut desk = with_oco();
    let request = desk.send(Command::CancelAll);
    let legs = list_answer("ALL_DONE", json!([canceled_leg(stop(), 21, "0"), canceled_leg(tp(), 22, "0")]));
    desk.answer(
        &request,
        json!([{"symbol":"SOLUSDT","origClientOrderId":"hand-made","orderId":5,"orderListId":-1,
        "clientOrderId":"x","executedQty":"0","status":"CANCELED","side":"BUY"}, legs]),
    );
    assert_eq!(desk.kinds(), [(stop(), ExecKind::Canceled), (tp(), ExecKind::Canceled)]);
    let request = desk.send(Command::CancelAll);
    desk.refuse(&request, 400, -2011, "Unknown order sent.");
    assert!(desk.kinds().is_empty());
}

#[test]
fn a_query_is_always_answered_and_an_unknown_order_is_no_proof() {
    let mut desk = Desk::ready(hmac());
    desk.send(Command::Place(buy("1.5")));
    let question = desk.send(query(entry()));
    desk.refuse(&question, 400, -2013, "Order does not exist.");
    assert_eq!(desk.kinds(), [(entry(), ExecKind::NotFound)]);
    for (status, cum, kind) in [
        ("NEW", "0", ExecKind::Status),
        ("PARTIALLY_FILLED", "0.5", ExecKind::Status),
        ("CANCELED", "0.5", ExecKind::Canceled),
        ("CANCELED", "0.5", ExecKind::Canceled),
    ] {
        let question = desk.send(query(entry()));
        desk.answer(&question, order(entry(), 12_000_001, "BUY", status, cum));
        let report = desk.reports()[0];
        assert_eq!((report.kind, report.cum_qty, report.side), (kind, qty(cum), Side::Buy));
    }
    let question = desk.send(query(entry()));
    desk.refuse(&question, 400, -2026, "Order was archived.");
    assert_eq!(desk.kinds(), [(entry(), ExecKind::Expired)]);
}

#[test]
fn asking_about_a_list_asks_about_its_legs() {
    let mut desk = Desk::ready(hmac());
    let question = desk.send(query(list()));
    assert_eq!(question["method"], "orderList.status");
    let mut found = list_answer("EXEC_STARTED", Value::Null);
    found.as_object_mut().unwrap().remove("orderReports");
    desk.answer(&question, found);
    assert_eq!(desk.asked_methods(), ["order.status", "order.status"]);
}

#[test]
fn silence_past_the_deadline_is_unknown_once_and_a_late_answer_is_still_heard() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::Place(buy("1.5")));
    desk.timer(2_999);
    assert!(desk.kinds().is_empty());
    desk.timer(1);
    desk.timer(1);
    assert_eq!(desk.kinds(), [(entry(), ExecKind::Unknown)]);
    desk.answer(&request, ack(entry(), 12_000_001));
    assert_eq!(desk.kinds(), [(entry(), ExecKind::New)]);
    desk.answer(&request, ack(entry(), 12_000_001));
    assert!(desk.kinds().is_empty(), "a number is answered once");
}

#[test]
fn a_lost_connection_makes_every_open_question_of_orders_unknown_and_asks_after_it_is_back() {
    let mut desk = with_oco();
    desk.send(Command::Place(buy("1.5")));
    desk.send(cancel_list());
    desk.send(query(tp()));
    desk.down();
    let mut kinds = desk.kinds();
    kinds.sort_by_key(|(id, _)| *id);
    assert_eq!(kinds, [entry(), tp(), stop()].map(|id| (id, ExecKind::Unknown)));
    assert!(!desk.session.is_ready());
    desk.open();
    desk.settle();
    let questions = desk.asked();
    assert_eq!(questions.len(), 3, "{questions:?}");
    assert!(!desk.session.is_ready());
    for question in questions {
        match question["params"]["orderId"].as_i64() {
            Some(21) => desk.answer(&question, order(stop(), 21, "SELL", "EXPIRED", "0")),
            Some(22) => desk.answer(&question, order(tp(), 22, "SELL", "FILLED", "1.5")),
            _ => desk.refuse(&question, 400, -2013, "Order does not exist."),
        };
    }
    let mut kinds = desk.kinds();
    kinds.sort_by_key(|(id, _)| *id);
    assert_eq!(kinds, [(entry(), ExecKind::NotFound), (tp(), ExecKind::Status), (stop(), ExecKind::Expired)]);
    let trades = desk.asked();
    assert_eq!(trades.iter().map(|sent| &sent["method"]).collect::<Vec<_>>(), ["myTrades"]);
    assert!(!desk.session.is_ready(), "a fill is still untold");
    desk.answer(&trades[0], json!([trade(900_001, 22, "1.5")]));
    assert!(desk.session.is_ready());
}

#[test]
fn balances_overwrite_and_a_move_from_outside_asks_for_them() {
    let mut desk = Desk::ready(hmac());
    desk.event(json!({"e":"outboundAccountPosition","E":1790000000000_i64,"u":1790000000000_i64,
        "B":[{"a":"BNB","f":"0","l":"0"},{"a":"USDT","f":"1.82939400","l":"7.87654000"}]}));
    let expected = Balance::Quote { free: Notional(182_939_400), locked: Notional(787_654_000) };
    assert_eq!(desk.events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Balance(expected)]);
    for event in ["balanceUpdate", "externalLockUpdate"] {
        desk.event(json!({"e":event,"E":1790000000000_i64,"a":"SOL","d":"-1.00000000","T":1790000000000_i64}));
        assert_eq!(desk.asked_methods(), ["account.status"], "{event}");
    }
}

#[test]
fn an_undecodable_report_is_an_error_with_its_byte_and_its_order_is_asked_about() {
    let mut desk = with_oco();
    let frame = json!({"subscriptionId":0,"event":fill(900_001, "1e5", "0.5", "PARTIALLY_FILLED")}).to_string();
    let error = desk.raw(frame.as_bytes()).unwrap_err();
    assert!(
        error.at().is_some_and(|at| frame[at - 3..].starts_with("\"1e5") || frame[at..].starts_with("e5")),
        "{error}"
    );
    assert_eq!(desk.asked_methods(), ["order.status", "order.status"]);
}

#[test]
fn an_answer_that_cannot_be_read_leaves_its_order_unknown() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::Place(buy("1.5")));
    let frame = json!({"id": request["id"], "status": 200, "result": {"symbol": "SOLUSDT"}}).to_string();
    assert!(desk.raw(frame.as_bytes()).is_err());
    assert_eq!(desk.kinds(), [(entry(), ExecKind::Unknown)]);
}

#[test]
fn answers_to_commands_are_noted_with_their_time_and_code() {
    let mut desk = Desk::ready(hmac());
    let request = desk.send(Command::Place(buy("1.5")));
    desk.answer(&request, ack(entry(), 12_000_001));
    let expected = WireNote::Answered { id: entry(), verb: Verb::Place, took_ns: MS, code: 0 };
    assert_eq!(desk.notes, [expected]);
}

#[test]
fn frames_that_answer_nothing_of_ours_are_no_data() {
    let mut desk = Desk::ready(hmac());
    assert_eq!(desk.frame(&json!({"id": 999_999_999, "status": 200, "result": {}})), FrameKind::Control);
    assert_eq!(desk.frame(&json!({"id": "someone-else", "status": 200, "result": {}})), FrameKind::Control);
    assert!(desk.events.is_empty());
}
