//! Typed reading of raw values: each read names its key, its default and its bounds, and collects what is wrong.
//!
//! Thread: any.  Invariants: a key that was never asked for is unknown; a faulty value answers its default, so one
//! pass finds every fault; numbers are parsed from text, exactly.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::endpoints::without_query;
use super::error::{ConfigError, Fault, Origin};
use super::nearest::nearest;
use super::source::{Given, Literal, Source};
use crate::types::units::{DecimalError, parse_decimal};
use crate::types::{Bps, Ratio};

/// Decimal places of basis points.
pub(super) const BPS_DECIMALS: u32 = 2;

/// Bounds of a number, in its smallest parts, and the words for them.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Inclusive, in the smallest part.
    pub range: RangeInclusive<i64>,
    /// In words.
    pub allowed: &'static str,
}

/// Shorthand for [`Bounds`].
pub(super) fn bounds(range: RangeInclusive<i64>, allowed: &'static str) -> Bounds {
    Bounds { range, allowed }
}

/// Reads keys and remembers what was asked, what it came to and what was wrong.
pub(super) struct Reader {
    source: Source,
    effective: BTreeMap<String, String>,
    errors: Vec<ConfigError>,
}

impl Reader {
    /// Over the values of one file.
    pub fn new(source: Source) -> Reader {
        Reader { source, effective: BTreeMap::new(), errors: Vec::new() }
    }

    /// Every key asked for with the value in force, and all faults in file order; unknown keys are faults.
    pub fn finish(mut self) -> (BTreeMap<String, String>, Vec<ConfigError>) {
        self.refuse_unknown();
        self.errors.sort_by_key(|error| match &error.origin {
            Origin::Line { line, .. } => *line,
            Origin::Path(_) | Origin::Variable(_) => usize::MAX,
        });
        (self.effective, self.errors)
    }

    fn refuse_unknown(&mut self) {
        let known = || self.effective.keys().map(String::as_str);
        let tables = Source::known_tables(known());
        let parents: Vec<&str> = tables.iter().filter_map(|table| table.rsplit_once('.').map(|(up, _)| up)).collect();
        let is_table = |name: &str| tables.contains(name) || parents.contains(&name);
        let mut found = Vec::new();
        for (table, line) in self.source.tables.iter().filter(|(table, _)| !is_table(table)) {
            let near = nearest(table, tables.iter().copied()).map(str::to_owned);
            let origin = Origin::Line { file: self.source.file.clone(), line: *line };
            let fault = Fault::Unknown { nearest: near };
            found.push(ConfigError { origin, key: format!("[{table}]"), value: None, fault });
        }
        for (key, given) in self.source.given.iter().filter(|(key, _)| !self.effective.contains_key(*key)) {
            let in_unknown_table = key.rsplit_once('.').is_some_and(|(table, _)| !is_table(table));
            if in_unknown_table && !matches!(given.literal, Literal::Shadow) {
                continue; // said once, of the table
            }
            let fault = Fault::Unknown { nearest: nearest(key, known()).map(str::to_owned) };
            found.push(ConfigError { origin: given.origin.clone(), key: key.clone(), value: None, fault });
        }
        self.errors.append(&mut found);
    }

    /// Whether the file or the environment says anything about `key`.
    pub fn says(&self, key: &str) -> bool {
        self.source.given.contains_key(key)
    }

    /// Adds a fault of a value that was read before.
    pub fn conflict(&mut self, key: &str, why: String) {
        let given = self.source.given.get(key);
        let origin = given.map_or_else(|| Origin::Path(self.source.file.clone()), |given| given.origin.clone());
        let value =
            given.map(Given::shown).or_else(|| self.effective.get(key).map(|value| format!("{value} (default)")));
        self.errors.push(ConfigError { origin, key: key.to_owned(), value, fault: Fault::Conflict(why) });
    }

    /// Reads any key by its own parser; the default if it is absent or faulty.
    pub fn read<T: Debug>(&mut self, key: &str, default: T, parse: impl FnOnce(&Given) -> Result<T, Fault>) -> T {
        self.read_shown(key, default, |value| format!("{value:?}"), parse)
    }

