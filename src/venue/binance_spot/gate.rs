//! The symbol's rules, before an order is written: what fails here would have been our fault.
//!
//! Thread: any.  Invariants: knows nothing but the symbol's rules; the engine's own checks are not repeated here, they
//! are checked. What the written order says is judged once more, by `last_gate`.

use super::trade::Refusal;
use crate::types::command::{CancelReplace, NewOco, NewOrder};
use crate::types::{Command, Instrument, OrderKind, Price, Qty};

/// The rules of the gate.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// The one symbol, with its filters.
    pub instrument: Instrument,
}

impl Gate {
    /// Whether `command` may become bytes.
    pub fn check(&self, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::Place(order) | Command::CancelReplace(CancelReplace { new: order, .. }) => self.order(order),
            Command::PlaceOco(oco) => self.oco(oco),
            Command::Cancel(_) | Command::CancelList(_) | Command::CancelAll | Command::Query(_) => Ok(()),
            Command::ArmTimer { .. } | Command::Alert(_) | Command::Record(_) => Err(Refusal::NotForVenue),
        }
    }

    fn order(&self, order: &NewOrder) -> Result<(), Refusal> {
        match order.kind {
            OrderKind::Limit | OrderKind::LimitMaker => self.limit(order.price, order.qty),
            OrderKind::Market => self.market(order.qty),
            OrderKind::StopLoss | OrderKind::StopLossLimit => Err(Refusal::NotOffered),
        }
    }

    fn limit(&self, price: Price, qty: Qty) -> Result<(), Refusal> {
        if self.instrument.accepts(price, qty) { Ok(()) } else { Err(Refusal::Filter) }
    }

    /// A market order has no price to check a value with.
    fn market(&self, qty: Qty) -> Result<(), Refusal> {
        let rules = &self.instrument;
        let most = if rules.market_qty_max > Qty::ZERO { rules.market_qty_max } else { rules.qty_max };
        let fits = qty > Qty::ZERO && qty >= rules.qty_min && qty <= most && rules.qty_floor(qty) == qty;
        if fits { Ok(()) } else { Err(Refusal::Filter) }
    }

    fn oco(&self, oco: &NewOco) -> Result<(), Refusal> {
        let rules = &self.instrument;
        let market_stop = oco.stop_limit == Price::ZERO;
        if !rules.oco_allowed || (market_stop && !rules.stop_market_allowed) {
            return Err(Refusal::NotOffered);
        }
        self.limit(oco.tp_price, oco.qty)?;
        self.limit(oco.stop_price, oco.qty)?;
        if market_stop {
            self.market(oco.qty)?;
        } else {
            self.limit(oco.stop_limit, oco.qty)?;
        }
        let ordered = oco.stop_price < oco.tp_price && oco.stop_limit <= oco.stop_price;
        if ordered { Ok(()) } else { Err(Refusal::Filter) }
    }
}
