//! The further feeds of a recording: Kraken, Solana's exchanges, the chain's own volume, CoinGecko.
//!
//! Thread: main.  Invariants: a session is made with the first line of its feed; what a session would ask a venue is
//! answered by what the recording has next, whenever it would have asked; every line is decoded, also one that the
//! session had no question for.

use super::listeners::volume;
use crate::sim::play::Probe;
use crate::types::chain::BucketSource;
use crate::types::event::{Event, Slot};
use crate::types::time::NANOS_PER_SEC;
use crate::types::{EventKind, Price, Qty, StreamId, Time};
use crate::venue::DecodeError;
use crate::venue::coingecko;
use crate::venue::jupiter::ladder::{LadderSession, LadderSettings, SettingsError};
use crate::venue::jupiter::{QuoteError, decode as decode_quote};
use crate::venue::kraken::decode::{Frame, Rows, frame as kraken_frame};
use crate::venue::kraken::rest::RestError;
use crate::venue::kraken::session::{KrakenSession, KrakenSettings};
use crate::venue::manifest::AccountError;
use crate::venue::manifest::session::{DexSession, DexSettings};
use crate::venue::pumpchain::backfill::BackfillError;
use crate::venue::pumpchain::backfill::bitquery::{self, Grain};
use crate::venue::pumpchain::pools::PoolsWanted;
use crate::venue::pumpchain::session::{ChainSession, Settings as ChainSettings};

/// The one connection of each socket; Kraken's says when another one begins.
const CONN: u32 = 1;
/// Longer than any recording: nobody is there to be pinged.
const NEVER_NS: i64 = i64::MAX / 4;
/// As often as a session allows: the recording itself keeps the pace of its time.
const QUOTES_PER_MINUTE: u32 = 9_000;
/// Hours that a back-fill may speak of.
const BACKFILL_NS: i64 = 60 * 24 * 3_600 * NANOS_PER_SEC;

/// What the scout hears of the other agents' feeds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    slot: u64,
    mid: Option<(Price, Time)>,
}

impl Around {
    /// Notes what an event says.
    pub(super) fn note(&mut self, event: &Event) {
        match (event.stream, event.kind) {
            (StreamId::SolanaSlot, EventKind::Slot(Slot { slot, .. })) => self.slot = slot,
            (StreamId::BinanceBbo, EventKind::Bbo(bbo)) => {
                self.mid = Some((Price(bbo.bid.0.midpoint(bbo.ask.0)), event.recv));
            }
            _ => {}
        }
    }
}

/// The sessions.
pub(super) struct Further {
    /// What the other streams said.
    pub(super) around: Around,
    kraken: Kraken,
    dex: Option<DexSession>,
    ladder: Ladder,
    chain: Chain,
    gecko: coingecko::Reader,
}

impl Further {
    /// Errors: sizes of quotes that make no ladder.
    pub(super) fn new(probe: &Probe) -> Result<Further, SettingsError> {
        Ok(Further {
            around: Around::default(),
            kraken: Kraken::new(probe),
            dex: None,
            ladder: Ladder::new(&probe.quote_sizes)?,
            chain: Chain::default(),
            gecko: coingecko::Reader::new(coingecko::CATEGORY),
        })
    }

    /// Takes a line; `None` if its source is unknown here.
    pub(super) fn hear(
        &mut self,
        (endpoint, path, full): (&str, &str, &str),
        bytes: &[u8],
        recv: Time,
        emit: &mut dyn FnMut(Event),
    ) -> Option<Result<(), DecodeError>> {
        Some(match (endpoint, path) {
            ("kraken_ws", _) => self.kraken.hear(bytes, recv, emit),
            ("kraken_rest", "/0/public/Depth") => self.kraken.hear_audit(bytes, recv),
            ("dex_ws", _) => {
                let heard = self.dex(recv).on_frame(CONN, bytes, recv, &mut |event| emit(event));
                heard.map(drop).map_err(of_account)
            }
            ("solana_rpc", "getAccountInfo") => {
                let session = self.dex(recv);
                _ = session.snapshot_wanted(Time(i64::MAX)); // it was asked for, whatever the schedule here
                session.on_snapshot(bytes, recv, &mut |event| emit(event)).map_err(of_account)
            }
            ("jupiter", _) => self.ladder.hear(full, bytes, recv, emit),
            ("solana_logs", _) => self.chain.session(recv).on_frame(CONN, bytes, recv, &mut |e| emit(e)).map(drop),
            ("solana_rpc_asked", "getMultipleAccounts") => self.chain.hear_question(bytes, recv),
            ("solana_rpc", "getMultipleAccounts") => self.chain.hear_pools(bytes, recv),
            ("bitquery", "five_minutes") => self.chain.hear_backfill(bytes, Grain::FiveMinutes, recv),
            ("bitquery", _) => self.chain.hear_backfill(bytes, Grain::Hour, recv),
            ("coingecko", "/coins/categories") => self.gecko.on_body(bytes, recv).map(|_| {
                emit(volume(StreamId::CoinGecko, EventKind::Volume(self.gecko.sample(recv)), recv));
            }),
            _ => return None,
        })
    }

