//! DeFiLlama's answers: the summary of a protocol, the protocol list of a chain.
//!
//! Thread: any.  Invariants: amounts come from their own text ([`crate::venue::usd`]); every total may be absent or null.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bucket, DAYS_KEPT};
use crate::types::Notional;
use crate::venue::DecodeError;
use crate::venue::usd::{syntax_at, usd_in};

/// Seconds in a UTC day.
const SECS_PER_DAY: i64 = 86_400;

#[derive(Deserialize)]
struct RawSummary<'a> {
    #[serde(borrow, rename = "totalDataChart")]
    chart: Option<Vec<(i64, &'a RawValue)>>,
    #[serde(borrow)]
    total24h: Option<&'a RawValue>,
    #[serde(borrow)]
    total48hto24h: Option<&'a RawValue>,
}

/// What a summary holds for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Newest last, at most [`DAYS_KEPT`]; days without a value are left out.
    pub(super) days: Vec<Bucket>,
    /// Yesterday's total, the day before's.
    pub(super) totals: [Option<Notional>; 2],
}

/// Reads the body of `/summary/dexs/{slug}`.
///
/// Errors: [`DecodeError::Syntax`] for what is not JSON, [`DecodeError::Missing`] for an object without a chart (an
/// error message), [`DecodeError::BadNumber`] with the byte offset, [`DecodeError::Contradiction`] for a day that is told
/// twice with different values.
pub(super) fn summary(body: &[u8]) -> Result<Summary, DecodeError> {
    let raw: RawSummary = serde_json::from_slice(body).map_err(|error| syntax_at(body, &error))?;
    let chart = raw.chart.ok_or(DecodeError::Missing { name: "totalDataChart" })?;
    let mut days = Vec::with_capacity(DAYS_KEPT + 1);
    for (ts, value) in chart.iter().skip(chart.len().saturating_sub(DAYS_KEPT)) {
        if let Some(usd) = usd_in(body, value)? {
            days.push(Bucket { day: ts.div_euclid(SECS_PER_DAY), usd });
        }
    }
    days.sort_by_key(|bucket: &Bucket| bucket.day);
    let is_torn = |pair: &[Bucket]| matches!(pair, [a, b] if a.day == b.day && a.usd != b.usd);
    if days.windows(2).any(is_torn) {
        return Err(DecodeError::Contradiction { name: "totalDataChart" });
    }
    let total = |value: Option<&RawValue>| value.map_or(Ok(None), |value| usd_in(body, value));
    Ok(Summary { days, totals: [total(raw.total24h)?, total(raw.total48hto24h)?] })
}

#[derive(Deserialize)]
struct RawOverview<'a> {
    #[serde(borrow)]
    protocols: Option<Vec<RawProtocol<'a>>>,
}

#[derive(Deserialize)]
struct RawProtocol<'a> {
    name: Option<String>,
    slug: Option<String>,
    module: Option<String>,
    #[serde(borrow)]
    total24h: Option<&'a RawValue>,
}

/// A protocol of the chain's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Name as shown.
    pub name: String,
    /// Name in paths: what `feeds.defillama_slugs` wants.
    pub slug: String,
    /// Volume of yesterday; `None` = not given.
    pub total24h: Option<Notional>,
}

/// The protocols of `/overview/dexs/Solana` whose name contains "pump", without the double-counted app adapter.
pub fn pump_protocols(body: &[u8]) -> Result<Vec<Protocol>, DecodeError> {
    let raw: RawOverview = serde_json::from_slice(body).map_err(|error| syntax_at(body, &error))?;
    let listed = raw.protocols.ok_or(DecodeError::Missing { name: "protocols" })?;
    let mut found = Vec::new();
    for entry in listed {
        let (Some(name), Some(slug)) = (entry.name, entry.slug) else { continue };
        let is_app = entry.module.as_deref() == Some("pumpfun-app");
        if name.to_ascii_lowercase().contains("pump") && !is_app {
            let total24h = entry.total24h.map_or(Ok(None), |value| usd_in(body, value))?;
            found.push(Protocol { name, slug, total24h });
        }
    }
    Ok(found)
}
