//! JSON written in the venue's own key order, with its zero-padded decimals.
//!
//! Thread: any.  Invariants: every text is escaped; a value of 1e-8 always shows 8 decimals.

use std::fmt::Write;

/// A JSON object under construction.
pub struct Obj {
    text: String,
}

impl Obj {
    /// `{`
    pub fn new() -> Obj {
        Obj { text: String::from("{") }
    }
    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(key);
        self.text.push_str("\":");
    }
    /// A text value.
    pub fn text(mut self, key: &str, value: &str) -> Obj {
        self.key(key);
        quote(&mut self.text, value);
        self
    }
    /// A whole number.
    pub fn int(mut self, key: &str, value: i64) -> Obj {
        self.key(key);
        let _ = write!(self.text, "{value}"); // a String takes everything
        self
    }
    /// `true` or `false`.
    pub fn bool(mut self, key: &str, value: bool) -> Obj {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }
    /// A decimal text of an amount in 1e-8, all 8 places shown.
    pub fn e8(mut self, key: &str, value: i64) -> Obj {
        self.key(key);
        self.text.push('"');
        push_e8(&mut self.text, value);
        self.text.push('"');
        self
    }
    /// JSON that is already written.
    pub fn raw(mut self, key: &str, json: &str) -> Obj {
        self.key(key);
        self.text.push_str(json);
        self
    }
    /// `}`
    pub fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A JSON array of values already written.
pub fn array<I: IntoIterator<Item = String>>(items: I) -> String {
    let mut text = String::from("[");
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    text
}

/// Appends `value` as a JSON string.
pub fn quote(out: &mut String, value: &str) {
    out.push('"');
    for letter in value.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if u32::from(letter) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter)); // a String takes everything
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// `value` as a JSON string.
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    quote(&mut text, value);
    text
}

/// Appends an amount in 1e-8 with all 8 decimals.
pub fn push_e8(out: &mut String, value: i64) {
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    // a String takes everything
    let _ = write!(out, "{sign}{}.{:08}", magnitude / 100_000_000, magnitude % 100_000_000);
}

/// An amount in 1e-8 as a JSON string with all 8 decimals.
pub fn e8(value: i64) -> String {
    let mut text = String::from("\"");
    push_e8(&mut text, value);
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_order_escapes_its_texts_and_pads_its_decimals() {
        let text =
            Obj::new().text("b", "x\"\\\n").int("a", -1).e8("q", -150_000_000).bool("w", true).raw("n", "null").end();
        assert_eq!(text, r#"{"b":"x\"\\\u000a","a":-1,"q":"-1.50000000","w":true,"n":null}"#);
        assert_eq!(array(["1".to_owned(), "2".to_owned()]), "[1,2]");
        assert_eq!(e8(1), "\"0.00000001\"");
    }
}
