//! Jupiter's answers.

/// A quote: `amount` atoms of one token bring `out` atoms of another.
pub fn quote(input: &str, output: &str, amount: u64, out: u64) -> String {
    format!(
        r#"{{"inputMint":"{input}","outputMint":"{output}","inAmount":"{amount}","outAmount":"{out}","routePlan":[]}}"#
    )
}
