//! The engine's ledger as rows of text and integers, read after the engine has ended.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use sol_volume_bot::types::{Notional, Price, Qty};

/// One row, by column.
pub type Row = BTreeMap<String, String>;

/// `engine.db`.
pub struct Books(Connection);

impl Books {
    /// Opens it in the child's data folder.
    pub fn open(data_dir: &Path) -> Books {
        Books(Connection::open(data_dir.join("engine.db")).expect("the ledger opens"))
    }
    /// All rows of a query, every value as text, NULL as an empty one.
    pub fn rows(&self, sql: &str) -> Vec<Row> {
        let mut statement = self.0.prepare(sql).expect("good SQL");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let rows = statement.query_map([], |row| {
            let text = |at: usize| -> rusqlite::Result<String> {
                Ok(match row.get_ref(at)? {
                    rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                    rusqlite::types::ValueRef::Text(value) => String::from_utf8_lossy(value).into_owned(),
                    _ => String::new(),
                })
            };
            names.iter().enumerate().map(|(at, name)| Ok((name.clone(), text(at)?))).collect()
        });
        rows.expect("the query runs").collect::<Result<_, _>>().expect("every row reads")
    }
    /// Fills, oldest first.
    pub fn fills(&self) -> Vec<Row> {
        self.rows("SELECT * FROM fills ORDER BY trade_id")
    }
    /// Round trips, oldest first.
    pub fn trades(&self) -> Vec<Row> {
        self.rows("SELECT * FROM trades ORDER BY id")
    }
    /// Orders of one purpose, oldest first.
    pub fn orders(&self, purpose: &str) -> Vec<Row> {
        let rows = self.rows("SELECT * FROM orders ORDER BY created_ns, client_order_id");
        rows.into_iter().filter(|row| row["purpose"] == purpose).collect()
    }
    /// Orders that the ledger holds for not ended.
    pub fn live_orders(&self) -> Vec<Row> {
        self.rows("SELECT * FROM orders WHERE status IN ('PENDING', 'WORKING', 'PARTLY_FILLED', 'UNKNOWN')")
    }
    /// The round trips together made what the fills made, to the last unit. What no sum of fills tells is what the coins
    /// left over cost: between the cheapest and the dearest buy, by the order in which coins came and went.
    pub fn profit_agrees(&self) -> Result<(), String> {
        let (fills, trades) = (self.fills(), self.trades());
        let told: i128 = trades.iter().map(|row| i128::from(money(&row["pnl"]).0)).sum();
        let (mut cash, mut held, mut per_coin) = (0_i128, 0_i128, Vec::new());
        for fill in &fills {
            let (px, qty) = (i128::from(money(&fill["price"]).0), i128::from(coins(&fill["qty"]).0));
            let (base_fee, quote_fee) = match fill["fee_asset"].as_str() {
                "BASE" => (i128::from(coins(&fill["fee"]).0), 0),
                _ => (0, i128::from(money(&fill["fee"]).0)),
            };
            let value = px * qty / COIN;
            if fill["side"] == "BUY" {
                (cash, held) = (cash - value - quote_fee, held + qty - base_fee);
                per_coin.push((value + quote_fee) * COIN / (qty - base_fee));
            } else {
                (cash, held) = (cash + value - quote_fee, held - qty - base_fee);
            }
        }
        let cost = |per_coin: Option<&i128>| held * per_coin.unwrap_or(&0) / COIN;
        let rounded = fills.len() as i128; // a unit a fill
        let least = cash + cost(per_coin.iter().min()) - rounded;
        let most = cash + cost(per_coin.iter().max()) + rounded;
        if trades.is_empty() != fills.is_empty() || !(least..=most).contains(&told) {
            return Err(format!(
                "the round trips tell of {told}, the fills of {least} to {most} (1e-8 USDT): {trades:?}"
            ));
        }
        Ok(())
    }
}

/// Units of one coin.
const COIN: i128 = 1_000_000_000;

/// Money from its text.
pub fn money(text: &str) -> Notional {
    Notional::parse(text.as_bytes()).unwrap_or_else(|why| panic!("`{text}` is not money: {why}"))
}
/// A price from its text.
pub fn px(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap_or_else(|why| panic!("`{text}` is not a price: {why}"))
}
/// A size from its text.
pub fn coins(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).unwrap_or_else(|why| panic!("`{text}` is not a size: {why}"))
}
