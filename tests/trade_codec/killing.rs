//! What a kill does to the session: the cancel of everything first, again until it is answered, and nothing bought.

use super::desk::*;
use serde_json::json;
use sol_volume_bot::types::command::NewOrder;
use sol_volume_bot::types::note::KillStep;
use sol_volume_bot::types::order::Reason;
use sol_volume_bot::types::*;
use sol_volume_bot::venue::binance_spot::trade::Refusal;

impl Desk {
    fn kill(&mut self) -> KillStep {
        let sent = &mut self.sent;
        self.session.kill(Time(self.now), &mut |text| sent.push(serde_json::from_slice(text).unwrap()))
    }
}

#[test]
fn a_kill_cancels_everything_at_once_and_lets_nothing_be_bought_any_more() {
    let mut desk = with_oco();
    assert_eq!(desk.kill(), KillStep::Written);
    let cancel = desk.asked().remove(0);
    assert_eq!(
        (cancel["method"].as_str(), cancel["params"]["symbol"].as_str()),
        (Some("openOrders.cancelAll"), Some("SOLUSDT"))
    );
    assert_eq!(desk.try_send(Command::Place(buy("1.5"))).err(), Some(Refusal::Stopping));
    assert_eq!(desk.reports()[0].reason, Reason::Stopping);
    desk.answer(&cancel, json!([canceled_leg(stop(), 21, "0.0"), canceled_leg(tp(), 22, "0.0")]));
    assert_eq!(desk.kinds(), [(stop(), ExecKind::Canceled), (tp(), ExecKind::Canceled)]);
    desk.send(Command::Place(flatten())); // what is proven is sold
    desk.timer(5_000);
    assert!(desk.asked_methods().iter().all(|method| method != "openOrders.cancelAll"), "paid once");
    assert_eq!(
        desk.try_send(Command::Place(NewOrder { id: id(Leg::Entry(2), 1), ..buy("1.5") })).err(),
        Some(Refusal::Stopping)
    );
}

#[test]
fn a_stop_ends_entries_and_cancels_nothing() {
    let mut desk = with_oco();
    desk.session.stop_entries();
    assert_eq!(desk.try_send(Command::Place(buy("1.5"))).err(), Some(Refusal::Stopping));
    desk.send(cancel_list());
    desk.send(Command::Place(flatten()));
    desk.timer(0);
    assert!(desk.asked_methods().iter().all(|method| method != "openOrders.cancelAll"));
}

#[test]
fn without_a_connection_a_kill_is_the_first_thing_the_next_one_hears() {
    for signer in [hmac(), ed25519()] {
        let mut desk = Desk::new(signer);
        assert_eq!(desk.kill(), KillStep::AwaitsConnection);
        assert!(desk.sent.is_empty() && desk.session.owes_kill());
        desk.open();
        assert_eq!(desk.sent[0]["method"], "openOrders.cancelAll", "before the logon");
        assert!(desk.sent[0]["params"]["signature"].is_string(), "so it signs itself");
        assert!(!desk.session.owes_kill());
        let cancel = desk.sent.remove(0);
        desk.refuse(&cancel, 400, -2011, "Unknown order sent.");
        desk.settle();
        desk.timer(2_000);
        assert!(desk.asked_methods().iter().all(|method| method != "openOrders.cancelAll"), "nothing was open: paid");
    }
}

#[test]
fn a_cancel_of_everything_that_nobody_answered_or_that_was_refused_is_sent_again() {
    let mut desk = with_oco();
    desk.kill();
    let cancel = desk.asked().remove(0);
    desk.refuse(&cancel, 503, 0, "");
    desk.timer(999);
    assert!(desk.asked_methods().iter().all(|method| method != "openOrders.cancelAll"), "not at once");
    desk.timer(1);
    assert!(desk.asked_methods().contains(&"openOrders.cancelAll".to_owned()));
    desk.down();
    assert!(desk.session.owes_kill(), "nobody knows whether it arrived");
    desk.open();
    assert_eq!(desk.sent[0]["method"], "openOrders.cancelAll");
    desk.timer(3_000); // no answer within the deadline
    desk.timer(1_000);
    assert!(desk.asked_methods().iter().filter(|method| *method == "openOrders.cancelAll").count() >= 2);
}

#[test]
fn a_kill_passes_a_word_to_wait_but_not_a_ban_which_a_byte_would_lengthen() {
    for (status, passes) in [(429, true), (418, false)] {
        let mut desk = with_oco();
        let request = desk.send(Command::Place(flatten()));
        let until = desk.now / MS + 12_000;
        desk.frame(
            &json!({"id": request["id"], "status": status, "error": {"code": -1003, "msg": "Too many requests.",
            "data": {"serverTime": desk.now / MS, "retryAfter": until}}}),
        );
        desk.asked();
        assert_eq!(desk.kill(), if passes { KillStep::Written } else { KillStep::AwaitsBanEnd });
        assert_eq!(desk.asked().len(), usize::from(passes));
        desk.timer(11_999);
        assert_eq!(desk.asked().len(), 0, "{status}: not a byte before its time");
        desk.timer(1);
        let sent = desk.asked_methods();
        assert_eq!(sent.first().is_some_and(|method| method == "openOrders.cancelAll"), !passes, "{sent:?}");
    }
}

#[test]
fn a_second_kill_cancels_again_what_came_to_rest_in_between() {
    let mut desk = with_oco();
    desk.kill();
    let cancel = desk.asked().remove(0);
    desk.answer(&cancel, json!([]));
    assert_eq!(desk.kill(), KillStep::Written);
    assert_eq!(desk.asked_methods(), ["openOrders.cancelAll"]);
}
