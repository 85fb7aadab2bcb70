//! Latency histograms of tick-to-trade and its parts, and their interval logs.
//!
//! Thread: cold.  Invariants: three significant digits from 1 ns to a minute; a longer value counts as a minute; an
//! interval log is the standard `.hlog` text, one tag per part.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::lines::rfc3339_us;
use super::metrics::STAGES;
use crate::types::Time;

const HIGHEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;
/// Whole path, then its parts, then send to answer.
const TAGS: [&str; 7] = ["tick_to_trade", STAGES[0], STAGES[1], STAGES[2], STAGES[3], STAGES[4], "ack"];

/// Histograms of the running interval.
#[derive(Debug)]
pub struct Latencies {
    path: PathBuf,
    started: Time,
    histograms: Vec<Histogram<u64>>,
    header_written: bool,
}

impl Latencies {
    /// A log file of its own under `data_dir/latency`, named after `now`. Nothing is written before the first interval.
    pub fn new(data_dir: &Path, now: Time) -> Latencies {
        let name: String = rfc3339_us(now).chars().filter(|c| c.is_ascii_digit() || *c == 'T').take(15).collect();
        let path = data_dir.join("latency").join(format!("{name}.hlog"));
        // The constructor refuses only bounds that these constants are not.
        let histograms = TAGS.iter().filter_map(|_| Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS).ok()).collect();
        Latencies { path, started: now, histograms, header_written: false }
    }

    fn add(&mut self, which: usize, ns: i64) {
        if let Some(histogram) = self.histograms.get_mut(which) {
            histogram.saturating_record(u64::try_from(ns).unwrap_or(0).max(1));
        }
    }

    /// An order left: the whole path and its parts, ns.
    pub fn sent(&mut self, tick_to_trade_ns: i64, stages_ns: &[u32; 5]) {
        self.add(0, tick_to_trade_ns);
        for (stage, ns) in stages_ns.iter().enumerate() {
            self.add(1 + stage, i64::from(*ns));
        }
    }

    /// The venue answered.
    pub fn answered(&mut self, took_ns: i64) {
        self.add(TAGS.len() - 1, took_ns);
    }

    /// `(tag, count, p50, p99, max)` of the running interval, ns.
    pub fn summary(&self) -> Vec<(&'static str, u64, u64, u64, u64)> {
        let line = |(tag, h): (&&'static str, &Histogram<u64>)| {
            (*tag, h.len(), h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.max())
        };
        TAGS.iter().zip(&self.histograms).map(line).collect()
    }

    /// Appends the interval that ends now to the log and begins the next. Errors: the system's word; the figures of
    /// the interval are kept then.
    pub fn end_interval(&mut self, now: Time) -> Result<(), String> {
        if self.histograms.iter().all(Histogram::is_empty) {
            self.started = now;
            return Ok(());
        }
        let text = self.interval_text(now)?;
        let written = fs::create_dir_all(self.path.parent().unwrap_or(Path::new("."))).and_then(|()| {
            let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            file.write_all(&text)
        });
        written.map_err(|why| format!("{}: {why}", self.path.display()))?;
        self.header_written = true;
        self.started = now;
        self.histograms.iter_mut().for_each(Histogram::reset);
        Ok(())
    }

    fn interval_text(&self, now: Time) -> Result<Vec<u8>, String> {
        let mut header = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let builder = || {
            let mut builder = IntervalLogWriterBuilder::new();
            builder.add_comment("sol_volume_bot latencies, ns").with_max_value_divisor(1.0);
            builder
        };
        builder().begin_log_with(&mut header, &mut serializer).map(drop).map_err(|why| why.to_string())?;
        let mut text = Vec::new();
        let mut log = builder().begin_log_with(&mut text, &mut serializer).map_err(|why| why.to_string())?;
        let start = Duration::from_nanos(self.started.0.max(0).unsigned_abs());
        let length = Duration::from_nanos(now.since(self.started).max(0).unsigned_abs());
        for (tag, histogram) in TAGS.iter().zip(&self.histograms).filter(|(_, histogram)| !histogram.is_empty()) {
            log.write_histogram(histogram, start, length, Tag::new(tag)).map_err(|why| format!("{why:?}"))?;
        }
        Ok(if self.header_written { text.split_off(header.len()) } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn interval_logs_are_read_back_by_the_standard_reader() {
        let dir = std::env::temp_dir().join(format!("svb_hlog_{}", std::process::id()));
        let start = Time(1_795_372_200_000_000_000);
        let mut latencies = Latencies::new(&dir, start);
        latencies.end_interval(start.plus(1)).expect("nothing to write");
        assert!(!dir.exists(), "an empty interval leaves no file");
        for round in 1..=2 {
            latencies.sent(10_000 * round, &[1_000, 2_000, 3_000, 4_000, 5_000]);
            latencies.answered(i64::MAX);
            latencies.end_interval(start.plus(round * 1_000_000_000)).expect("written");
        }
        let file = fs::read_dir(dir.join("latency")).expect("there").next().expect("one").expect("readable").path();
        assert_eq!(file.file_name().and_then(|name| name.to_str()), Some("20261122T183000.hlog"));
        let bytes = fs::read(file).expect("readable");
        let mut maxima = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            if let LogEntry::Interval(interval) = entry.expect("well formed")
                && interval.tag().is_some_and(|tag| tag.as_str() == "tick_to_trade")
            {
                let packed =
                    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, interval.encoded_histogram())
                        .expect("base64");
                let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut packed.as_slice()).expect("V2");
                maxima.push((histogram.len(), histogram.max() / 1_000));
            }
        }
        assert_eq!(maxima, [(1, 10), (1, 20)]);
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text.matches("#sol_volume_bot latencies, ns").count(), 1, "one header: {text}");
        fs::remove_dir_all(dir).expect("removed");
    }
}
