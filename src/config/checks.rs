//! Checks across values: what is allowed alone may contradict something else.
//!
//! Thread: any.  Invariants: a fault names both values; checks read the checked config, never the raw text.

use super::error::{ConfigError, ConfigErrors, Fault, Origin};
use super::nearest::nearest;
use super::reader::Reader;
use super::values::{Config, Layout, Mode};
use crate::types::event::VolumeDefinition;
use crate::types::{Price, StreamId};
use crate::venue::bus;
use crate::venue::solana::ENDPOINTS_MAX;

/// Who says how much was traded.
const SOURCES: [StreamId; 4] = [StreamId::PumpChain, StreamId::DefiLlama, StreamId::PumpFun, StreamId::CoinGecko];

/// Adds a fault for every contradiction.
pub(super) fn cross_checks(config: &Config, reader: &mut Reader) {
    prices(config, reader);
    targets(config, reader);
    signal_exits(config, reader);
    cores(config, reader);
    peers(config, reader);
}

/// The streams of these names; a name that the bus cannot carry is a fault.
pub(super) fn bus_streams(names: &[String], reader: &mut Reader) -> Vec<StreamId> {
    let known = || bus::STREAMS.iter().map(|stream| stream.name());
    let mut streams = Vec::new();
    for name in names {
        match bus::STREAMS.iter().find(|stream| stream.name() == name) {
            Some(stream) if streams.contains(stream) => {}
            Some(stream) => streams.push(*stream),
            None => {
                let near = nearest(name, known()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let allowed = known().collect::<Vec<_>>().join(", ");
                let why = format!("`{name}` is no stream that comes over a bus{near}; allowed: {allowed}");
                reader.conflict("feeds.nats_streams", why);
            }
        }
    }
    streams
}

/// What the mode does not allow, the command line's included. Real orders are priced by the venue that takes them, and
/// what a bus says is confirmed by somebody else.
pub(super) fn of_mode(config: &Config, file: &str) -> Result<(), ConfigErrors> {
    if config.mode == Mode::Live {
        prices_of_bus(config, file)?;
        sources_of_bus(config, file)?;
    }
    Ok(())
}

fn bus_conflict(config: &Config, file: &str, why: String) -> Result<(), ConfigErrors> {
    let (origin, key) = (Origin::Path(file.to_owned()), "feeds.nats_streams".to_owned());
    let value = config.effective.get(&key).cloned();
    Err(ConfigErrors(vec![ConfigError { origin, key, value, fault: Fault::Conflict(why) }]))
}

fn prices_of_bus(config: &Config, file: &str) -> Result<(), ConfigErrors> {
    let of_venue = [StreamId::BinanceBbo, StreamId::BinanceTrade, StreamId::BinanceCandle];
    let taken = of_venue.iter().find(|stream| config.feeds.is_from_bus(**stream));
    let Some(stream) = taken else { return Ok(()) };
    let why = format!(
        "`{}` cannot come over a bus in live mode: the prices of real orders come from the venue itself; leave it out, \
         or run in paper mode",
        stream.name()
    );
    bus_conflict(config, file, why)
}

/// Whoever may write to the bus must not be able to trigger and to confirm alike.
fn sources_of_bus(config: &Config, file: &str) -> Result<(), ConfigErrors> {
    let trigger = config.feeds.volume_stream();
    if !config.feeds.is_from_bus(trigger) {
        return Ok(());
    }
    let is_another_hand = |stream: &StreamId| SOURCES.contains(stream) && !config.feeds.is_from_bus(*stream);
    let others = config.feeds_in_use().into_iter().filter(is_another_hand).count();
    if usize::try_from(config.params.confirmations_min).is_ok_and(|wanted| wanted <= others) {
        return Ok(());
    }
    let why = format!(
        "`{}` triggers and comes over the bus, so that in live mode thresholds.confirmations_min ({}) must be met by \
         sources that do not ({others} in use); take one off the bus, or run in paper mode",
        trigger.name(),
        config.params.confirmations_min
    );
    bus_conflict(config, file, why)
}

fn prices(config: &Config, reader: &mut Reader) {
    let p = &config.params;
    if p.support_low > p.support_high {
        let why = format!("must not be above thresholds.support_high ({}); swap the two or lower it", p.support_high);
        reader.conflict("thresholds.support_low", why);
    }
    if p.stop_loss >= p.support_low {
        let why = format!(
            "must be below thresholds.support_low ({}): the stop lies under the band; set it lower",
            p.support_low
        );
        reader.conflict("risk.stop_loss", why);
    }
}

fn targets(config: &Config, reader: &mut Reader) {
    let p = &config.params;
    let fixed = |price: Price| price != Price::ZERO;
    for (key, price) in [("execution.take_profit_1", p.tp1_price), ("execution.take_profit_2", p.tp2_price)] {
        if fixed(price) && price <= p.support_high {
            let why = format!(
                "must be above thresholds.support_high ({}): a target inside the band sells at a loss",
                p.support_high
            );
            reader.conflict(key, why);
        }
    }
    let out_of_order = match (fixed(p.tp1_price), fixed(p.tp2_price)) {
        (true, true) => p.tp2_price < p.tp1_price,
        (false, false) => p.tp2_above < p.tp1_above,
        _ => false,
    };
    if out_of_order {
        reader.conflict(
            "execution.take_profit_2",
            "must not be below execution.take_profit_1; raise it or swap the two".to_owned(),
        );
    }
}

fn signal_exits(config: &Config, reader: &mut Reader) {
    let p = &config.params;
    if reader.says("thresholds.meme_recover_pct") && p.meme_recover >= p.meme_drop {
        let why = format!("must be below thresholds.meme_drop_pct ({}): else every entry exits at once", p.meme_drop);
        reader.conflict("thresholds.meme_recover_pct", why);
    }
    if reader.says("thresholds.rsi_exit") && p.rsi_exit <= p.rsi_max {
        let why = format!("must be above thresholds.rsi_max ({}): else an entry may exit at once", p.rsi_max);
        reader.conflict("thresholds.rsi_exit", why);
    }
}

fn cores(config: &Config, reader: &mut Reader) {
    let cores = &config.threads.cores;
    let needed = match config.threads.layout {
        Layout::Four => 4,
        Layout::Fused => 2,
        Layout::Auto => 1,
    };
    if !cores.is_empty() && cores.len() < needed {
        let why = format!(
            "names {} core(s) but threads.layout needs {needed}; name more, or [] to choose by itself",
            cores.len()
        );
        reader.conflict("threads.cores", why);
    }
    let mut sorted = cores.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
        reader.conflict("threads.cores", "names a core twice; name each once".to_owned());
    }
}

