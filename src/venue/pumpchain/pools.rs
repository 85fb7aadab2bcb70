//! What a PumpSwap pool is paid in: a bounded cache, the pools to ask a node about, and the trades that wait for it.
//!
//! Thread: any.  Invariants: memory is taken once; a pool is what its own account says, and the account must belong to
//! PumpSwap; a trade whose pool nobody could tell us of in time is lost, and said to be.

use super::base58::{Key, KeyText, key_of};
use super::dedupe::hash;
use super::trade_event::{AmmTrade, Quote};
use super::{Program, USDC, WSOL};
use crate::types::Time;
use crate::types::time::NANOS_PER_SEC;
use crate::venue::DecodeError;
use crate::venue::scan::Scanner;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Pools remembered.
pub const POOLS_MAX: usize = 65_536;
/// Pools that share a row of the cache.
const WAYS: usize = 8;
/// Pools asked about in one request.
pub const ASK_MAX: usize = 100;
/// Pools that wait to be asked about.
const WANTED_MAX: usize = 2_048;
/// Trades that wait for their pool.
const WAITING_MAX: usize = 4_096;
/// How long they wait.
pub const WAIT_NS: i64 = 60 * NANOS_PER_SEC;
/// A pool that was asked about is asked about again after this.
const ASK_AGAIN_NS: i64 = 5 * NANOS_PER_SEC;
/// Longest slice of an account that is read.
const SLICE_BYTES_MAX: usize = 256;

/// Where a pool's account names its two mints. The default is the program's published layout (8 bytes of Anchor, a bump,
/// a u16, the creator, base mint, quote mint); it was not seen on a live account by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLayout {
    /// Offset of the base mint.
    pub base_mint_at: usize,
    /// Offset of the quote mint.
    pub quote_mint_at: usize,
}

impl Default for PoolLayout {
    fn default() -> PoolLayout {
        PoolLayout { base_mint_at: 43, quote_mint_at: 75 }
    }
}

impl PoolLayout {
    /// The slice that holds both: offset, length.
    fn slice(self) -> (usize, usize) {
        let from = self.base_mint_at.min(self.quote_mint_at);
        (from, self.base_mint_at.max(self.quote_mint_at) + 32 - from)
    }
}

/// What a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// A coin against this.
    Paid(Quote),
    /// Turned round (SOL or USDC is what is bought), or not PumpSwap's: its trades say nothing of memecoins.
    Odd,
}

impl Pool {
    /// Of its two mints.
    fn of(base: &Key, quote: &Key) -> Pool {
        match (*base == WSOL || *base == USDC, Quote::of(quote)) {
            (true, _) => Pool::Odd,
            (false, quote) => Pool::Paid(quote),
        }
    }
}

/// A trade and its pool, now known.
pub type Resolved = (AmmTrade, Pool);

/// Pools to ask a node about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolsWanted {
    keys: [Key; ASK_MAX],
    len: usize,
}

impl PoolsWanted {
    const NONE: PoolsWanted = PoolsWanted { keys: [[0; 32]; ASK_MAX], len: 0 };

    /// The keys.
    pub fn keys(&self) -> &[Key] {
        self.keys.get(..self.len).unwrap_or_default()
    }

    /// Those that a body made by [`PoolsWanted::request`] asks about; `None` if it is no such body.
    pub fn asked_by(body: &[u8]) -> Option<PoolsWanted> {
        const OPENS: &[u8] = b"\"params\":[[";
        let from = body.windows(OPENS.len()).position(|part| part == OPENS)? + OPENS.len();
        let rest = body.get(from..)?;
        let listed = rest.get(..rest.iter().position(|byte| *byte == b']')?)?;
        let mut asked = PoolsWanted::NONE;
        for word in listed.split(|byte| *byte == b',') {
            let text = word.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            *asked.keys.get_mut(asked.len)? = key_of(text)?;
            asked.len += 1;
        }
        Some(asked)
    }

    /// Appends the body of `getMultipleAccounts` for them to `out`.
    pub fn request(&self, id: u64, layout: PoolLayout, out: &mut Vec<u8>) {
        out.extend_from_slice(
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"getMultipleAccounts","params":[["#).as_bytes(),
        );
        for (at, key) in self.keys().iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
            out.extend_from_slice(KeyText::of(key).as_bytes());
            out.push(b'"');
        }
        let (offset, length) = layout.slice();
        let options = format!(
            r#"],{{"encoding":"base64","commitment":"confirmed","dataSlice":{{"offset":{offset},"length":{length}}}}}]}}"#
        );
        out.extend_from_slice(options.as_bytes());
    }
}

/// A place of the cache.
#[derive(Clone, Copy, Debug)]
struct Way {
    key: Key,
    pool: Option<Pool>,
    was_used: bool,
}

/// A pool that nobody told us of yet.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    key: Key,
    since: Time,
    asked: Time,
}

