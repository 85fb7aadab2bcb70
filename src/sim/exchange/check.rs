//! The proof that no money is lost or made: run after every event in tests and in the virtual world.
//!
//! Thread: any.  Invariants: reads only; O(orders).

use super::Exchange;
use super::order::{AccountId, Amount, HOUSE, Order, QTY_PER_AMOUNT};
use crate::types::instrument::Symbol;
use crate::types::order::Side;
use crate::types::units::Price;

/// What does not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Balances and fees together are not what was deposited.
    #[error("{asset}: accounts and fees hold {held}, deposits less withdrawals are {issued}")]
    NotConserved {
        /// Asset.
        asset: Symbol,
        /// Held by all accounts and as fees.
        held: Amount,
        /// Put in from outside.
        issued: Amount,
    },
    /// An account's locked part is not what its open orders need.
    #[error("account {}: {asset} locked {locked}, open orders need {needed}", .account.0)]
    Locked {
        /// Account.
        account: AccountId,
        /// Asset.
        asset: Symbol,
        /// Locked.
        locked: Amount,
        /// What open orders need.
        needed: Amount,
    },
    /// A customer owes.
    #[error("account {}: {asset} is negative", .account.0)]
    Negative {
        /// Account.
        account: AccountId,
        /// Asset.
        asset: Symbol,
    },
    /// Best bid at or above best ask.
    #[error("{symbol}: the book is crossed, bid {bid} ask {ask}")]
    Crossed {
        /// Symbol.
        symbol: Symbol,
        /// Best bid.
        bid: Price,
        /// Best ask.
        ask: Price,
    },
    /// A level's total is not the sum of its orders, or an order in it has ended.
    #[error("{symbol}: level {price} does not match its orders")]
    Level {
        /// Symbol.
        symbol: Symbol,
        /// Its price.
        price: Price,
    },
    /// An order's sizes do not add up.
    #[error("order {id}: sizes do not add up")]
    Sizes {
        /// Order.
        id: i64,
    },
}

impl Exchange {
    /// Checks every promise of the module's head. Errors: the first [`Violation`] found.
    pub fn conserved(&self) -> Result<(), Violation> {
        self.check_totals()?;
        self.check_locks()?;
        self.check_books()?;
        self.check_sizes()
    }

    fn check_totals(&self) -> Result<(), Violation> {
        for (number, asset) in self.assets.iter().enumerate() {
            let balances = self.accounts.iter().map(|account| account.balances[number]);
            let accounts: i64 = balances.map(|balance| balance.free.0 + balance.locked.0).sum();
            let (held, issued) = (Amount(accounts + self.fees[number].0), self.issued[number]);
            if held != issued {
                return Err(Violation::NotConserved { asset: *asset, held, issued });
            }
        }
        Ok(())
    }

    fn check_locks(&self) -> Result<(), Violation> {
        for (index, holder) in self.accounts.iter().enumerate().skip(1) {
            let account = AccountId(index as u32);
            let mut needed = vec![0_i64; self.assets.len()];
            for order in self.orders.values().filter(|order| order.account == account && order.status.is_live()) {
                needed[self.spends(order)] += self.own_share(order);
            }
            for (number, balance) in holder.balances.iter().enumerate() {
                let asset = self.assets[number];
                let (locked, needed) = (balance.locked, Amount(needed[number]));
                if locked != needed {
                    return Err(Violation::Locked { account, asset, locked, needed });
                }
                if balance.free.0 < 0 {
                    return Err(Violation::Negative { account, asset });
                }
            }
        }
        Ok(())
    }

    /// What one live order adds to the lock, worked out anew: two live legs need the larger of both, once.
    fn own_share(&self, order: &Order) -> i64 {
        let plain = |order: &Order| match order.side {
            Side::Sell => order.leaves().0 / QTY_PER_AMOUNT,
            Side::Buy => {
                let limit = if order.kind.is_market() { order.stop_price } else { order.price };
                let value_e17 = i128::from(limit.0) * i128::from(order.leaves().0);
                (value_e17 / i128::from(crate::types::units::QTY_SCALE)) as i64
            }
        };
        match self.live_partner(order.id).and_then(|partner| self.orders.get(&partner)) {
            None => plain(order),
            Some(partner) if partner.id < order.id => 0,
            Some(partner) => plain(order).max(plain(partner)),
        }
    }

    fn check_books(&self) -> Result<(), Violation> {
        for pair in &self.pairs {
            let symbol = pair.spec.symbol;
            let bbo = pair.bbo();
            if bbo.bid.0 != 0 && bbo.ask.0 != 0 && bbo.bid >= bbo.ask {
                return Err(Violation::Crossed { symbol, bid: bbo.bid, ask: bbo.ask });
            }
            for side in [Side::Buy, Side::Sell] {
                for (price, level) in pair.book.best_first(side) {
                    let fits = |order: &&Order| order.price == *price && order.side == side && order.is_working();
                    let resting = level.queue.iter().filter_map(|id| self.orders.get(id)).filter(fits);
                    let (count, total) = resting.fold((0, 0), |(n, sum), order| (n + 1, sum + order.leaves().0));
                    if count != level.queue.len() || total != level.total.0 || total <= 0 {
                        return Err(Violation::Level { symbol, price: *price });
                    }
                }
            }
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), Violation> {
        for order in self.orders.values() {
            let left = order.unfilled().0;
            let ended = !order.status.is_live();
            let house_ended = order.account == HOUSE && ended;
            if left < 0 || order.cum_qty.0 < 0 || house_ended || (ended && order.hold.0 != 0) {
                return Err(Violation::Sizes { id: order.id });
            }
        }
        Ok(())
    }
}
