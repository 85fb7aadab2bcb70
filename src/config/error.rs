//! What is wrong with a configuration, in words that let the reader mend it.
//!
//! Thread: any.  Invariants: a text names place, key, value, what is allowed and the remedy; secrets are never shown.

use std::fmt;

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1.
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
    /// A whole file.
    Path(String),
    /// A variable of `.env` or of the process environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line { file, line } => write!(out, "{file}:{line}"),
            Origin::Path(path) => out.write_str(path),
            Origin::Variable(name) => write!(out, "variable {name}"),
        }
    }
}

/// The kinds of fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// A name nobody reads.
    #[error("unknown key{}", .nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_else(|| "; remove it (README lists every key)".to_owned()))]
    Unknown {
        /// The known name that looks most alike.
        nearest: Option<String>,
    },
    /// A text where a number belongs, and the like.
    #[error("wrong type; allowed: {allowed}")]
    Type {
        /// What it may be.
        allowed: String,
    },
    /// A value outside its bounds.
    #[error("out of range; allowed: {allowed}")]
    Range {
        /// What it may be.
        allowed: String,
    },
    /// A key that has no default.
    #[error("missing; add it, for example `{example}`")]
    Missing {
        /// A line that would do.
        example: String,
    },
    /// Two values that contradict each other.
    #[error("{0}")]
    Conflict(String),
    /// A secret that is not there.
    #[error("the variable is not set; add a line `{variable}=...` to .env, or export it")]
    SecretMissing {
        /// The variable the config names.
        variable: String,
    },
    /// A secret that cannot be right. The value is not shown.
    #[error("the value of variable `{variable}` is unusable: {why} (value not shown)")]
    SecretUnusable {
        /// The variable the config names.
        variable: String,
        /// What is wrong with it, without the value.
        why: String,
    },
    /// A secret file that others may read.
    #[error("readable by others (mode {mode:03o}); allowed: owner only; run `chmod 600 {path}`")]
    Exposed {
        /// Its permission bits.
        mode: u32,
        /// The file.
        path: String,
    },
    /// A file that cannot be read.
    #[error("cannot be read: {why}; {mend}")]
    Unreadable {
        /// What the system said.
        why: String,
        /// What to do.
        mend: &'static str,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub origin: Origin,
    /// `table.key`; empty if it concerns the file as a whole.
    pub key: String,
    /// The value as written, where it may be shown.
    pub value: Option<String>,
    /// What and how to mend it.
    pub fault: Fault,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            out.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(out, " = {value}")?;
            }
            out.write_str(": ")?;
        }
        write!(out, "{}", self.fault)
    }
}

/// Everything that is wrong; at least one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