/// A trade that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    trade: AmmTrade,
    since: Time,
}

/// All pools.
#[derive(Clone, Debug)]
pub struct Pools {
    layout: PoolLayout,
    seed: u64,
    ways: Vec<Way>,
    hands: Vec<u8>,
    wanted: Vec<Wanted>,
    waiting: Vec<Waiting>,
}

impl Pools {
    /// Knows none.
    pub fn new(layout: PoolLayout, seed: u64) -> Pools {
        Pools {
            layout,
            seed,
            ways: vec![Way { key: [0; 32], pool: None, was_used: false }; POOLS_MAX],
            hands: vec![0; POOLS_MAX / WAYS],
            wanted: Vec::with_capacity(WANTED_MAX),
            waiting: Vec::with_capacity(WAITING_MAX),
        }
    }

    /// What a pool is, if it is known.
    pub fn get(&mut self, key: &Key) -> Option<Pool> {
        let way = self.row(key).1.iter_mut().find(|way| way.pool.is_some() && way.key == *key)?;
        way.was_used = true;
        way.pool
    }

    /// A trade waits for its pool; false if there is no room: it is lost.
    #[must_use]
    pub fn wait(&mut self, trade: AmmTrade, now: Time) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        if !self.wanted.iter().any(|wanted| wanted.key == trade.pool) {
            if self.wanted.len() >= WANTED_MAX {
                return false;
            }
            self.wanted.push(Wanted { key: trade.pool, since: now, asked: Time::NONE });
        }
        self.waiting.push(Waiting { trade, since: now });
        true
    }

    /// The pools to ask about now, [`ASK_MAX`] at most; `None` if there is none. Each is asked about again after five
    /// seconds without an answer.
    pub fn wanted(&mut self, now: Time) -> Option<PoolsWanted> {
        let mut ask = PoolsWanted::NONE;
        let due = |wanted: &&mut Wanted| wanted.asked == Time::NONE || now.since(wanted.asked) >= ASK_AGAIN_NS;
        for (place, wanted) in ask.keys.iter_mut().zip(self.wanted.iter_mut().filter(due)) {
            *place = wanted.key;
            wanted.asked = now;
            ask.len += 1;
        }
        (ask.len > 0).then_some(ask)
    }

    /// Takes the answer to a request for `asked`; trades that waited are told, one by one. Output: pools learned.
    ///
    /// Errors: [`DecodeError`]: an answer that is none, or an error; the pools are asked about again.
    pub fn on_answer(
        &mut self,
        asked: &PoolsWanted,
        body: &[u8],
        mut each: impl FnMut(Resolved),
    ) -> Result<usize, DecodeError> {
        let mut accounts = [None; ASK_MAX];
        let found = accounts_of(body, self.layout, &mut accounts)?;
        if found != asked.keys().len() {
            return Err(DecodeError::Contradiction { name: "value" });
        }
        let mut learned = 0;
        for (key, pool) in asked.keys().iter().zip(accounts) {
            if let Some(pool) = pool {
                self.learn(key, pool);
                self.wanted.retain(|wanted| wanted.key != *key);
                learned += 1;
            }
        }
        let known = |key: &Key| asked.keys().iter().position(|asked| asked == key).and_then(|at| *accounts.get(at)?);
        self.waiting.retain(|waiting| match known(&waiting.trade.pool) {
            Some(pool) => {
                each((waiting.trade, pool));
                false
            }
            None => true,
        });
        Ok(learned)
    }

    /// Drops trades that waited too long; each is told.
    pub fn expire(&mut self, now: Time, mut each: impl FnMut(AmmTrade)) {
        self.waiting.retain(|waiting| {
            let keeps = now.since(waiting.since) < WAIT_NS;
            if !keeps {
                each(waiting.trade);
            }
            keeps
        });
        self.wanted.retain(|wanted| now.since(wanted.since) < WAIT_NS);
    }

    /// Trades that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.ways.capacity() * size_of::<Way>()
            + self.hands.capacity()
            + self.wanted.capacity() * size_of::<Wanted>()
            + self.waiting.capacity() * size_of::<Waiting>()
    }

    fn row(&mut self, key: &Key) -> (usize, &mut [Way]) {
        let row = hash(key, self.seed) as usize % (POOLS_MAX / WAYS);
        (row, self.ways.get_mut(row * WAYS..(row + 1) * WAYS).unwrap_or_default())
    }

    /// Remembers a pool in place of one that was not used for the longest time, as far as one bit can tell.
    fn learn(&mut self, key: &Key, pool: Pool) {
        let (row, _) = self.row(key);
        let hand = self.hands.get(row).copied().map_or(0, usize::from);
        let (_, ways) = self.row(key);
        let held = ways.iter().position(|way| way.pool.is_none() || way.key == *key);
        let mut at = held.unwrap_or(hand % WAYS);
        if held.is_none() {
            for _ in 0..WAYS {
                match ways.get_mut(at) {
                    Some(way) if way.was_used => way.was_used = false,
                    _ => break,
                }
                at = (at + 1) % WAYS;
            }
        }
        if let Some(way) = ways.get_mut(at) {
            *way = Way { key: *key, pool: Some(pool), was_used: false };
        }
        if let Some(hand) = self.hands.get_mut(row) {
            *hand = ((at + 1) % WAYS) as u8;
        }
    }
}

