//! Binance Spot market data through its front doors: recorded sessions, the book's sync, the session, hostile frames.

mod bridging;
mod captures;
mod frames;
mod hostile;
mod session;
