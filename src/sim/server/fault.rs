//! What can go wrong at a venue, switched by a scenario's timeline or by a test's hand.
//!
//! Thread: any.  Invariants: a fault changes what clients are told or when, never the exchange's books, except where
//! its name says so.

use serde::Deserialize;

use super::dex::{DexState, JupiterState};
use super::kraken::KrakenSystem;

/// One switch. Counts are "the next n"; a count of zero switches the fault off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Sends nothing more of the stream of this name (`solusdt@bookTicker`), though it stays subscribed.
    MuteStream(String),
    /// Sends it again.
    UnmuteStream(String),
    /// Swallows the next n depth diffs: a gap in `U`/`u`.
    DropDepthDiffs(u32),
    /// Cuts every market-stream connection.
    DropStreams,
    /// Cuts every WebSocket API connection.
    DropWsApi,
    /// Cuts every Solana connection.
    DropSolana,
    /// Spoils the checksum of the next n book messages of Kraken.
    KrakenBadChecksums(u32),
    /// Crosses Kraken's book in the next n updates; their checksums hold.
    KrakenCrossed(u32),
    /// Kraken sends heartbeats only, though all stays subscribed; `false` sends the market again.
    KrakenMute(bool),
    /// Kraken sends nothing at all and answers nothing, but leaves its connections open.
    KrakenSilent(bool),
    /// What Kraken says that it does.
    KrakenStatus(KrakenSystem),
    /// Cuts every Kraken connection.
    DropKraken,
    /// From now on sends nothing on any open connection, but leaves them open.
    HalfOpen,
    /// Announces `serverShutdown` on every Binance WebSocket, then cuts them.
    ServerShutdown,
    /// Ends every user data subscription with `eventStreamTerminated`.
    CutUserStream,
    /// Tells every WebSocket API session that its key is no longer valid (401, -2015), as when it is deleted.
    RevokeKey,
    /// Executes the next n placements, but answers -1007 "unknown".
    TimeoutExecuted(u32),
    /// Does not execute the next n placements, and answers -1007 "unknown".
    TimeoutNotExecuted(u32),
    /// Executes the next n placements, but answers -1006 "unexpected response, execution status unknown".
    UnexpectedExecuted(u32),
    /// Executes the next n placements, but answers with status 503.
    UnavailableExecuted(u32),
    /// Executes the next n cancels, but answers -1007 "unknown".
    TimeoutCanceled(u32),
    /// Counts so much request weight that somebody else at our address used up in this minute.
    OtherWeight(u32),
    /// Bans our address for so many milliseconds: 418 to everything.
    BanMs(u32),
    /// The WebSocket API does what it is asked, but answers nothing and tells no event, on new connections either; `false`
    /// speaks again.
    MuteWsApi(bool),
    /// Executes the next n requests of the trading API, and answers nothing.
    SwallowAnswers(u32),
    /// Answers the next n requests of the trading API with status 503, nothing done.
    Unavailable(u32),
    /// Answers the trading API this many milliseconds late; 0 = at once.
    DelayAnswersMs(u32),
    /// Refuses the next n OCO orders with "The relationship of the prices for the orders is not correct."
    RefuseOco(u32),
    /// Sends user events before the answer of the request that caused them.
    EventsFirst(bool),
    /// Cuts WebSockets of Binance at this age in milliseconds, in place of 24 h; 0 = 24 h again.
    LifetimeMs(u32),
    /// Stops matching: symbol status `HALT`.
    Halt,
    /// Allows cancels only: symbol status `CANCEL_ONLY`.
    CancelOnly,
    /// Trades again: symbol status `TRADING`.
    Trading,
    /// The venue itself ends every waiting stop of the account (`EXCHANGE_CANCELED`): the position is naked.
    ExpireStops,
    /// How DeFiLlama answers.
    Llama(FeedState),
    /// How pump.fun answers.
    Pump(FeedState),
    /// How CoinGecko answers.
    Gecko(FeedState),
    /// Status of Telegram's next answers; 200 = fine.
    Telegram(u16),
    /// Status of Slack's next answers; 200 = fine.
    Slack(u16),
    /// Stops telling slots; `false` tells them again.
    StallSlots(bool),
    /// The next n slots have no block.
    SkipSlots(u32),
    /// The next n slots each build on the block before the newest one.
    ForkSlots(u32),
    /// After the next slot the n before it are told once more.
    RegressSlots(u32),
    /// The node calls itself unhealthy, this many slots behind; 0 = healthy again.
    NodeBehind(u32),
    /// Answers the next n JSON-RPC requests of Solana with status 429.
    RpcTooMany(u32),
    /// How the Solana exchange's account is told.
    Dex(DexState),
    /// How many slots the node's word of it is behind.
    DexLagSlots(u32),
    /// How far it and Jupiter lie from the exchange's mid, basis points.
    DexDivergeBps(i32),
    /// How Jupiter answers.
    Jupiter(JupiterState),
    /// Whether Jupiter allows no more than is free without a key.
    JupiterKeyless(bool),
    /// Tells no memecoin trades, though they happen and the subscription stays.
    ChainStop(bool),
    /// Cuts the logs of the next n memecoin transactions.
    ChainTruncate(u32),
    /// Tells every memecoin transaction twice.
    ChainRepeat(bool),
    /// Tells n transactions at once in which another program prints a trade's lines.
    ChainLookalikes(u32),
    /// Tells n trades of an hour ago at once.
    ChainReplay(u32),
    /// Multiplies the size of every memecoin trade; 1 = as it is.
    ChainTimes(u32),
    /// Knows no pool's account; `false` knows them again.
    ChainPoolsUnknown(bool),
    /// Status of Bitquery's next answers; 200 = fine, 0 = 200 with an error in the body.
    Bitquery(u16),
}

/// How a volume source answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedState {
    /// Its numbers.
    #[default]
    Ok,
    /// Yesterday's bucket is missing: the last one is two days old.
    Stale,
    /// Yesterday repeats the day before to the cent.
    Filled,
    /// Yesterday is zero.
    Zero,
    /// Totals are `null`, the chart is empty.
    Null,
    /// An HTML page with status 200.
    Html,
    /// Status 429 with `Retry-After: 1`.
    TooMany,
    /// Status 500 with a plain text.
    Broken,
    /// Totals and chart tell different stories.
    Contradicting,
}