/// Reads the accounts of an answer; how many there are. An account that is not there yet is `None`.
fn accounts_of(body: &[u8], layout: PoolLayout, accounts: &mut [Option<Pool>; ASK_MAX]) -> Result<usize, DecodeError> {
    let mut count = None;
    let mut scan = Scanner::new(body);
    scan.object(|scan, key| match key {
        b"result" => scan.object(|scan, key| match key {
            b"value" => {
                let mut at = 0;
                scan.array(|scan| {
                    let pool = if scan.peek()? == b'n' { scan.skip().map(|()| None)? } else { account(scan, layout)? };
                    if let Some(place) = accounts.get_mut(at) {
                        *place = pool;
                    }
                    at += 1;
                    Ok(())
                })?;
                count = Some(at);
                Ok(())
            }
            _ => scan.skip(),
        }),
        _ => scan.skip(),
    })?;
    scan.end()?;
    count.ok_or(DecodeError::Missing { name: "value" })
}

/// One account. Not PumpSwap's, or too short for the layout: odd, so that it is not asked about for ever.
fn account(scan: &mut Scanner<'_>, layout: PoolLayout) -> Result<Option<Pool>, DecodeError> {
    let (mut is_theirs, mut data) = (false, None);
    scan.object(|scan, key| match key {
        b"owner" => scan.string().map(|owner| is_theirs = owner == Program::Amm.text().as_bytes()),
        b"data" => {
            let mut first = true;
            scan.array(|scan| {
                let text = scan.string()?;
                if std::mem::take(&mut first) {
                    data = Some(text);
                }
                Ok(())
            })
        }
        _ => scan.skip(),
    })?;
    let data = data.ok_or(DecodeError::Missing { name: "data" })?;
    let mut bytes = [0; SLICE_BYTES_MAX];
    let read = read_slice(data, &mut bytes).unwrap_or_default();
    let (offset, _) = layout.slice();
    let mint = |at: usize| -> Option<Key> { read.get(at - offset..)?.first_chunk().copied() };
    Ok(Some(match (is_theirs, mint(layout.base_mint_at), mint(layout.quote_mint_at)) {
        (true, Some(base), Some(quote)) => Pool::of(&base, &quote),
        _ => Pool::Odd,
    }))
}

