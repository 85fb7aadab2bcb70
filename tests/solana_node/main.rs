//! A real Solana node under the house's own client: slots, an account, logs; killed, started again, all back.
//!
//! The node is found in this order: the command in `SOLANA_TESTNODE`; the packed one in the shared folder
//! (`SHARED_DIR`, or `../shared`); `solana-test-validator` on `PATH`. Without any, this test says so and passes. It is
//! there for correctness: such a node tells its news every 50 ms, so no latency is read off it.

mod client;
mod node;
mod relay;
#[path = "../solana/states.rs"]
mod states;
mod transfer;

use client::{Client, Told};
use node::Node;
use relay::Relay;
use sol_volume_bot::types::event::StreamState;
use sol_volume_bot::types::time::NANOS_PER_MILLI;
use states::without_silence;
use transfer::{SYSTEM_PROGRAM, Wallet};

/// What is paid in each transfer: above the rent of an empty account.
const PAID: u64 = 2_000_000;
const FUNDS: u64 = 1_000_000_000;

/// Pays `to` once, `paid` lamports, and waits until both its account and its logs are told. Output: the slot of the change.
fn pay_and_hear(client: &mut Client, node: &Node, to: &Wallet, paid: u64, lamports_after: u64) -> u64 {
    let payer = Wallet::from_seed([7; 32]);
    let (accounts, logs) = (client.told().accounts.len(), client.told().logs.len());
    client.fund(node, &payer, FUNDS);
    let signature = client.pay(node, &payer, to, paid);
    client.until("the account's change", |told| told.accounts[accounts..].iter().any(|note| note.1 == lamports_after));
    client.until("the transfer's logs", |told| told.logs[logs..].iter().any(|note| note.signature == signature));
    let told = client.told();
    let note = told.logs.iter().find(|note| note.signature == signature).expect("just seen");
    assert!(!note.failed && note.lines.iter().any(|line| line.contains(SYSTEM_PROGRAM)), "{note:?}");
    let slot = told.accounts.iter().rfind(|note| note.1 == lamports_after).expect("just seen").0;
    assert_eq!(client.lamports(node, to), Some(lamports_after), "getAccountInfo tells the same");
    slot
}

#[test]
fn slots_an_account_and_logs_come_and_come_back_after_the_node_was_killed() {
    let Some(mut node) = Node::start() else { return };
    let relay = Relay::open(node.ws);
    let to = Wallet::from_seed([21; 32]);
    let mut client = Client::connect(relay.addr(), &to);
    client.until("twenty slots", |told| told.slots.len() >= 20);
    assert_eq!(without_silence(&client.told().states), [StreamState::Up]);
    assert!(client.told().slots.windows(2).all(|pair| pair[1] > pair[0]), "{:?}", client.told().slots);
    let slot_ms = client.slot_ns().expect("measured") / NANOS_PER_MILLI;
    assert!((node.slot_ms / 2..=node.slot_ms * 2).contains(&slot_ms), "{slot_ms} ms measured, {} asked", node.slot_ms);
    client.until("both subscriptions", |told| told.open == 2);
    let first = pay_and_hear(&mut client, &node, &to, PAID, PAID);
    // Another amount: the same one under the same blockhash would be the same transaction.
    let second = pay_and_hear(&mut client, &node, &to, PAID + 1, 2 * PAID + 1);
    assert!(second >= first, "{first} {second}");

    let before = (client.told().accounts.len(), client.told().logs.len());
    node.kill();
    client.until("the end", |told| told.states.last() == Some(&StreamState::Down) && told.open == 0);
    node.start_again();
    relay.turn_to(node.ws);
    let slots = client.told().slots.len();
    let is_up = |told: &Told| told.states.last() == Some(&StreamState::Up);
    client.until("slots of the new node", |told| is_up(told) && told.slots.len() > slots + 3);
    let states = without_silence(&client.told().states);
    assert_eq!(states.iter().filter(|state| **state == StreamState::Up).count(), 2, "{states:?}");
    client.until("both subscriptions again", |told| told.open == 2);
    let after = (client.told().accounts.len(), client.told().logs.len());
    assert_eq!(before, after, "nothing is told before something happened");
    pay_and_hear(&mut client, &node, &to, PAID, PAID); // a fresh chain: the account begins anew
}
