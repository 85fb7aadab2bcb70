//! Names of orders and of streams.
//!
//! Thread: any.  Invariants: a [`ClientOrderId`] is known before its order's bytes leave and none is ever reused; its
//! text is digits, a letter and dashes only, so no venue firewall reads words into it.

use std::fmt;

/// The venue's number of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VenueOrderId(pub i64);

/// Which order of a signal this is: an entry tranche, an exit leg, the list around two legs, a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// Entry tranche, 1 to 20.
    Entry(u8),
    /// Take-profit limit of exit slot 1 or 2.
    TakeProfit(u8),
    /// Stop of exit slot 1 or 2.
    Stop(u8),
    /// The order list (OCO) of exit slot 1 or 2.
    List(u8),
    /// A close of the position at the market.
    Flatten,
    /// A request that is not an order: the id of a cancel.
    Request,
}

impl Leg {
    /// Two digits of the text form.
    pub fn code(self) -> u8 {
        match self {
            Leg::Entry(tranche) => tranche,
            Leg::TakeProfit(slot) => 30 + slot,
            Leg::Stop(slot) => 40 + slot,
            Leg::List(slot) => 50 + slot,
            Leg::Flatten => 60,
            Leg::Request => 70,
        }
    }
    /// The leg of a code; `None` for a code that no leg has.
    pub fn of_code(code: u8) -> Option<Leg> {
        match code {
            1..=20 => Some(Leg::Entry(code)),
            31 | 32 => Some(Leg::TakeProfit(code - 30)),
            41 | 42 => Some(Leg::Stop(code - 40)),
            51 | 52 => Some(Leg::List(code - 50)),
            60 => Some(Leg::Flatten),
            70 => Some(Leg::Request),
            _ => None,
        }
    }
}

/// Our name of an order: `<epoch><signal><leg><attempt>`. Unique over all runs of one data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientOrderId {
    /// Run of the engine; durable before the run's first order.
    pub epoch: u32,
    /// Entry signal within the run, from 1.
    pub signal: u32,
    /// Which order of the signal.
    pub leg: Leg,
    /// How often this leg was sent, from 1.
    pub attempt: u16,
}

/// Bytes of the text form `v0000000012-000003-01-0001`.
pub const CLIENT_ORDER_ID_BYTES: usize = 26;
/// Largest signal number the text form holds.
pub const SIGNAL_MAX: u32 = 999_999;
/// Largest attempt number the text form holds.
pub const ATTEMPT_MAX: u16 = 9_999;

fn put_digits(out: &mut [u8], mut value: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn take_digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

impl ClientOrderId {
    /// The text form, fixed length: pattern `^[a-zA-Z0-9-_]{1,36}$` of the venue holds.
    pub fn text(self) -> [u8; CLIENT_ORDER_ID_BYTES] {
        let mut out = *b"v0000000000-000000-00-0000";
        put_digits(&mut out[1..11], u64::from(self.epoch));
        put_digits(&mut out[12..18], u64::from(self.signal));
        put_digits(&mut out[19..21], u64::from(self.leg.code()));
        put_digits(&mut out[22..26], u64::from(self.attempt));
        out
    }
    /// Reads the text form back; `None` for an id that is not ours.
    pub fn parse(text: &[u8]) -> Option<ClientOrderId> {
        let text: &[u8; CLIENT_ORDER_ID_BYTES] = text.try_into().ok()?;
        if (text[0], text[11], text[18], text[21]) != (b'v', b'-', b'-', b'-') {
            return None;
        }
        Some(ClientOrderId {
            epoch: u32::try_from(take_digits(&text[1..11])?).ok()?,
            signal: u32::try_from(take_digits(&text[12..18])?).ok()?,
            leg: Leg::of_code(u8::try_from(take_digits(&text[19..21])?).ok()?)?,
            attempt: u16::try_from(take_digits(&text[22..26])?).ok()?,
        })
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

/// Everything the house listens to. `stale_after_ms` and `/readyz` speak of these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum StreamId {
    /// Binance Spot best bid and offer.
    BinanceBbo,
    /// Binance Spot depth diffs, synced to a snapshot.
    BinanceDepth,
    /// Binance Spot trades.
    BinanceTrade,
    /// Binance Spot candles.
    BinanceCandle,
    /// Binance Spot WebSocket API: orders and the account's own events.
    BinanceUser,
    /// Solana slots.
    SolanaSlot,
    /// DeFiLlama daily volume.
    DefiLlama,
    /// pump.fun 24 h volume.
    PumpFun,
    /// The engine's own timers and operator's word.
    Internal,
    /// Kraken Spot book, synced and checked by its checksum.
    KrakenBook,
    /// Kraken Spot ticker.
    KrakenTicker,
    /// Kraken Spot trades.
    KrakenTrade,
    /// Book of a Solana exchange, read from its account.
    DexBook,
    /// Ladder of Jupiter quotes.
    Jupiter,
    /// Memecoin volume counted from the chain's own events.
    PumpChain,
    /// CoinGecko category volume.
    CoinGecko,
}

impl StreamId {
    /// All of them, in wire order.
    pub const ALL: [StreamId; 16] = [
        StreamId::BinanceBbo,
        StreamId::BinanceDepth,
        StreamId::BinanceTrade,
        StreamId::BinanceCandle,
        StreamId::BinanceUser,
        StreamId::SolanaSlot,
        StreamId::DefiLlama,
        StreamId::PumpFun,
        StreamId::Internal,
        StreamId::KrakenBook,
        StreamId::KrakenTicker,
        StreamId::KrakenTrade,
        StreamId::DexBook,
        StreamId::Jupiter,
        StreamId::PumpChain,
        StreamId::CoinGecko,
    ];
    /// Name in metrics, logs and config.
    pub fn name(self) -> &'static str {
        match self {
            StreamId::BinanceBbo => "binance_bbo",
            StreamId::BinanceDepth => "binance_depth",
            StreamId::BinanceTrade => "binance_trade",
            StreamId::BinanceCandle => "binance_candle",
            StreamId::BinanceUser => "binance_user",
            StreamId::SolanaSlot => "solana_slot",
            StreamId::DefiLlama => "defillama",
            StreamId::PumpFun => "pumpfun",
            StreamId::Internal => "internal",
            StreamId::KrakenBook => "kraken_book",
            StreamId::KrakenTicker => "kraken_ticker",
            StreamId::KrakenTrade => "kraken_trade",
            StreamId::DexBook => "dex_book",
            StreamId::Jupiter => "jupiter",
            StreamId::PumpChain => "pump_chain",
            StreamId::CoinGecko => "coingecko",
        }
    }
}
