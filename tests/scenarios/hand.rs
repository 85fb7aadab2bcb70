//! Somebody who uses the same key: requests that the child never made.

use sol_volume_bot::sim::scenario::{DEMO_HMAC_KEY, DEMO_HMAC_SECRET};
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::venue::binance_spot::rest::API_KEY_HEADER;
use sol_volume_bot::venue::binance_spot::sign::Signer;

use crate::rig::Rig;

impl Rig {
    /// Number of the run that is under way.
    pub fn epoch(&self) -> u64 {
        self.line("START", |_| true)["epoch"].as_u64().expect("a number")
    }
    /// Places an order. The venue must take it.
    pub fn place_by_hand(&self, params: &str) {
        let answer = ureq::post(self.signed(params)).header(API_KEY_HEADER, DEMO_HMAC_KEY).send_empty();
        assert_eq!(answer.expect("the venue takes it").status(), 200);
    }
    /// Cancels an order, its list with it. The venue must have it.
    pub fn cancel_by_hand(&self, order: i64) {
        let url = self.signed(&format!("symbol=SOLUSDT&orderId={order}"));
        let answer = ureq::delete(url).header(API_KEY_HEADER, DEMO_HMAC_KEY).call();
        assert_eq!(answer.expect("the venue has it").status(), 200);
    }
    fn signed(&self, params: &str) -> String {
        let signer = Signer::hmac(DEMO_HMAC_SECRET.to_owned()).expect("a secret");
        let query = format!("{params}&recvWindow=5000&timestamp={}", Clock::start().now().millis().0);
        let signature = signer.sign(query.as_bytes());
        format!("{}?{query}&signature={}", self.venue.http_url("/api/v3/order"), signature.as_str())
    }
}
