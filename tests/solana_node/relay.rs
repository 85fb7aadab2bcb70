//! One fixed address before a node whose ports change: bytes through, both ways.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A loopback relay; its threads end with their connections, the listening one with the process.
pub struct Relay {
    addr: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
}

impl Relay {
    pub fn open(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let target = Arc::new(Mutex::new(target));
        let now = Arc::clone(&target);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let to = *now.lock().expect("nobody panics with it");
                // Where no node listens the client sees its connection end, as it would see a refusal.
                if let Ok(node) = TcpStream::connect(to) {
                    join(client, node);
                }
            }
        });
        Relay { addr, target }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New connections go there.
    pub fn turn_to(&self, target: SocketAddr) {
        *self.target.lock().expect("nobody panics with it") = target;
    }
}

fn join(one: TcpStream, two: TcpStream) {
    let twin = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
    let (one_too, two_too) = (twin(&one), twin(&two));
    thread::spawn(move || pass(one, two));
    thread::spawn(move || pass(two_too, one_too));
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both))); // one side gone: both are
}
