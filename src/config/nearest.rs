//! Finds the known name that a misspelt one was meant to be.
//!
//! Thread: any.  Invariants: pure; same input, same answer (ties go to the first candidate).

/// Edits (insert, delete, replace, swap of neighbours) between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (row[j] + 1).min(above[j + 1] + 1).min(above[j] + usize::from(x != y));
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// The candidate that looks most like `name`; `None` if nothing comes near. A right key in a wrong table is near.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let allowed = 1 + name.len() / 4;
    candidates
        .map(|candidate| {
            let elsewhere = 1 + distance(&key(name), &key(candidate)) * 2;
            (distance(name, candidate).min(elsewhere), candidate)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_misplaced_and_foreign_names_are_told_apart() {
        let known = ["thresholds.rsi_max", "thresholds.support_low", "risk.stop_loss"];
        let find = |name| nearest(name, known.into_iter());
        assert_eq!(find("thresholds.rsi_mxa"), Some("thresholds.rsi_max"));
        assert_eq!(find("risk.rsi_max"), Some("thresholds.rsi_max"));
        assert_eq!(find("risk.stoploss"), Some("risk.stop_loss"));
        assert_eq!(find("risk.colour_of_the_sky"), None);
    }
}