    fn dex(&mut self, recv: Time) -> &mut DexSession {
        self.dex.get_or_insert_with(|| {
            let mut session = DexSession::new(DexSettings::default());
            session.on_open(CONN, recv, &mut |_| {});
            session
        })
    }

    /// What time brings, as often as the agent looks.
    pub(super) fn look_at_the_clock(&mut self, now: Time, emit: &mut dyn FnMut(Event)) {
        let emit = &mut |event| emit(event);
        let Around { slot, mid } = self.around;
        self.kraken.look_at_the_clock(now, emit);
        if let Some(session) = &mut self.dex {
            session.on_slot(slot, now, emit);
            session.on_timer(now, emit);
        }
        if self.ladder.is_heard {
            self.ladder.session.on_slot(slot);
            self.ladder.session.on_timer(now, emit);
        }
        if let Some(session) = &mut self.chain.session {
            if let Some((price, at)) = mid {
                session.on_mid(price, at);
            }
            session.on_timer(now, emit);
        }
    }
}

/// Where in the frame; a fault of the account inside it is told as a contradiction of the whole.
fn of_account(error: AccountError) -> DecodeError {
    match error {
        AccountError::Frame(error) => error,
        other => other.at().map_or(DecodeError::Contradiction { name: "account" }, |at| DecodeError::Syntax { at }),
    }
}

/// Kraken's session, which asks and is granted everything: the recorded answers are to questions of another run.
struct Kraken {
    settings: Option<KrakenSettings>,
    session: Option<KrakenSession>,
    rows: Rows,
    connection: Option<u64>,
    conn: u32,
}

impl Kraken {
    fn new(probe: &Probe) -> Kraken {
        let settings = probe.kraken.map(|(pair, depth)| KrakenSettings {
            depth,
            ping_every_ns: NEVER_NS,
            ..KrakenSettings::new(pair)
        });
        Kraken { settings, session: None, rows: Rows::new(), connection: None, conn: CONN }
    }

    fn hear(&mut self, bytes: &[u8], recv: Time, emit: &mut dyn FnMut(Event)) -> Result<(), DecodeError> {
        let read = kraken_frame(bytes, &mut self.rows);
        let Some(settings) = self.settings else { return read.map(drop) }; // nobody subscribed: no market to tell of
        let emit = &mut |event| emit(event);
        let session = self.session.get_or_insert_with(|| {
            let mut session = KrakenSession::new(settings);
            session.on_open(CONN, recv);
            session
        });
        if let Ok(Frame::Status { connection_id, .. }) = read {
            if self.connection.is_some() && connection_id != self.connection {
                session.on_down(self.conn, recv, emit);
                self.conn = self.conn.wrapping_add(1);
                session.on_open(self.conn, recv);
            }
            self.connection = connection_id;
        }
        let mut asked = Vec::new();
        let heard = session.on_frame(self.conn, bytes, recv, &mut |text| asked.push(text.to_vec()), emit);
        grant_all(session, self.conn, asked, recv, emit);
        heard.map(drop)
    }

    /// An answer of REST; what the venue refused is an answer too.
    fn hear_audit(&mut self, bytes: &[u8], recv: Time) -> Result<(), DecodeError> {
        let heard = match &mut self.session {
            Some(session) => {
                _ = session.audit_wanted(recv);
                session.on_audit(bytes, recv).map(drop)
            }
            None => crate::venue::kraken::rest::depth(bytes).map(drop),
        };
        match heard {
            Ok(()) | Err(RestError::Venue(_)) => Ok(()),
            Err(RestError::Decode(error)) => Err(error),
        }
    }

    fn look_at_the_clock(&mut self, now: Time, emit: &mut impl FnMut(Event)) {
        let Some(session) = &mut self.session else { return };
        let mut asked = Vec::new();
        session.on_timer(now, &mut |_, text| asked.push(text.to_vec()), emit); // there is one connection
        grant_all(session, self.conn, asked, now, emit);
    }
}

