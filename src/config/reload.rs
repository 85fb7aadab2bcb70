//! What a changed configuration changes in a running engine.
//!
//! Thread: any.  Invariants: numbers of the strategy travel as one row of `Control::Set` closed by `Commit`;
//! everything else is named and waits for a restart.

use super::strategy::LIVE_KEYS;
use super::values::Config;
use crate::types::ParamKey;

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Numbers that take force at once, with their new value.
    pub params: Vec<(ParamKey, i64)>,
    /// Keys that changed but need a restart.
    pub needs_restart: Vec<String>,
}

/// Compares the configuration in force with a newly read, checked one.
pub fn diff(old: &Config, new: &Config) -> Reload {
    let changed = |key: &&ParamKey| old.params.get(**key) != new.params.get(**key);
    let params = ParamKey::ALL.iter().filter(changed).map(|key| (*key, new.params.get(*key))).collect();
    let fixed = |key: &&String| !LIVE_KEYS.contains(&key.as_str());
    let differs = |key: &&String| old.effective.get(*key) != new.effective.get(*key);
    let mut needs_restart: Vec<String> = new.effective.keys().filter(fixed).filter(differs).cloned().collect();
    let shown = needs_restart.iter().any(|key| key.starts_with("endpoints."));
    if old.endpoints != new.endpoints && !shown {
        needs_restart.push("endpoints".to_owned()); // a query that is not shown
    }
    Reload { params, needs_restart }
}