    /// As [`Reader::read`]; `show` writes the value in force as the user would.
    fn read_shown<T>(
        &mut self,
        key: &str,
        default: T,
        show: impl FnOnce(&T) -> String,
        parse: impl FnOnce(&Given) -> Result<T, Fault>,
    ) -> T {
        let given = self.source.given.get(key).cloned();
        let value = match given {
            None => default,
            Some(given) => match parse(&given) {
                Ok(value) => value,
                Err(fault) => {
                    self.refuse(key, &given, fault, true);
                    default
                }
            },
        };
        self.effective.insert(key.to_owned(), show(&value));
        value
    }

    fn refuse(&mut self, key: &str, given: &Given, fault: Fault, show: bool) {
        let value = Some(if show { given.shown() } else { "(not shown)".to_owned() });
        self.errors.push(ConfigError { origin: given.origin.clone(), key: key.to_owned(), value, fault });
    }

    /// A key without a default: says so if it is missing.
    pub fn require(&mut self, key: &str, example: &str) {
        if !self.says(key) {
            let fault = Fault::Missing { example: example.to_owned() };
            let origin = Origin::Path(self.source.file.clone());
            self.errors.push(ConfigError { origin, key: key.to_owned(), value: None, fault });
        }
    }

    /// A decimal of `decimals` places (0, [`BPS_DECIMALS`] or 8) within bounds; `"30%"` means 0.30.
    pub fn decimal(&mut self, key: &str, default: i64, decimals: u32, within: &Bounds) -> i64 {
        let show = |value: &i64| match decimals {
            0 => value.to_string(),
            BPS_DECIMALS => Bps(i32::try_from(*value).unwrap_or(i32::MAX)).to_string(),
            _ => Ratio(*value).to_string(),
        };
        self.read_shown(key, default, show, |given| number(given, decimals, within))
    }

    /// A whole number within bounds.
    pub fn count(&mut self, key: &str, default: i64, within: &Bounds) -> i64 {
        self.decimal(key, default, 0, within)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        self.read(key, default, |given| match (&given.literal, given.text.as_str()) {
            (Literal::Flag | Literal::Shadow, "true") => Ok(true),
            (Literal::Flag | Literal::Shadow, "false") => Ok(false),
            _ => Err(Fault::Type { allowed: "true or false, without quotes".to_owned() }),
        })
    }

    /// A span such as `"3h"`, in ns, within bounds.
    pub fn span_ns(&mut self, key: &str, default: i64, within: &Bounds) -> i64 {
        let show = |ns: &i64| humantime::format_duration(Duration::from_nanos(ns.max(&0).unsigned_abs())).to_string();
        self.read_shown(key, default, show, |given| {
            let wrong = || Fault::Type {
                allowed: format!("a duration in quotes such as \"5m\" or \"3h\": {}", within.allowed),
            };
            if !matches!(given.literal, Literal::Text | Literal::Shadow) {
                return Err(wrong());
            }
            let span = humantime::parse_duration(given.text.trim()).map_err(|_| wrong())?;
            let ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
            in_bounds(ns, within)
        })
    }

