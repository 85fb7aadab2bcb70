//! The node as a child process.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sol_volume_bot::sys::clock::Clock;
use sol_volume_bot::sys::poller::Poller;
use sol_volume_bot::types::time::NANOS_PER_SEC;

/// Slot time asked of a node that takes one.
const SLOT_MS: i64 = 100;
const START_NS_MAX: i64 = 20 * NANOS_PER_SEC;

/// Where the node comes from.
enum Source {
    /// A command that prints its addresses.
    Said(String),
    /// The unpacked binary.
    Packed(PathBuf),
    /// `solana-test-validator` of `PATH`, which prints nothing we need.
    Validator,
}

/// A running node. Dropped, it is gone, and its files with it.
pub struct Node {
    source: Source,
    folder: PathBuf,
    child: Option<Child>,
    pub rpc: SocketAddr,
    pub ws: SocketAddr,
    pub slot_ms: i64,
}

impl Node {
    /// `None`, said plainly, where there is no node to be had.
    pub fn start() -> Option<Node> {
        let folder = std::env::temp_dir().join(format!("svb-solana-node-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let Some(source) = find(&folder) else {
            println!(
                "SKIPPED: no Solana node: SOLANA_TESTNODE is not set, the shared folder has none, and there is no \
                 solana-test-validator; scripts/build_testnode.sh builds one"
            );
            drop(fs::remove_dir_all(&folder));
            return None;
        };
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = Node { source, folder, child: None, rpc: nowhere, ws: nowhere, slot_ms: SLOT_MS };
        node.start_again();
        Some(node)
    }

    /// Starts it, on other ports than before.
    pub fn start_again(&mut self) {
        match &self.source {
            Source::Said(command) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("exec {command}"));
                self.read_addresses(shell);
            }
            Source::Packed(path) => {
                let mut binary = Command::new(path);
                binary.arg(SLOT_MS.to_string());
                self.read_addresses(binary);
            }
            Source::Validator => self.start_validator(),
        }
        println!("a Solana node serves at {} and {}", self.rpc, self.ws);
    }

    /// As by SIGKILL: no goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
        }
    }

    fn read_addresses(&mut self, mut command: Command) {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the node starts");
        let out = child.stdout.take().expect("piped");
        self.child = Some(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("the node speaks");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line:?}"));
        let addr = |name: &str| {
            let url = said[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}"));
            let host = url.rsplit('/').find(|part| !part.is_empty()).expect("a host");
            host.replace("localhost", "127.0.0.1").parse().unwrap_or_else(|why| panic!("{why}: {url}"))
        };
        (self.rpc, self.ws) = (addr("rpc"), addr("ws"));
        assert!(self.rpc.ip().is_loopback() && self.ws.ip().is_loopback(), "only loopback is talked to: {line}");
        self.slot_ms = said["slot_ms"].as_i64().unwrap_or(400);
    }

    fn start_validator(&mut self) {
        // Its websocket takes the port behind the RPC's: a free pair is looked for.
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        let port = (21_000..29_000).step_by(100).find(|port| free(*port) && free(port + 1)).expect("free ports");
        let mut command = Command::new("solana-test-validator");
        command.args(["--quiet", "--reset", "--bind-address", "127.0.0.1", "--rpc-port", &port.to_string()]);
        command.args(["--faucet-port", &(port + 2).to_string(), "--ledger"]).arg(self.folder.join("ledger"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("the validator starts"));
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        (self.rpc, self.ws, self.slot_ms) = (at(port), at(port + 1), 400);
        let (clock, mut poller) = (Clock::start(), Poller::new().expect("a poller"));
        let end = clock.now().plus(START_NS_MAX);
        while TcpStream::connect(self.ws).is_err() {
            assert!(clock.now() < end, "the validator does not open its ports");
            poller.sleep(std::time::Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        drop(fs::remove_dir_all(&self.folder)); // temporary files: whatever is left is the system's to clear
    }
}

fn find(folder: &std::path::Path) -> Option<Source> {
    if let Ok(command) = std::env::var("SOLANA_TESTNODE") {
        println!("the Solana node is SOLANA_TESTNODE: {command}");
        return Some(Source::Said(command));
    }
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from);
    let packed = shared.join("tools/solana-testnode/bin/solana-testnode.zst");
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) && packed.exists() {
        println!("the Solana node is {}", packed.display());
        let path = folder.join("solana-testnode");
        let mut from =
            ruzstd::decoding::StreamingDecoder::new(File::open(&packed).expect("it is there")).expect("zstd");
        copy(&mut from, &mut File::create(&path).expect("a file")).expect("it unpacks");
        fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("a mode");
        return Some(Source::Packed(path));
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join("solana-test-validator").is_file());
    found.then(|| println!("the Solana node is solana-test-validator")).map(|()| Source::Validator)
}
