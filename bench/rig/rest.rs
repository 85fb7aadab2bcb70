//! What a house asks by REST, answered: depth snapshots, the market account, the pools' accounts, Kraken's depth.
//!
//! Threads: one per connection, blocking.  Invariants: one answer a request; a path of nobody is a 404.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sol_volume_bot::venue::pumpchain::WSOL;

use crate::chain_desk::AMM;
use crate::dex_desk::answer;
use crate::rig::peer::listen;

/// What the answers are made of.
pub struct World {
    /// Number of the newest depth diff.
    pub depth: AtomicU64,
    /// The newest slot.
    pub slot: AtomicU64,
    /// The market account.
    pub account: Vec<u8>,
}

/// Starts to answer. Output: where.
pub fn serve(world: Arc<World>) -> SocketAddr {
    let (listener, addr) = listen();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let world = Arc::clone(&world);
            thread::spawn(move || _ = talk(&socket, &world)); // ends with its connection
        }
    });
    addr
}

fn talk(socket: &TcpStream, world: &World) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut reader = BufReader::new(socket);
    loop {
        let (mut first, mut len) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    len = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body)?;
        let answer = reply(&first, &body, world);
        let status = if answer.is_some() { "200 OK" } else { "404 Not Found" };
        let answer = answer.unwrap_or_default();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        (&mut &*socket).write_all(&[head.as_bytes(), &answer].concat())?;
    }
}

fn reply(first: &str, body: &[u8], world: &World) -> Option<Vec<u8>> {
    let path = first.split(' ').nth(1)?;
    if path.starts_with("/api/v3/depth") {
        let last = 10_000_000_000 + world.depth.load(Ordering::Acquire); // pairs with the flood's Release
        let text = format!(
            r#"{{"lastUpdateId":{last},"bids":[["159.95000000","1.00000000"]],"asks":[["162.50000000","1.00000000"]]}}"#
        );
        return Some(text.into());
    }
    if path.contains("/public/Depth") {
        let text = r#"{"error":[],"result":{"SOLUSD":{"asks":[["161.01000","1.000",1795000000]],"bids":[["161.00000","1.000",1795000000]]}}}"#;
        return Some(text.into());
    }
    let asked: Value = serde_json::from_slice(body).ok()?;
    match asked["method"].as_str()? {
        "getAccountInfo" => Some(answer(world.slot.load(Ordering::Acquire), &world.account)),
        "getMultipleAccounts" => {
            let data = STANDARD.encode([[5; 32], WSOL].concat());
            let pool = json!({"data": [data, "base64"], "owner": AMM, "lamports": 1, "executable": false});
            let value = vec![pool; asked["params"][0].as_array()?.len()];
            let result = json!({"context": {"slot": 1}, "value": value});
            Some(json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string().into())
        }
        _ => None,
    }
}
