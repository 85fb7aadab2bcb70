//! Solana: slots from one endpoint and from several, the ledger, PubSub and JSON-RPC as nodes speak them.

mod captures;
mod desk;
mod endpoints;
mod hostile;
mod ledger;
mod pubsub;
mod rpc;
mod server;
mod session;
