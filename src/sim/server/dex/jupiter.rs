//! Jupiter's quotes: around the mid, worse with size, refused on command.
//!
//! Thread: any.  Invariants: a larger amount brings more and each further atom less; limits count requests in 60 s, as
//! the gateway does.  Source: solana fact sheet, section 7.

use std::collections::VecDeque;

use serde::Deserialize;

use super::{USDC, WSOL};
use crate::sim::server::http::{Request, Response};
use crate::sim::server::json::{Obj, array, quoted};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{Price, Time};

/// Where the quotes are.
const PATH: &str = "/jupiter/swap/v2/order";
/// Span in which requests are counted.
const WINDOW_NS: i64 = 60 * NANOS_PER_SEC;
/// Requests in that span without a key: one every two seconds.
const KEYLESS_MAX: usize = 30;
/// What a swap costs, parts of a billion: 2 bps, and 0.05 bps more for each SOL.
const FEE_E9: u128 = 200_000;
const IMPACT_E9_PER_SOL: u128 = 5_000;
/// No swap costs more than half.
const COST_E9_MAX: u128 = 500_000_000;
const E9: u128 = 1_000_000_000;

/// How Jupiter answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JupiterState {
    /// Its quotes.
    #[default]
    Ok,
    /// Status 429 of the gateway.
    TooMany,
    /// Status 429 of the firewall.
    Firewall,
    /// Status 401.
    BadKey,
    /// Status 500 with a plain text.
    Broken,
    /// An HTML page with status 200.
    Html,
    /// JSON that ends in the middle.
    Garbage,
    /// Status 400: no route.
    NoRoute,
    /// Status 200 with an error code and no amounts that can be had.
    NoGas,
    /// Sizes above 1 SOL bring far more than they should.
    Erratic,
}

/// The quoting service.
#[derive(Default)]
pub(super) struct Jupiter {
    pub(super) state: JupiterState,
    pub(super) is_keyless: bool,
    asked: VecDeque<Time>,
}

impl Jupiter {
    /// Answers a request for a quote at `mid`; `None` if it is for something else.
    pub(super) fn answer(&mut self, request: &Request, mid: Price, now: Time) -> Option<Response> {
        if request.path != PATH {
            return None;
        }
        while self.asked.front().is_some_and(|at| now.since(*at) >= WINDOW_NS) {
            self.asked.pop_front();
        }
        if self.is_keyless && self.asked.len() >= KEYLESS_MAX {
            return Some(too_many());
        }
        self.asked.push_back(now);
        Some(match self.state {
            JupiterState::TooMany => too_many(),
            JupiterState::Firewall => Response::text(429, "Too many requests"),
            JupiterState::BadKey => Response::json(401, "{\"error\":\"Unauthorized\"}".to_owned()),
            JupiterState::Broken => Response::text(500, "Internal server error"),
            JupiterState::Html => Response::html(200, "<html><title>Just a moment...</title></html>"),
            JupiterState::Garbage => Response::json(200, "{\"mode\":\"ultra\",\"inputMint\":\"So1111".to_owned()),
            JupiterState::NoRoute => refused("No routes found", "NO_ROUTES_FOUND"),
            JupiterState::NoGas => {
                let body = Obj::new().raw("transaction", "\"\"").int("errorCode", 2);
                Response::json(200, body.text("errorMessage", "Not enough SOL to pay for fees").end())
            }
            JupiterState::Ok | JupiterState::Erratic => self.quote(&request.query, mid),
        })
    }

    fn quote(&self, query: &str, mid: Price) -> Response {
        let param = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let (input, output) = (param("inputMint").unwrap_or_default(), param("outputMint").unwrap_or_default());
        let is_sale = (input, output) == (WSOL, USDC);
        if !is_sale && (input, output) != (USDC, WSOL) {
            return refused("The token is not tradable", "TOKEN_NOT_TRADABLE");
        }
        let Some(amount) = param("amount").and_then(|text| text.parse::<u64>().ok()).filter(|amount| *amount > 0)
        else {
            return Response::json(400, "{\"error\":\"amount must be a positive integer\"}".to_owned());
        };
        let mid = mid.0.max(1) as u128; // 1e-8 USDC a SOL: 1e11 of them are a micro-USDC a lamport
        let fair = if is_sale { u128::from(amount) * mid / (100 * E9) } else { u128::from(amount) * 100 * E9 / mid };
        let lamports = if is_sale { u128::from(amount) } else { fair };
        let cost_e9 = (FEE_E9 + IMPACT_E9_PER_SOL * lamports / E9).min(COST_E9_MAX);
        let gift = if self.state == JupiterState::Erratic && lamports > 2 * E9 { 2 } else { 1 };
        let brought = gift * fair * (E9 - cost_e9) / E9;
        Response::json(200, order(input, output, amount, brought))
    }
}

fn order(input: &str, output: &str, amount: u64, brought: u128) -> String {
    let (amount, brought) = (amount.to_string(), brought.to_string());
    let ends = |head: Obj| head.text("inputMint", input).text("outputMint", output);
    let swap = ends(Obj::new().text("ammKey", WSOL).text("label", "Sim"));
    let swap = swap.text("inAmount", &amount).text("outAmount", &brought).end();
    let step = Obj::new().raw("swapInfo", &swap).int("percent", 100).int("bps", 10_000).end();
    let head = ends(Obj::new().text("mode", "ultra")).text("inAmount", &amount).text("outAmount", &brought);
    let head = head.text("otherAmountThreshold", &brought).text("swapMode", "ExactIn").int("slippageBps", 10);
    let head = head.raw("priceImpact", "-0.02").raw("routePlan", &array([step])).int("feeBps", 2);
    let head = head.raw("platformFee", "null").text("router", "metis").raw("transaction", "null");
    head.text("requestId", "0199-sim").int("totalTime", 1).raw("taker", "null").end()
}

fn too_many() -> Response {
    Response::text(429, "[API Gateway] Too many requests").with("x-ratelimit-remaining", 0)
}

fn refused(text: &str, code: &str) -> Response {
    Response::json(400, Obj::new().raw("error", &quoted(text)).text("errorCode", code).end())
}
