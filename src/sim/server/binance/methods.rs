//! The map of the API: one line a method, its WebSocket name, its REST door, its weight and who may call it.
//!
//! Thread: any.  Invariants: a method has one name in this house, the WebSocket API's.

use super::params::Params;
use crate::sim::server::http::Verb;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// A signed request of a known key, in time.
    Signed,
    /// The same, and it trades: counted, recorded, free if it succeeds.
    Trade,
}

/// What a method does, as far as faults care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Asks.
    Ask,
    /// Places an order or a list.
    Place,
    /// Takes one back.
    Cancel,
}

/// One method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// WebSocket API name.
    pub name: &'static str,
    /// REST verb and path behind `/api/v3/`.
    pub rest: (Verb, &'static str),
    /// Weight of a plain call; see [`Method::weight`].
    base_weight: u32,
    /// Who may call.
    pub access: Access,
    /// What it does.
    pub act: Act,
}

const fn ask(name: &'static str, path: &'static str, weight: u32) -> Method {
    Method { name, rest: (Verb::Get, path), base_weight: weight, access: Access::Open, act: Act::Ask }
}
const fn own(name: &'static str, path: &'static str, weight: u32) -> Method {
    Method { name, rest: (Verb::Get, path), base_weight: weight, access: Access::Signed, act: Act::Ask }
}
const fn place(name: &'static str, path: &'static str) -> Method {
    Method { name, rest: (Verb::Post, path), base_weight: 1, access: Access::Trade, act: Act::Place }
}
const fn cancel(name: &'static str, path: &'static str) -> Method {
    Method { name, rest: (Verb::Delete, path), base_weight: 1, access: Access::Trade, act: Act::Cancel }
}

/// All of them.
pub const METHODS: [Method; 30] = [
    ask("ping", "ping", 1),
    ask("time", "time", 1),
    ask("exchangeInfo", "exchangeInfo", 20),
    ask("depth", "depth", 5),
    ask("klines", "klines", 2),
    ask("uiKlines", "uiKlines", 2),
    ask("trades.recent", "trades", 25),
    ask("trades.aggregate", "aggTrades", 4),
    ask("ticker.book", "ticker/bookTicker", 2),
    ask("ticker.price", "ticker/price", 2),
    ask("avgPrice", "avgPrice", 2),
    own("account.status", "account", 20),
    own("account.commission", "account/commission", 20),
    own("account.rateLimits.orders", "rateLimit/order", 40),
    own("order.status", "order", 4),
    own("openOrders.status", "openOrders", 6),
    own("allOrders", "allOrders", 20),
    own("orderList.status", "orderList", 4),
    own("openOrderLists.status", "openOrderList", 6),
    own("allOrderLists", "allOrderList", 20),
    own("myTrades", "myTrades", 20),
    Method {
        name: "order.test",
        rest: (Verb::Post, "order/test"),
        base_weight: 1,
        access: Access::Signed,
        act: Act::Ask,
    },
    place("order.place", "order"),
    place("order.cancelReplace", "order/cancelReplace"),
    place("orderList.place.oco", "orderList/oco"),
    cancel("order.cancel", "order"),
    cancel("orderList.cancel", "orderList"),
    cancel("openOrders.cancelAll", "openOrders"),
    // Connection-bound methods without a REST door keep a path that no client can ask for.
    ask("session.status", "", 2),
    ask("session.logout", "", 2),
];

impl Method {
    /// Of a WebSocket name, with or without the version before it.
    pub fn of_name(name: &str) -> Option<&'static Method> {
        let name = name.strip_prefix("v3/").unwrap_or(name);
        METHODS.iter().find(|method| method.name == name)
    }
    /// Of a REST request.
    pub fn of_rest(verb: Verb, path: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.rest == (verb, path) && !path.is_empty())
    }
    /// Whether the path is known under another verb.
    pub fn is_rest_path(path: &str) -> bool {
        METHODS.iter().any(|method| method.rest.1 == path && !path.is_empty())
    }
    /// What this call costs.
    pub fn weight(&self, params: &Params) -> u32 {
        let limit = params.int("limit").ok().flatten().unwrap_or(100);
        match self.name {
            "depth" if limit > 1_000 => 250,
            "depth" if limit > 500 => 50,
            "depth" if limit > 100 => 25,
            "openOrders.status" if params.get("symbol").is_none() => 80,
            "myTrades" if params.get("orderId").is_some() => 5,
            "ticker.book" | "ticker.price" if params.get("symbol").is_none() => 4,
            "order.test" if params.get("computeCommissionRates") == Some("true") => 20,
            _ => self.base_weight,
        }
    }
}
