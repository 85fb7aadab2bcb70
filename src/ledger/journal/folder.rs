//! The segments of a folder: their names, their order, their age.
//!
//! Thread: any.  Invariants: the order is the names' order, and the header must say the same; only whole files of the
//! oldest end are ever removed.

use super::error::JournalError;
use super::frame::Header;
use super::scan::Scan;
use crate::types::Time;
use std::fs;
use std::path::{Path, PathBuf};

/// Ending of a segment's name.
const SUFFIX: &str = ".svj";

/// A file that is a segment by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Run.
    pub epoch: u32,
    /// Place within it.
    pub number: u32,
    /// The file.
    pub path: PathBuf,
}

/// Where segment `number` of run `epoch` lives.
pub fn path_of(dir: &Path, epoch: u32, number: u32) -> PathBuf {
    dir.join(format!("{epoch:010}-{number:06}{SUFFIX}"))
}

/// Run and number that a name says.
pub fn parse(path: &Path) -> Option<(u32, u32)> {
    let (epoch, number) = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.split_once('-')?;
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(epoch, 10) && digits(number, 6)).then_some(())?;
    Some((epoch.parse().ok()?, number.parse().ok()?))
}

/// The segments of a folder in order; other files are not looked at.
pub fn list(dir: &Path) -> Result<Vec<Named>, JournalError> {
    let fail = |why| JournalError::io(dir, "list the folder")(why);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if let Some((epoch, number)) = parse(&path) {
            found.push(Named { epoch, number, path });
        }
    }
    found.sort();
    Ok(found)
}

/// One run of the engine as a folder has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub epoch: u32,
    /// When its oldest segment here was begun.
    pub begun: Time,
    /// Its segments, in order.
    pub segments: Vec<PathBuf>,
    /// Whether its beginning is here: without it, it can be read but not replayed.
    pub whole: bool,
}

/// The runs of a folder, oldest first, by their headers alone.
pub fn runs(dir: &Path) -> Result<Vec<Run>, JournalError> {
    let mut runs: Vec<Run> = Vec::new();
    for named in list(dir)? {
        if let Some(run) = runs.last_mut().filter(|run| run.epoch == named.epoch) {
            run.segments.push(named.path);
        } else if let Some(header) = header_of(&named.path)? {
            let (epoch, whole) = (named.epoch, named.number == 1);
            runs.push(Run { epoch, begun: header.created, segments: vec![named.path], whole });
        }
    }
    Ok(runs)
}

/// Header of a file; `None` where a sudden end left less than one.
fn header_of(path: &Path) -> Result<Option<Header>, JournalError> {
    Ok(Scan::open(path)?.map(|scan| scan.header))
}

/// Removes the oldest segments whose successor was begun before `limit` too: all they hold is older. Stops at a file
/// whose age it cannot read. Output: how many went.
pub fn prune(dir: &Path, limit: Time) -> Result<usize, JournalError> {
    let names = list(dir)?;
    let mut gone = 0;
    for pair in names.windows(2) {
        let [oldest, next] = pair else { break };
        let Ok(Some(header)) = header_of(&next.path) else { break };
        if header.created >= limit {
            break;
        }
        fs::remove_file(&oldest.path).map_err(JournalError::io(&oldest.path, "remove the old segment"))?;
        gone += 1;
    }
    Ok(gone)
}
