//! The raw values: what the file says, shadowed by what the environment says.
//!
//! Thread: any.  Invariants: a number is kept as its literal's text; every value remembers where it came from.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Env;
use super::error::{ConfigError, ConfigErrors, Fault, Origin};

/// What kind of literal it is.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    /// Whole number or decimal; the text is the number.
    Number,
    /// Quoted text.
    Text,
    /// `true` or `false`.
    Flag,
    /// Several of these.
    List(Vec<Given>),
    /// Out of the environment: text that may mean any of them.
    Shadow,
    /// A date, a hexadecimal number, a table: nothing we read.
    Foreign,
}

/// One value as given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The number or text itself, without quotes.
    pub text: String,
    /// Its kind.
    pub literal: Literal,
    /// Where it stands.
    pub origin: Origin,
}

impl Given {
    /// As it is shown in an error.
    pub fn shown(&self) -> String {
        match &self.literal {
            Literal::Text => format!("{:?}", self.text),
            Literal::List(items) => format!("[{}]", items.iter().map(Given::shown).collect::<Vec<_>>().join(", ")),
            _ => self.text.clone(),
        }
    }
}

/// All values by `table.key`.
#[derive(Debug)]
pub(super) struct Source {
    /// The file's name in error texts.
    pub file: String,
    /// The values.
    pub given: BTreeMap<String, Given>,
    /// Tables the file opens, with their line.
    pub tables: BTreeMap<String, usize>,
}

impl Source {
    /// Reads the text; `env` wins where it has a shadow.
    pub fn parse(text: &str, file: &str, env: &Env) -> Result<Source, ConfigErrors> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(ConfigErrors(errors.iter().map(|error| syntax_error(error, text, file)).collect()));
        }
        let mut source = Source { file: file.to_owned(), given: BTreeMap::new(), tables: BTreeMap::new() };
        let walk = Walk { text, file };
        walk.table("", document.get_ref(), &mut source);
        for (key, variable, value) in env.shadows() {
            let origin = Origin::Variable(variable.to_owned());
            source.given.insert(key, Given { text: value.to_owned(), literal: Literal::Shadow, origin });
        }
        Ok(source)
    }

    /// Names of the tables that the known keys live in.
    pub fn known_tables<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        keys.filter_map(|key| key.rsplit_once('.').map(|(table, _)| table)).collect()
    }
}

fn syntax_error(error: &toml::de::Error, text: &str, file: &str) -> ConfigError {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    let origin = Origin::Line { file: file.to_owned(), line };
    ConfigError { origin, key: String::new(), value: None, fault: Fault::Syntax(error.message().to_owned()) }
}

fn line_of(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count()
}

/// Flattens nested tables into dotted keys.
struct Walk<'a> {
    text: &'a str,
    file: &'a str,
}

impl Walk<'_> {
    fn table(&self, prefix: &str, table: &DeTable<'_>, out: &mut Source) {
        for (name, value) in table {
            let key =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            let line = line_of(self.text, name.span().start);
            if let DeValue::Table(inner) = value.get_ref() {
                out.tables.insert(key.clone(), line);
                self.table(&key, inner, out);
            } else {
                out.given.insert(key, self.value(value, line));
            }
        }
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, line: usize) -> Given {
        let raw = || self.text.get(value.span()).unwrap_or_default().to_owned();
        let (text, literal) = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => (number.as_str().to_owned(), Literal::Number),
            DeValue::Float(number) => (number.as_str().to_owned(), Literal::Number),
            DeValue::String(text) => (text.to_string(), Literal::Text),
            DeValue::Boolean(flag) => (flag.to_string(), Literal::Flag),
            DeValue::Array(items) => (raw(), Literal::List(items.iter().map(|item| self.value(item, line)).collect())),
            DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Table(_) => (raw(), Literal::Foreign),
        };
        Given { text, literal, origin: Origin::Line { file: self.file.to_owned(), line } }
    }
}
