//! A door for this host only: a Unix socket in the data directory, open to its owner alone.
//!
//! Thread: any, helper.  Invariants: mode 0600; a path of any length works (both ends go by the directory's descriptor,
//! because a socket's own name may have 107 bytes at most); what a dead process left there is replaced.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Name of the socket inside the data directory.
pub const SOCKET_FILE: &str = "control.sock";

/// `file` in the directory that `dir` holds open.
fn inside(dir: &File, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{file}", dir.as_raw_fd()))
}

/// Opens the door. To be called by the holder of the directory's lock only.
pub fn listen(dir: &Path) -> io::Result<UnixListener> {
    let dir = File::open(dir)?;
    let (draft, path) = (inside(&dir, "control.sock.new"), inside(&dir, SOCKET_FILE));
    match fs::remove_file(&draft) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, Permissions::from_mode(0o600))?;
    fs::rename(&draft, &path)?; // under its name only once nobody else can use it
    Ok(listener)
}

/// Knocks at the door of the engine that trades in `dir`. Errors: the kernel's; `NotFound` or `ConnectionRefused` where
/// no engine runs.
pub fn connect(dir: &Path) -> io::Result<UnixStream> {
    let dir = File::open(dir)?;
    UnixStream::connect(inside(&dir, SOCKET_FILE))
}

/// Takes the door away.
pub fn remove(dir: &Path) {
    drop(fs::remove_file(dir.join(SOCKET_FILE))); // left behind it does no harm: the next start replaces it
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_door_at_the_end_of_a_long_path_opens_for_its_owner_and_replaces_a_dead_one() {
        let name = format!("svb-local-{}-{}", std::process::id(), "d".repeat(120));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("a folder");
        assert!(connect(&dir).is_err(), "nobody there");
        drop(listen(&dir).expect("opens"));
        assert_eq!(connect(&dir).expect_err("a dead door").kind(), io::ErrorKind::ConnectionRefused);
        let listener = listen(&dir).expect("opens again");
        let mode = fs::metadata(dir.join(SOCKET_FILE)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut asker = connect(&dir).expect("knocks");
        let (mut opened, _) = listener.accept().expect("hears");
        asker.write_all(b"hello").expect("says");
        drop(asker);
        let mut heard = String::new();
        opened.read_to_string(&mut heard).expect("hears");
        assert_eq!(heard, "hello");
        fs::remove_dir_all(&dir).expect("cleans up");
    }
}
