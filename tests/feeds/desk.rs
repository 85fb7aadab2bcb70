//! The house with every feed on, and what its tests ask of it.

use serde_json::Value;
use sol_volume_bot::sim::scenario::Scenario;

use crate::rig::{Rig, price};

/// Above the band, where the scenario stands; inside it.
pub const ABOVE: &str = "162.50";
pub const INSIDE: &str = "161.00";

/// Streams in use beside Binance's and the slots.
pub const FURTHER: [&str; 9] = [
    "kraken_book",
    "kraken_ticker",
    "kraken_trade",
    "dex_book",
    "jupiter",
    "pump_chain",
    "defillama",
    "pumpfun",
    "coingecko",
];

/// Over the rig's own configuration: nothing is optional. CoinGecko's list says a time up to five minutes back, the
/// chain's newest bucket ended as long ago: those two limits stay as in life.
const ALL: &str = r#"
[thresholds]
meme_drop_sol_pct = 0.20
confirmations_min = 1
[feeds]
volume_source = "rolling24"
dex_book = "manifest"
chain_scope = "curve+amm"
optional = []
coingecko_poll = "1s"
jupiter_quotes_per_minute = 1200
[execution]
tranches = 1
[feeds.stale_after_ms]
binance_bbo = 1000
binance_depth = 1000
binance_trade = 2000
binance_user = 10000
solana_slot = 1000
kraken_book = 1000
kraken_ticker = 1500
kraken_trade = 2000
dex_book = 3000
jupiter = 2000
defillama = 8000
pumpfun = 8000
[endpoints]
kraken_ws = "{ws}/kraken/ws"
kraken_rest = "{http}/kraken"
jupiter = "{http}/jupiter"
coingecko = "{http}/coingecko"
bitquery = "{http}/bitquery"
"#;

/// The rig with every feed on, started and ready.
pub fn all() -> Rig {
    let mut rig = built(&[], |_| {});
    rig.start();
    rig
}

/// The same with all three tranches, for a story in which nothing falls silent by chance: its limits outlast a machine
/// that stands still.
pub fn all_patient() -> Rig {
    let long = [" = 1000\n", " = 1500\n", " = 2000\n"].map(|short| (short, " = 4000\n"));
    let mut rig = built(&[&long[..], &[("tranches = 1", "tranches = 3")]].concat(), |_| {});
    rig.start();
    rig
}

/// The same, not started, with limits of silence of its own and a chain as `shape` makes it. The mid trembles by a tick, so
/// that no book stands still.
pub fn built(limits: &[(&str, &str)], shape: impl FnOnce(&mut Scenario)) -> Rig {
    let config = limits.iter().fold(ALL.to_owned(), |config, (usual, own)| config.replace(usual, own));
    Rig::open(&config, |scenario| {
        scenario.market.noise_ticks = 1;
        scenario.chain.rate_per_s = 60;
        shape(scenario);
    })
}

impl Rig {
    /// What `/readyz` says.
    pub fn reasons(&self) -> String {
        self.http("/readyz").1
    }
    /// Whether it names the stream as not up.
    pub fn names(&self, stream: &str) -> bool {
        self.reasons().contains(&format!("stream {stream} "))
    }
    /// Waits until all is well again.
    pub fn ready(&self) {
        self.until("ready again", |rig| rig.http("/readyz").0 == 200);
    }
    /// The newest decision.
    pub fn decision(&self) -> Value {
        self.status()["decision"].clone()
    }
    /// Whether a rule of the newest decision holds.
    pub fn holds(&self, rule: &str) -> bool {
        self.decision()["rules"][rule]["pass"] == true
    }
    /// The mid falls into the band and nothing is bought: by a rule of the signal, or by risk. Gives which. Then it rises
    /// again, and the engine has seen that.
    pub fn refuses(&self) -> String {
        let before = self.line_count();
        self.venue.set_mid(price(INSIDE));
        self.until("a refusal", |rig| rig.refused_since(before).is_some() || rig.failed_rule().is_some());
        let rule = self.refused_since(before).or_else(|| self.failed_rule());
        assert_eq!(self.entries(), [], "no entry may stand on a feed that is not well\n{}", self.story());
        self.venue.set_mid(price(ABOVE));
        self.until("above the band again", |rig| !rig.holds("support_high"));
        assert_eq!(self.entries(), [], "{}", self.story());
        rule.expect("it was there")
    }
    fn refused_since(&self, before: usize) -> Option<String> {
        let lines = self.lines();
        let refused = lines.iter().skip(before).find(|line| line["event"] == "REFUSED");
        refused.and_then(|line| line["rule"].as_str()).map(str::to_owned)
    }
    /// The first rule that does not hold though the mid is inside the band, or not known at all.
    fn failed_rule(&self) -> Option<String> {
        let decision = self.decision();
        let holds = |rule: &str| decision["rules"][rule]["pass"] == true;
        let is_blind = !holds("book_fresh");
        let rules = decision["rules"].as_object()?;
        let failed = rules.iter().find(|(name, rule)| !name.starts_with("support") && rule["pass"] == false);
        failed.filter(|_| is_blind || (holds("support_high") && holds("support_low"))).map(|(name, _)| name.clone())
    }
}
