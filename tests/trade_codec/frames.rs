//! Frames of every kind that the session reads, and the bodies that REST gives before anything trades.

use super::desk::*;
use serde_json::{Value, json};

/// Frames of every kind that the session reads.
pub fn frames() -> Vec<String> {
    let legs = list_answer("ALL_DONE", json!([canceled_leg(stop(), 21, "0"), canceled_leg(tp(), 22, "0.4")]));
    let mut full = order(entry(), 12_000_001, "BUY", "FILLED", "1.5");
    full["fills"] = json!([{"price":"150.1","qty":"0.5","commission":"0.0005","commissionAsset":"SOL","tradeId":9}]);
    let answered = |result| {
        json!({"id": 0, "status": 200, "result": result, "rateLimits": [
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":3}]})
    };
    [
        json!({"subscriptionId":0,"event":execution(json!({}))}),
        json!({"subscriptionId":0,"event":fill(900_001, "0.5", "0.5", "PARTIALLY_FILLED")}),
        json!({"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"SOL","f":"1","l":"2"}]}}),
        json!({"subscriptionId":0,"event":{"e":"listStatus","E":1,"s":"SOLUSDT","g":77,"c":"OCO","l":"EXEC_STARTED",
            "L":"EXECUTING","r":"NONE","C":"L17","T":1,"O":[{"s":"SOLUSDT","i":1,"c":"x"}]}}),
        answered(ack(entry(), 12_000_001)),
        answered(full),
        answered(legs),
        answered(json!([trade(1, 12_000_001, "0.5")])),
        json!({"id":0,"status":409,"error":{"code":-2021,"msg":"Order cancel-replace partially failed.","data":{
            "cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":canceled_leg(tp(), 22, "0"),
            "newOrderResponse":{"code":-2010,"msg":"Order would immediately match and take."}}}}),
    ]
    .map(|frame| frame.to_string())
    .to_vec()
}

/// `exchangeInfo` of one symbol.
pub fn exchange_info() -> Value {
    json!({"timezone":"UTC","serverTime":1790000000000_i64,
        "rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000},
            {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50},
            {"rateLimitType":"CONNECTIONS","interval":"MINUTE","intervalNum":5,"limit":300}],
        "exchangeFilters":[],
        "symbols":[{"symbol":"SOLUSDT","status":"TRADING","baseAsset":"SOL","quoteAsset":"USDT",
            "orderTypes":["LIMIT","LIMIT_MAKER","MARKET","STOP_LOSS","STOP_LOSS_LIMIT"],"ocoAllowed":true,
            "filters":[
                {"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"100000.00000000","tickSize":"0.01000000"},
                {"filterType":"LOT_SIZE","minQty":"0.00100000","maxQty":"90000.00000000","stepSize":"0.00100000"},
                {"filterType":"MARKET_LOT_SIZE","minQty":"0.00000000","maxQty":"5000.00000000","stepSize":"0.00000000"},
                {"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,"maxNotional":"9000000.00000000",
                 "applyMaxToMarket":false,"avgPriceMins":5},
                {"filterType":"MAX_NUM_ORDERS","maxNumOrders":200},
                {"filterType":"MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5},
                {"filterType":"A_FILTER_OF_TOMORROW","something":1}]}]})
}

/// `account`: coins, and none of the quote currency.
pub fn account() -> Value {
    json!({"makerCommission":10,"canTrade":true,"updateTime":1790000000000_i64,"accountType":"SPOT","permissions":["SPOT"],
        "balances":[{"asset":"SOL","free":"10.00000001","locked":"2.50000000"},{"asset":"BNB","free":"1","locked":"0"}]})
}

/// `account/commission` with parts of all three kinds.
pub fn commission() -> Value {
    let rates =
        |maker: &str, taker: &str, seller: &str| json!({"maker":maker,"taker":taker,"buyer":"0.0","seller":seller});
    json!({"symbol":"SOLUSDT","standardCommission":rates("0.00080000","0.00100000","0.0"),
        "specialCommission":rates("0.0001","0.0002","0.0"),"taxCommission":rates("0.0","0.0","0.00050000"),
        "discount":{"enabledForAccount":true,"enabledForSymbol":true,"discountAsset":"BNB","discount":"0.75"}})
}
