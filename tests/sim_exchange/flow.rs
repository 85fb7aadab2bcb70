//! Random order flow of two accounts and the market: not one unit may be lost, and the events must tell the balances.
//!
//! Thread: the test's.  Invariants: a failure names its seed; `SEED` in the environment runs that one alone.

use crate::desk::{START, money, px, symbol};
use sol_volume_bot::sim::exchange::*;
use sol_volume_bot::sim::market::{Market, MarketSettings, SplitMix64};
use sol_volume_bot::types::order::{Side, TimeInForce};
use sol_volume_bot::types::time::Time;
use sol_volume_bot::types::units::{Notional, Price, QTY_SCALE, Qty, RATIO_SCALE, Ratio};
use std::collections::BTreeMap;

const OPERATIONS: i64 = 600;

fn seeds() -> Vec<u64> {
    match std::env::var("SEED").ok().and_then(|text| text.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..24).collect(),
    }
}

struct World {
    venue: Exchange,
    market: Market,
    accounts: [AccountId; 2],
    random: SplitMix64,
    now: Time,
    mid: Price,
    /// What the events said: free and locked by account and asset.
    told: BTreeMap<(AccountId, String), (Amount, Amount)>,
    cum: BTreeMap<i64, Qty>,
    fills: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let name = symbol("SOLUSDT");
        let mut settings = ExchangeSettings::solusdt(START);
        (settings.orders_per_10s, settings.orders_per_day) = (1_000, 100_000);
        (settings.fee_maker, settings.fee_taker) = (Ratio(RATIO_SCALE / 1_333), Ratio(RATIO_SCALE / 999));
        if seed.is_multiple_of(3) {
            let bound = |percent: i64| Ratio(RATIO_SCALE / 1_000 * percent);
            settings.symbols[0].price_range = Some(PriceRange { up: bound(1_002), down: bound(998) });
        }
        let mut venue = Exchange::new(settings).expect("a sound spec");
        let accounts = [venue.open_account(), venue.open_account()];
        for account in accounts {
            assert!(venue.deposit(account, symbol("SOL"), money("50"), START));
            assert!(venue.deposit(account, symbol("USDT"), money("9000"), START));
        }
        let levels = MarketSettings { levels: 5, level_qty: Qty(3 * QTY_SCALE), ..MarketSettings::liquid(name, seed) };
        World {
            venue,
            market: Market::new(levels),
            accounts,
            random: SplitMix64(seed ^ 0xABCD),
            now: START,
            mid: px("161.00"),
            told: BTreeMap::new(),
            cum: BTreeMap::new(),
            fills: 0,
        }
    }

    fn price(&mut self) -> Price {
        Price(self.mid.0 - self.mid.0 % 1_000_000 + (self.random.below(61) - 30) * 1_000_000)
    }
    fn request(&mut self) -> OrderRequest {
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let qty = Qty((1 + self.random.below(8_000)) * 1_000_000);
        let kind = OrderType::ALL[self.random.below(OrderType::ALL.len() as i64) as usize];
        let limited = !kind.is_market();
        let tif = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok][self.random.below(3) as usize];
        let by_money = kind == OrderType::Market && self.random.below(2) == 0;
        OrderRequest {
            symbol: symbol("SOLUSDT"),
            side,
            kind,
            tif: Some(tif).filter(|_| limited && kind != OrderType::LimitMaker),
            price: Some(self.price()).filter(|_| limited),
            qty: Some(qty).filter(|_| !by_money),
            quote_qty: Some(Notional(qty.0)).filter(|_| by_money),
            stop_price: Some(self.price()).filter(|_| kind.is_contingent()),
            client_id: Some(format!("c{}", self.random.below(40))),
            stp: StpMode::ALL.get(self.random.below(8) as usize).copied(),
        }
    }
    fn oco(&mut self) -> OcoRequest {
        let (limit, stop) = (self.request(), self.request());
        let tick = 1_000_000;
        let (up, down) =
            (self.mid.0 + (2 + self.random.below(20)) * tick, self.mid.0 - (2 + self.random.below(20)) * tick);
        let leg = |kind: OrderType, price: i64, client_id| {
            let price = Price(price - price % tick);
            LegRequest {
                kind,
                price: Some(price).filter(|_| !kind.is_market()),
                stop_price: Some(price).filter(|_| kind.is_contingent()),
                tif: Some(TimeInForce::Gtc)
                    .filter(|_| kind == OrderType::StopLossLimit || kind == OrderType::TakeProfitLimit),
                client_id,
            }
        };
        let win =
            [OrderType::LimitMaker, OrderType::TakeProfit, OrderType::TakeProfitLimit][self.random.below(3) as usize];
        let lose = [OrderType::StopLoss, OrderType::StopLossLimit][self.random.below(2) as usize];
        let (above, below) = if limit.side == Side::Sell { (win, lose) } else { (lose, win) };
        OcoRequest {
            symbol: limit.symbol,
            side: limit.side,
            qty: Qty((1 + self.random.below(5_000)) * 1_000_000),
            list_client_id: None,
            above: leg(above, up, limit.client_id),
            below: leg(below, down, stop.client_id),
            stp: None,
        }
    }
    fn cancel(&mut self) -> CancelRequest {
        let name = format!("c{}", self.random.below(40));
        CancelRequest { symbol: symbol("SOLUSDT"), target: OrderRef::client(&name), new_client_id: None, only: None }
    }

    /// One random operation; a refusal is as good as a success.
    fn operate(&mut self) {
        let account = self.accounts[self.random.below(2) as usize];
        self.now = self.now.plus(self.random.below(300) * 1_000_000);
        match self.random.below(12) {
            0..=3 => {
                let request = self.request();
                let _ = self.venue.place(account, &request, self.now);
            }
            4 => {
                let request = self.oco();
                let _ = self.venue.place_oco(account, &request, self.now);
            }
            5 => {
                let request = self.cancel();
                let _ = self.venue.cancel(account, &request, self.now);
            }
            6 => {
                let mode = [ReplaceMode::StopOnFailure, ReplaceMode::AllowFailure][self.random.below(2) as usize];
                let (cancel, new) = (self.cancel(), self.request());
                let request = ReplaceRequest { cancel, new, mode, over_limit: OverLimit::DoNothing };
                let _ = self.venue.cancel_replace(account, &request, self.now);
            }
            7 if self.random.below(6) == 0 => {
                let _ = self.venue.cancel_all(account, symbol("SOLUSDT"), self.now);
            }
            8 if self.random.below(4) == 0 => {
                let dust = Amount(1 + self.random.below(1_000_000));
                self.venue.withdraw(account, symbol("USDT"), dust, self.now);
            }
            _ => {
                self.mid.0 += (self.random.below(41) - 20) * 1_000_000;
                self.market.step(&mut self.venue, self.now, self.mid);
            }
        }
    }

    /// Takes the events and checks them against what they tell of.
    fn listen(&mut self) -> Result<(), String> {
        for (account, event) in self.venue.take_account_events() {
            match event {
                AccountEvent::Position { balances, .. } => {
                    for row in balances {
                        self.told.insert((account, row.asset.to_string()), (row.free, row.locked));
                    }
                }
                AccountEvent::Execution(told) => {
                    let seen = self.cum.entry(told.order.id).or_default();
                    if told.order.cum_qty < *seen {
                        return Err(format!("z of order {} fell", told.order.id));
                    }
                    let last = told.fill.map_or(Qty::ZERO, |fill| fill.qty);
                    if told.order.cum_qty.0 - seen.0 != last.0 {
                        return Err(format!("l and z of order {} do not fit", told.order.id));
                    }
                    *seen = told.order.cum_qty;
                    self.fills += usize::from(told.fill.is_some());
                }
                _ => {}
            }
        }
        for account in self.accounts {
            for row in self.venue.account(account).balances {
                let told = self.told.get(&(account, row.asset.to_string()));
                if told != Some(&(row.free, row.locked)) {
                    return Err(format!("account {}: {} was told {told:?}, holds {row:?}", account.0, row.asset));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn no_unit_is_lost_and_every_balance_is_told_whatever_two_accounts_do() {
    let mut fills = 0;
    for seed in seeds() {
        let mut world = World::new(seed);
        for operation in 0..OPERATIONS {
            world.operate();
            let sound = world.venue.conserved().map_err(|violation| violation.to_string());
            let sound = sound.and_then(|()| world.listen());
            assert_eq!(sound, Ok(()), "operation {operation}; SEED={seed} cargo test --test sim_exchange");
        }
        fills += world.fills;
    }
    assert!(fills > 1_000 || std::env::var("SEED").is_ok(), "the flow hardly traded: {fills} fills");
}
