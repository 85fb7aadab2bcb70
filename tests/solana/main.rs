//! Solana: slots from one endpoint and from several, the ledger, PubSub and JSON-RPC as nodes speak them.

mod agent;
mod captures;
mod desk;
mod endpoints;
mod frames;
mod hostile;
mod ledger;
mod pubsub;
mod rpc;
mod server;
mod session;
mod states;

#[path = "../counting/mod.rs"]
mod counting;