    /// One of a few words.
    pub fn choice<T: Copy + PartialEq>(&mut self, key: &str, default: T, words: &[(&str, T)]) -> T {
        let show = |value: &T| words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word).to_owned();
        self.read_shown(key, default, show, |given| {
            let found = words.iter().find(|(word, _)| *word == given.text);
            match (found, &given.literal) {
                (Some((_, value)), Literal::Text | Literal::Shadow) => Ok(*value),
                _ => Err(Fault::Range {
                    allowed: words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", "),
                }),
            }
        })
    }

    /// A text that `check` accepts.
    pub fn text(&mut self, key: &str, default: &str, allowed: &str, check: impl Fn(&str) -> bool) -> String {
        self.read(key, default.to_owned(), |given| text_of(given, allowed, check))
    }

    /// A URL; its query is never shown or kept in the list of values.
    pub fn url(&mut self, key: &str, default: &str, allowed: &str, check: impl Fn(&str) -> bool) -> String {
        let value = match self.source.given.get(key).cloned() {
            None => default.to_owned(),
            Some(mut given) => text_of(&given, allowed, check).unwrap_or_else(|fault| {
                given.text = without_query(&given.text);
                self.refuse(key, &given, fault, true);
                default.to_owned()
            }),
        };
        self.effective.insert(key.to_owned(), format!("{:?}", without_query(&value)));
        value
    }

    /// A list of texts that `check` accepts.
    pub fn list(&mut self, key: &str, default: &[&str], allowed: &str, check: impl Fn(&str) -> bool) -> Vec<String> {
        self.read(key, default.iter().map(|item| (*item).to_owned()).collect(), |given| {
            items_of(given, allowed)?.iter().map(|item| text_of(item, allowed, &check)).collect()
        })
    }

    /// A list of small whole numbers.
    pub fn numbers(&mut self, key: &str, within: &Bounds) -> Vec<usize> {
        self.read(key, Vec::new(), |given| {
            let items = items_of(given, within.allowed)?;
            items.iter().map(|item| number(item, 0, within).map(|n| usize::try_from(n).unwrap_or(0))).collect()
        })
    }

    /// The name of a variable that holds a secret. A value that is no name may be the secret itself: never shown.
    pub fn variable(&mut self, key: &str, default: Option<&str>) -> Option<String> {
        let is_name = |text: &str| {
            let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase() || byte == b'_');
            let rest = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            first && rest && text.len() <= 60
        };
        let value = match self.source.given.get(key).cloned() {
            None => default.map(str::to_owned),
            Some(given) if matches!(given.literal, Literal::Text | Literal::Shadow) && is_name(&given.text) => {
                Some(given.text)
            }
            Some(given) => {
                let allowed =
                    "the NAME of a variable in .env (capitals, digits, _), never the secret itself".to_owned();
                self.refuse(key, &given, Fault::Range { allowed }, false);
                None
            }
        };
        self.effective.insert(key.to_owned(), value.clone().unwrap_or_else(|| "not set".to_owned()));
        value
    }
}

fn in_bounds(value: i64, within: &Bounds) -> Result<i64, Fault> {
    if within.range.contains(&value) { Ok(value) } else { Err(Fault::Range { allowed: within.allowed.to_owned() }) }
}

/// The exact value of a number's text; `"30%"` is a hundredth of 30.
pub(super) fn number(given: &Given, decimals: u32, within: &Bounds) -> Result<i64, Fault> {
    let wrong = |why: &str| Fault::Type { allowed: format!("a plain decimal number{why}: {}", within.allowed) };
    if !matches!(given.literal, Literal::Number | Literal::Text | Literal::Shadow) {
        return Err(wrong(""));
    }
    let text = given.text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let parsed = match text.strip_suffix('%') {
        Some(percent) if decimals >= 2 => parse_decimal(percent.trim().as_bytes(), decimals - 2),
        _ => parse_decimal(text.as_bytes(), decimals),
    };
    match parsed {
        Ok(value) => in_bounds(value, within),
        Err(DecimalError::Range) => Err(Fault::Range { allowed: within.allowed.to_owned() }),
        Err(DecimalError::TooFine { .. }) if decimals == 0 => Err(wrong(" without decimals")),
        Err(DecimalError::TooFine { .. }) => Err(wrong(&format!(" with at most {decimals} decimals"))),
        Err(DecimalError::Empty | DecimalError::BadByte { .. }) => Err(wrong(" without exponent")),
    }
}

fn text_of(given: &Given, allowed: &str, check: impl Fn(&str) -> bool) -> Result<String, Fault> {
    if !matches!(given.literal, Literal::Text | Literal::Shadow) {
        return Err(Fault::Type { allowed: format!("a text in quotes: {allowed}") });
    }
    if check(&given.text) { Ok(given.text.clone()) } else { Err(Fault::Range { allowed: allowed.to_owned() }) }
}

/// The items of a list; the environment separates them by commas.
fn items_of(given: &Given, allowed: &str) -> Result<Vec<Given>, Fault> {
    match &given.literal {
        Literal::List(items) => Ok(items.clone()),
        Literal::Shadow => {
            let inner = given.text.trim().trim_start_matches('[').trim_end_matches(']');
            let items = inner.split(',').map(|item| item.trim().trim_matches('"')).filter(|item| !item.is_empty());
            Ok(items.map(|item| Given { text: item.to_owned(), ..given.clone() }).collect())
        }
        _ => Err(Fault::Type { allowed: format!("a list in brackets: {allowed}") }),
    }
}