/// Says yes to requests, and to those that follow from that.
fn grant_all(session: &mut KrakenSession, conn: u32, mut asked: Vec<Vec<u8>>, now: Time, emit: &mut impl FnMut(Event)) {
    while let Some(text) = asked.pop() {
        let Some(grant) = grant(&text) else { continue };
        _ = session.on_frame(conn, &grant, now, &mut |text| asked.push(text.to_vec()), emit); // our own words
    }
}

/// The venue's yes to a request.
fn grant(request: &[u8]) -> Option<Vec<u8>> {
    let request: serde_json::Value = serde_json::from_slice(request).ok()?;
    let (method, req_id) = (request["method"].as_str()?, request["req_id"].as_u64()?);
    Some(format!(r#"{{"method":"{method}","req_id":{req_id},"result":{{}},"success":true}}"#).into_bytes())
}

/// The ladder: driven by the recorded quotes, a round from its first sale on.
struct Ladder {
    session: LadderSession,
    first_sale: String,
    is_in_round: bool,
    is_heard: bool,
    asked: Option<String>,
}

impl Ladder {
    fn new(sizes: &[u64]) -> Result<Ladder, SettingsError> {
        let usual = LadderSettings { quotes_per_minute: QUOTES_PER_MINUTE, ..LadderSettings::default() };
        let sizes: Vec<Qty> = sizes.iter().filter_map(|atoms| i64::try_from(*atoms).ok().map(Qty)).collect();
        let settings = if sizes.is_empty() { usual } else { LadderSettings { sizes, ..usual } };
        let smallest = settings.sizes.first().copied().unwrap_or_default();
        let first_sale =
            format!("?inputMint={}&outputMint={}&amount={}", settings.base_mint, settings.quote_mint, smallest.0);
        let session = LadderSession::new(settings)?;
        Ok(Ladder { session, first_sale, is_in_round: false, is_heard: false, asked: None })
    }

    fn hear(&mut self, path: &str, body: &[u8], recv: Time, emit: &mut dyn FnMut(Event)) -> Result<(), DecodeError> {
        self.is_heard = true;
        self.is_in_round |= path.ends_with(&self.first_sale);
        if self.is_in_round
            && let Some(wanted) = self.session.next_request(recv)
        {
            self.asked = Some(wanted);
        }
        self.is_in_round &= self.asked.as_deref() == Some(path);
        let heard = if self.is_in_round {
            self.session.on_answer(200, body, recv, &mut |event| emit(event))
        } else {
            decode_quote(200, body).map(drop)
        };
        match heard {
            Err(QuoteError::Decode(error)) => Err(error),
            Ok(()) | Err(_) => Ok(()), // a refusal, or a round that is not believed: read, and told by its stream
        }
    }
}

/// The chain's session and the pools that were asked about.
#[derive(Default)]
struct Chain {
    session: Option<ChainSession>,
    asked: Option<PoolsWanted>,
}

impl Chain {
    fn session(&mut self, recv: Time) -> &mut ChainSession {
        self.session.get_or_insert_with(|| {
            let mut session = ChainSession::new(ChainSettings::default());
            session.on_open(CONN, recv, &mut |_| {});
            session
        })
    }

    fn hear_question(&mut self, body: &[u8], recv: Time) -> Result<(), DecodeError> {
        let asked = PoolsWanted::asked_by(body).ok_or(DecodeError::Missing { name: "params" })?;
        _ = self.session(recv).pools_wanted(recv); // they count as asked
        self.asked = Some(asked);
        Ok(())
    }

    /// An answer whose question was not recorded speaks of nobody knows whom.
    fn hear_pools(&mut self, body: &[u8], recv: Time) -> Result<(), DecodeError> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        self.session(recv).on_pools(&asked, body, recv).map(drop)
    }

    fn hear_backfill(&mut self, body: &[u8], grain: Grain, recv: Time) -> Result<(), DecodeError> {
        match bitquery::rows(200, body, grain, recv.plus(-BACKFILL_NS), recv) {
            Ok(rows) => {
                self.session(recv).on_backfill(BucketSource::Bitquery, &rows, recv, |_| None);
                Ok(())
            }
            Err(BackfillError::Unreadable(error)) => Err(error),
            Err(_) => Ok(()), // a refusal: read
        }
    }
}
