//! The asking methods: the market's and the account's state as JSON.
//!
//! Thread: any.  Invariants: nothing here changes the exchange.

use super::Venue;
use super::error::ApiError;
use super::events::levels;
use super::limits::WEIGHT_PER_MINUTE_MAX;
use super::orders::{order_ref, symbol};
use super::params::Params;
use super::render::{self, qty_e8};
use crate::sim::exchange::{Interval, PublicTrade, SymbolSpec, TradesQuery};
use crate::sim::server::json::{Obj, array, quoted};
use crate::types::instrument::Symbol;
use crate::types::{Millis, Side, Time};

/// Rows a request gets if it does not say.
const ROWS: i64 = 500;
/// Rows a request gets at most.
const ROWS_MAX: i64 = 1_000;

fn limit(params: &Params, usual: i64, max: i64) -> Result<usize, ApiError> {
    let wanted = params.int("limit")?.unwrap_or(usual);
    if wanted < 1 {
        return Err(ApiError::illegal("limit", "^[0-9]{1,20}$"));
    }
    Ok(wanted.min(max) as usize)
}

fn instant(params: &Params, name: &str) -> Result<Option<Time>, ApiError> {
    Ok(params.int(name)?.map(|ms| Time::from_millis(Millis(ms))))
}

fn unknown_symbol() -> ApiError {
    ApiError::new(-1121, "Invalid symbol.")
}

impl Venue {
    fn known(&self, params: &Params) -> Result<Symbol, ApiError> {
        let symbol = symbol(params)?;
        if self.exchange.spec(symbol).is_some() { Ok(symbol) } else { Err(unknown_symbol()) }
    }

