//! Recordings: what sockets and polls delivered, raw, with receive times. How a user brings the real world to a test.
//!
//! Thread: the recorder's writes; any reads.  Invariants: a payload is kept byte for byte, whatever it holds; a record is
//! given only if the checksum of its part of the file is right; a torn end costs the last part alone and is told; the
//! name of a source never holds a secret.
//!
//! # Files
//!
//! `recordings/YYYY-MM-DDTHH-MM-SS.svr.gz` (`-2`, `-3` … where a second has several), a new one each hour and each
//! [`FILE_BYTES_MAX`]. A file is a chain of gzip members, so `zcat` reads it; a member is closed when it is
//! [`MEMBER_NS_MAX`] old or holds [`MEMBER_BYTES_MAX`], and holds whole records only. Unpacked:
//!
//! ```text
//! svb-recording 1 2026-01-15T12:00:00Z
//! 1768478400123456789 binance_stream 137
//! {"stream":"solusdt@bookTicker","data":{…}}
//! 1768478400223456789 binance_rest:/api/v3/depth 81234
//! {"lastUpdateId":…}
//! ```
//!
//! Each record: receive time in ns UTC, source, length of the payload; the payload; a line end. The length decides, so a
//! payload may hold line ends or any other byte.
//!
//! # Sources
//!
//! `binance_stream`, `binance_rest:/api/v3/depth`, `solana_ws`, `solana_ws#2` (the second of several), `kraken_ws`,
//! `kraken_rest:…`, `solana_logs`, `dex_ws`, `defillama:/summary/dexs/pump.fun`, `pumpfun`, `coingecko:…`,
//! `jupiter:…`: the endpoint, then the path where it has several.

mod error;
mod import;
mod reader;
mod source;
mod writer;

pub use error::RecordingError;
pub use import::{ImportError, import_lines};
pub use reader::{Reader, Record, Torn, is_recording};
pub use source::{SOURCE_BYTES_MAX, clean_source};
pub use writer::{ClosedFile, SourceCount, Writer, WriterSettings};

/// Name of the folder below the working or data directory.
pub const RECORDINGS_DIR: &str = "recordings";
/// Ending of a file's name.
pub const SUFFIX: &str = ".svr.gz";
/// A file is closed once it has these many bytes, compressed.
pub const FILE_BYTES_MAX: u64 = 256 << 20;
/// A member is closed once it holds these many bytes, unpacked.
pub const MEMBER_BYTES_MAX: usize = 256 << 10;
/// ... or is this old, ns: what a sudden end may cost.
pub const MEMBER_NS_MAX: i64 = crate::types::time::NANOS_PER_SEC;
/// Longest payload: the longest body that a poll reads, and room.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 20;

/// First word of a file, and its format.
const MAGIC: &str = "svb-recording";
const FORMAT: u32 = 1;
/// Longest line before a payload.
const HEAD_BYTES_MAX: usize = SOURCE_BYTES_MAX + 64;