fn peers(config: &Config, reader: &mut Reader) {
    if !config.ops.listen.ip().is_loopback() && config.ops.token.is_none() {
        let why =
            "is not a loopback address, so ops.token must name the variable of a token; add it, or listen on 127.0.0.1";
        reader.conflict("ops.listen", why.to_owned());
    }
    let has_pumpfun = config.endpoints.pumpfun.is_some() || config.feeds.is_from_bus(StreamId::PumpFun);
    if config.feeds.volume_source == VolumeDefinition::Sampled24 && !has_pumpfun {
        reader.conflict(
            "feeds.volume_source",
            "needs endpoints.pumpfun, a URL that answers the 24 h volume; add it, or use \"rolling24\" or \"utc_day\""
                .to_owned(),
        );
    }
    if config.feeds.volume_source == VolumeDefinition::Rolling24 && !config.counts_chain() {
        reader.conflict(
            "feeds.chain_scope",
            "but feeds.volume_source = \"rolling24\" counts on it; allowed with it: \"curve+amm\", \"curve\""
                .to_owned(),
        );
    }
    if config.feeds.volume_source == VolumeDefinition::UtcDay && config.endpoints.defillama.is_none() {
        reader.conflict(
            "feeds.volume_source",
            "needs endpoints.defillama; give its address, or use \"rolling24\"".to_owned(),
        );
    }
    if config.endpoints.solana_ws_more.len() >= ENDPOINTS_MAX {
        let why = format!("names too many nodes; with endpoints.solana_ws at most {ENDPOINTS_MAX}");
        reader.conflict("endpoints.solana_ws_more", why);
    }
    let in_use = config.feeds_in_use().into_iter().filter(|stream| SOURCES.contains(stream)).count();
    let others = in_use.saturating_sub(1); // one of them triggers
    if usize::try_from(config.params.confirmations_min).is_ok_and(|wanted| wanted > others) {
        let why = format!(
            "asks for more confirmations than there are other volume sources ({others}); set endpoints.pumpfun, or \
             lower it"
        );
        reader.conflict("thresholds.confirmations_min", why);
    }
    if config.feeds.defillama_slugs.is_empty() {
        reader.conflict(
            "feeds.defillama_slugs",
            "must name at least one protocol, for example [\"pump.fun\", \"pumpswap\"]".to_owned(),
        );
    }
    let halves = [
        ("alerts.telegram_token", &config.alerts.telegram_token, "alerts.telegram_chat", &config.alerts.telegram_chat),
        ("exchange.kraken_key", &config.exchange.kraken_key, "exchange.kraken_sec", &config.exchange.kraken_sec),
        ("guard.binance_key", &config.guard.binance_key, "guard.binance_sec", &config.guard.binance_sec),
    ];
    for (one, one_name, other, other_name) in halves {
        let alone = [(one, one_name, other, other_name), (other, other_name, one, one_name)];
        for (present, has, absent, lacks) in alone {
            if has.is_some() && lacks.is_none() && reader.says(present) && !reader.says(absent) {
                reader.conflict(present, format!("needs {absent} too; add it or remove this"));
            }
        }
    }
}