    /// The symbols a request names by `symbol` or `symbols`; all of them if it names none.
    fn wanted(&self, params: &Params) -> Result<Vec<SymbolSpec>, ApiError> {
        if params.get("symbol").is_some() {
            let symbol = self.known(params)?;
            return Ok(self.exchange.spec(symbol).copied().into_iter().collect());
        }
        let Some(text) = params.get("symbols") else { return Ok(self.exchange.symbols().copied().collect()) };
        let names: Vec<String> =
            serde_json::from_str(text).map_err(|_| ApiError::illegal("symbols", r#"^\["[A-Z0-9]…"(,…)*\]$"#))?;
        let spec = |name: &String| {
            let symbol = Symbol::new(name).ok_or_else(unknown_symbol)?;
            self.exchange.spec(symbol).copied().ok_or_else(unknown_symbol)
        };
        names.iter().map(spec).collect()
    }

    /// One object for one `symbol`, an array else.
    fn each_symbol(&self, params: &Params, row: impl Fn(&SymbolSpec) -> String) -> Result<String, ApiError> {
        let rows: Vec<String> = self.wanted(params)?.iter().map(row).collect();
        Ok(if params.get("symbol").is_some() { rows.concat() } else { array(rows) })
    }

    pub(super) fn exchange_info(&self, params: &Params, now: Time) -> Result<String, ApiError> {
        let symbols = array(self.wanted(params)?.iter().map(|spec| self.symbol_info(spec)));
        let settings = self.exchange.settings();
        let limit = |kind: &str, interval: &str, num: i64, limit: i64| {
            let row = Obj::new().text("rateLimitType", kind).text("interval", interval);
            row.int("intervalNum", num).int("limit", limit).end()
        };
        let limits = array([
            limit("REQUEST_WEIGHT", "MINUTE", 1, i64::from(WEIGHT_PER_MINUTE_MAX)),
            limit("ORDERS", "SECOND", 10, i64::from(settings.orders_per_10s)),
            limit("ORDERS", "DAY", 1, i64::from(settings.orders_per_day)),
            limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ]);
        let head = Obj::new().text("timezone", "UTC").int("serverTime", now.millis().0).raw("rateLimits", &limits);
        Ok(head.raw("exchangeFilters", "[]").raw("symbols", &symbols).end())
    }

    fn symbol_info(&self, spec: &SymbolSpec) -> String {
        let status = self.exchange.status(spec.symbol).map_or("BREAK", |status| status.name());
        let types = crate::sim::exchange::OrderType::ALL.iter().map(|kind| quoted(kind.name()));
        let mut body = Obj::new()
            .text("symbol", spec.symbol.as_str())
            .text("status", status)
            .text("baseAsset", spec.base.as_str())
            .int("baseAssetPrecision", 8)
            .text("quoteAsset", spec.quote.as_str());
        for name in ["quotePrecision", "quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision"] {
            body = body.int(name, 8);
        }
        body = body.raw("orderTypes", &array(types));
        let flags = [
            ("icebergAllowed", false),
            ("ocoAllowed", true),
            ("otoAllowed", false),
            ("opoAllowed", false),
            ("quoteOrderQtyMarketAllowed", true),
            ("allowTrailingStop", false),
            ("cancelReplaceAllowed", true),
            ("amendAllowed", false),
            ("pegInstructionsAllowed", false),
            ("isSpotTradingAllowed", true),
            ("isMarginTradingAllowed", false),
        ];
        for (name, allowed) in flags {
            body = body.bool(name, allowed);
        }
        body.raw("filters", &filters(spec))
            .raw("permissions", "[]")
            .raw("permissionSets", "[[\"SPOT\"]]")
            .text("defaultSelfTradePreventionMode", "EXPIRE_MAKER")
            .raw("allowedSelfTradePreventionModes", "[\"NONE\",\"EXPIRE_TAKER\",\"EXPIRE_MAKER\",\"EXPIRE_BOTH\"]")
            .end()
    }

    pub(super) fn depth(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = self.known(params)?;
        let limit = limit(params, 100, 5_000)?;
        let depth = self.exchange.depth(symbol, limit).ok_or_else(unknown_symbol)?;
        let head = Obj::new().int("lastUpdateId", depth.last_update_id as i64);
        Ok(head.raw("bids", &levels(&depth.bids)).raw("asks", &levels(&depth.asks)).end())
    }

    pub(super) fn klines(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = self.known(params)?;
        params.need("interval")?;
        let interval = params.word("interval", Interval::parse, || ApiError::new(-1120, "Invalid interval."))?;
        let interval = interval.ok_or_else(|| ApiError::missing("interval"))?;
        let span = (instant(params, "startTime")?, instant(params, "endTime")?);
        let rows = self.exchange.klines(symbol, interval, span, limit(params, ROWS, ROWS_MAX)?);
        Ok(array(rows.iter().map(render::kline)))
    }

    pub(super) fn recent_trades(&self, params: &Params) -> Result<String, ApiError> {
        let trades = self.exchange.recent_trades(self.known(params)?, limit(params, ROWS, ROWS_MAX)?);
        let row = |trade: &PublicTrade| {
            let quote = crate::types::units::notional_floor(trade.price, trade.qty).unwrap_or_default();
            let body = Obj::new().int("id", trade.id).e8("price", trade.price.0).e8("qty", qty_e8(trade.qty));
            let body = body.e8("quoteQty", quote.0).int("time", trade.at.millis().0);
            body.bool("isBuyerMaker", trade.aggressor == Side::Sell).bool("isBestMatch", true).end()
        };
        Ok(array(trades.iter().map(row)))
    }

    pub(super) fn aggregate_trades(&self, params: &Params) -> Result<String, ApiError> {
        let trades = self.exchange.recent_trades(self.known(params)?, limit(params, ROWS, ROWS_MAX)?);
        let row = |trade: &PublicTrade| {
            let body = Obj::new().int("a", trade.id).e8("p", trade.price.0).e8("q", qty_e8(trade.qty));
            let body = body.int("f", trade.id).int("l", trade.id).int("T", trade.at.millis().0);
            body.bool("m", trade.aggressor == Side::Sell).bool("M", true).end()
        };
        Ok(array(trades.iter().map(row)))
    }

    pub(super) fn book_ticker(&self, params: &Params) -> Result<String, ApiError> {
        self.each_symbol(params, |spec| {
            let Some(bbo) = self.exchange.bbo(spec.symbol) else { return "null".to_owned() };
            let body = Obj::new().text("symbol", spec.symbol.as_str()).e8("bidPrice", bbo.bid.0);
            let body = body.e8("bidQty", qty_e8(bbo.bid_qty)).e8("askPrice", bbo.ask.0);
            body.e8("askQty", qty_e8(bbo.ask_qty)).end()
        })
    }

    pub(super) fn price_ticker(&self, params: &Params) -> Result<String, ApiError> {
        self.each_symbol(params, |spec| {
            let last = self.exchange.last_price(spec.symbol).unwrap_or_default();
            Obj::new().text("symbol", spec.symbol.as_str()).e8("price", last.0).end()
        })
    }

    pub(super) fn average_price(&self, params: &Params, now: Time) -> Result<String, ApiError> {
        let price = self.exchange.avg_price(self.known(params)?).unwrap_or_default();
        Ok(Obj::new().int("mins", 5).e8("price", price.0).int("closeTime", now.millis().0).end())
    }

    pub(super) fn account_status(&self, params: &Params) -> Result<String, ApiError> {
        let omit_zero = params.bool("omitZeroBalances")?.unwrap_or(false);
        Ok(render::account(&self.exchange.account(self.account), omit_zero))
    }

    pub(super) fn account_commission(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = self.known(params)?;
        Ok(render::commission(symbol.as_str(), &self.exchange.account(self.account)))
    }

    pub(super) fn order_status(&self, params: &Params) -> Result<String, ApiError> {
        let target = order_ref(params, "orderId", "origClientOrderId")?;
        Ok(render::queried(self.exchange.order(self.account, self.known(params)?, &target)?))
    }

    pub(super) fn open_orders(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = if params.get("symbol").is_some() { Some(self.known(params)?) } else { None };
        Ok(array(self.exchange.open_orders(self.account, symbol).into_iter().map(render::queried)))
    }

    pub(super) fn all_orders(&self, params: &Params) -> Result<String, ApiError> {
        let rows = limit(params, ROWS, ROWS_MAX)?;
        let orders = self.exchange.all_orders(self.account, self.known(params)?, params.int("orderId")?, rows);
        Ok(array(orders.into_iter().map(render::queried)))
    }

    pub(super) fn order_list(&self, params: &Params) -> Result<String, ApiError> {
        let target = order_ref(params, "orderListId", "origClientOrderId")?;
        Ok(render::list(&self.exchange.order_list(self.account, &target)?.list))
    }

    pub(super) fn open_lists(&self) -> String {
        array(self.exchange.open_lists(self.account).into_iter().map(render::list))
    }

    pub(super) fn all_lists(&self, params: &Params) -> Result<String, ApiError> {
        let rows = limit(params, ROWS, ROWS_MAX)?;
        let lists = self.exchange.all_lists(self.account, params.int("fromId")?, rows);
        Ok(array(lists.into_iter().map(render::list)))
    }

    pub(super) fn my_trades(&self, params: &Params) -> Result<String, ApiError> {
        let from_id = params.int("fromId")?;
        let (start, end) = (instant(params, "startTime")?, instant(params, "endTime")?);
        let query = match (params.int("orderId")?, from_id, start.is_some() || end.is_some()) {
            (Some(order_id), from_id, _) => TradesQuery::OfOrder { order_id, from_id: from_id.unwrap_or(0) },
            (None, Some(from_id), _) => TradesQuery::FromId(from_id),
            (None, None, true) => {
                let day = crate::types::time::NANOS_PER_DAY;
                let start = start.or(end.map(|end| end.plus(-day))).unwrap_or_default();
                TradesQuery::Between(start, end.unwrap_or(start.plus(day)))
            }
            (None, None, false) => TradesQuery::Newest,
        };
        let rows = limit(params, ROWS, ROWS_MAX)?;
        let trades = self.exchange.my_trades(self.account, self.known(params)?, query, rows)?;
        Ok(array(trades.iter().map(render::trade)))
    }
}

fn filters(spec: &SymbolSpec) -> String {
    let filter = |name: &str| Obj::new().text("filterType", name);
    let mut rows = vec![
        filter("PRICE_FILTER")
            .e8("minPrice", spec.price_min.0)
            .e8("maxPrice", spec.price_max.0)
            .e8("tickSize", spec.tick.0)
            .end(),
        filter("LOT_SIZE")
            .e8("minQty", qty_e8(spec.qty_min))
            .e8("maxQty", qty_e8(spec.qty_max))
            .e8("stepSize", qty_e8(spec.lot))
            .end(),
        filter("MARKET_LOT_SIZE").e8("minQty", 0).e8("maxQty", qty_e8(spec.market_qty_max)).e8("stepSize", 0).end(),
        filter("PERCENT_PRICE_BY_SIDE")
            .e8("bidMultiplierUp", spec.percent.bid_up.0)
            .e8("bidMultiplierDown", spec.percent.bid_down.0)
            .e8("askMultiplierUp", spec.percent.ask_up.0)
            .e8("askMultiplierDown", spec.percent.ask_down.0)
            .int("avgPriceMins", i64::from(spec.avg_price_mins))
            .end(),
        filter("NOTIONAL")
            .e8("minNotional", spec.notional_min.0)
            .bool("applyMinToMarket", true)
            .e8("maxNotional", spec.notional_max.0)
            .bool("applyMaxToMarket", false)
            .int("avgPriceMins", i64::from(spec.avg_price_mins))
            .end(),
        filter("MAX_NUM_ORDERS").int("maxNumOrders", spec.orders_max as i64).end(),
        filter("MAX_NUM_ALGO_ORDERS").int("maxNumAlgoOrders", spec.algo_orders_max as i64).end(),
        filter("MAX_NUM_ORDER_LISTS").int("maxNumOrderLists", spec.lists_max as i64).end(),
    ];
    if let Some(most) = spec.position_max {
        rows.push(filter("MAX_POSITION").e8("maxPosition", qty_e8(most)).end());
    }
    array(rows)
}