/// The bytes of a base64 text; JSON may have escaped its slashes.
fn read_slice<'a>(text: &[u8], bytes: &'a mut [u8; SLICE_BYTES_MAX]) -> Option<&'a [u8]> {
    let mut plain = [0; SLICE_BYTES_MAX / 3 * 4];
    let mut len = 0;
    for byte in text.iter().filter(|byte| **byte != b'\\') {
        *plain.get_mut(len)? = *byte;
        len += 1;
    }
    let read = STANDARD.decode_slice(plain.get(..len)?, bytes).ok()?;
    bytes.get(..read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        let mut key = [7; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn trade(pool: Key) -> AmmTrade {
        AmmTrade { pool, is_buy: true, at_s: 1_790_000_000, amount: 5 }
    }

    fn account(owner: &str, base: &Key, quote: &Key) -> String {
        let data = STANDARD.encode([base.as_slice(), quote].concat()).replace('/', r"\/");
        format!(r#"{{"lamports":1,"data":["{data}","base64"],"owner":"{owner}","executable":false,"space":300}}"#)
    }

    fn answer(accounts: &[String]) -> String {
        format!(r#"{{"jsonrpc":"2.0","result":{{"context":{{"slot":5}},"value":[{}]}},"id":1}}"#, accounts.join(","))
    }

    #[test]
    fn a_pool_is_what_its_account_says_and_only_if_it_is_theirs() {
        let mut pools = Pools::new(PoolLayout::default(), 7);
        for number in 0..6 {
            assert!(pools.wait(trade(key(number)), Time(1)));
        }
        let asked = pools.wanted(Time(1)).expect("six");
        assert_eq!(asked.keys().len(), 6);
        let amm = Program::Amm.text();
        let body = answer(&[
            account(amm, &[5; 32], &WSOL),
            account(amm, &[0xff; 32], &USDC),
            account(amm, &[5; 32], &[6; 32]),
            account(amm, &WSOL, &[6; 32]),
            account(Program::Curve.text(), &[5; 32], &WSOL),
            "null".to_owned(),
        ]);
        let mut told = Vec::new();
        assert_eq!(pools.on_answer(&asked, body.as_bytes(), |(_, pool)| told.push(pool)), Ok(5));
        let expected =
            [Pool::Paid(Quote::Sol), Pool::Paid(Quote::Usdc), Pool::Paid(Quote::Other), Pool::Odd, Pool::Odd];
        assert_eq!(told, expected);
        assert_eq!((pools.get(&key(1)), pools.get(&key(5))), (Some(Pool::Paid(Quote::Usdc)), None));
        assert_eq!(pools.waiting(), 1, "the one that is not there yet");
        assert_eq!(pools.wanted(Time(2)), None, "and is not asked about at once again");
        assert_eq!(pools.wanted(Time(1 + ASK_AGAIN_NS)).expect("again").keys(), [key(5)]);
    }

    #[test]
    fn the_request_names_the_slice_of_both_mints() {
        let mut pools = Pools::new(PoolLayout::default(), 7);
        assert!(pools.wait(trade(WSOL), Time(1)) && pools.wait(trade(USDC), Time(1)));
        let mut out = Vec::new();
        pools.wanted(Time(1)).expect("two").request(9, PoolLayout::default(), &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(value["params"][0], serde_json::json!([super::super::WSOL_TEXT, super::super::USDC_TEXT]));
        assert_eq!(value["params"][1]["dataSlice"], serde_json::json!({"offset": 43, "length": 64}));
    }

    #[test]
    fn an_answer_that_is_none_teaches_nothing() {
        let mut pools = Pools::new(PoolLayout::default(), 7);
        assert!(pools.wait(trade(key(1)), Time(1)));
        let asked = pools.wanted(Time(1)).expect("one");
        for body in ["", "{}", r#"{"error":{"code":429}}"#, r#"{"result":{"value":[]}}"#, r#"{"result":{"value":[7]}}"#]
        {
            assert!(pools.on_answer(&asked, body.as_bytes(), |_| panic!("nothing is known")).is_err(), "{body}");
        }
        assert_eq!((pools.waiting(), pools.get(&key(1))), (1, None));
    }

    #[test]
    fn trades_wait_a_minute_and_no_more_than_there_is_room_for() {
        let mut pools = Pools::new(PoolLayout::default(), 7);
        let taken = (0..5_000).filter(|number| pools.wait(trade(key(number % 3_000)), Time(1))).count();
        assert_eq!(taken, 2_048 + (5_000 - 3_000), "no more pools than can be asked about");
        let bytes = pools.bytes();
        pools.expire(Time(WAIT_NS), |_| panic!("too soon"));
        let mut lost = 0;
        pools.expire(Time(1 + WAIT_NS), |_| lost += 1);
        assert_eq!((lost, pools.waiting(), pools.wanted(Time(2 + WAIT_NS))), (taken, 0, None));
        assert_eq!(pools.bytes(), bytes);
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut pools = Pools::new(PoolLayout::default(), 7);
        let bytes = pools.bytes();
        for number in 0..200_000 {
            pools.learn(&key(number), Pool::Paid(Quote::Sol));
            assert!(number < 100 || pools.get(&key(number % 100)).is_some() || number % 100 > 5, "in use: {number}");
            (0..6).for_each(|used| _ = pools.get(&key(used)));
        }
        let held = (0..200_000).filter(|number| pools.get(&key(*number)).is_some()).count();
        assert!((60_000..=POOLS_MAX).contains(&held), "{held}");
        assert!(pools.bytes() == bytes && bytes < 4 << 20, "{bytes}");
    }
}
