//! Other processes of this host: whether one still lives, and how to end exactly that one.
//!
//! Thread: any, cold.  Invariants: a process is its id and its birth together, because ids are used again; a signal
//! goes to nobody else.

use std::fs;
use std::io;

/// One process, for as long as this host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// The kernel's number of it.
    pub pid: u32,
    /// When it was born, in the kernel's ticks since boot.
    pub born_ticks: u64,
}

impl ProcessId {
    /// This process. Errors: no procfs.
    pub fn own() -> io::Result<ProcessId> {
        let pid = std::process::id();
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "/proc does not tell when this process was born");
        Ok(ProcessId { pid, born_ticks: born_ticks(pid).ok_or_else(unknown)? })
    }

    /// Whether it lives: running, sleeping or stopped. One that ended and was not collected yet does not.
    pub fn is_alive(self) -> bool {
        born_ticks(self.pid) == Some(self.born_ticks)
    }

    /// Sends `signal`. Output: false if it lives no more. Errors: the kernel's, such as no permission.
    pub fn signal(self, signal: i32) -> io::Result<bool> {
        let Ok(pid) = libc::pid_t::try_from(self.pid) else { return Ok(false) };
        // The descriptor names one process for good: what is born under its id after the look below is not hit.
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let Ok(fd) = libc::c_int::try_from(opened) else { return Ok(false) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ESRCH) { Ok(false) } else { Err(error) };
        }
        let sent = if self.is_alive() { send(fd, signal) } else { Ok(false) };
        // SAFETY: `fd` was opened above and is closed once.
        unsafe { libc::close(fd) };
        sent
    }
}

fn send(fd: libc::c_int, signal: i32) -> io::Result<bool> {
    // SAFETY: the third argument may be null (no siginfo), the others are integers.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    if sent == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(false) } else { Err(error) }
}

/// Field 22 of `/proc/<pid>/stat`; `None` for a process that ended.
fn born_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?; // the name may hold anything, blanks and brackets too
    let mut fields = after_name.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_signalled_by_id_and_birth_and_is_gone_afterwards() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        let process = ProcessId { pid: child.id(), born_ticks: born_ticks(child.id()).expect("it lives") };
        assert!(process.is_alive());
        let later = ProcessId { born_ticks: process.born_ticks + 1, ..process };
        assert!(!later.is_alive(), "another process under the same id");
        assert!(!later.signal(libc::SIGKILL).expect("nobody to refuse"), "and nobody is hit");
        assert!(process.signal(libc::SIGKILL).expect("our own child"));
        let ended = child.wait().expect("it ended");
        assert!(!ended.success() && !process.is_alive());
        assert!(!process.signal(libc::SIGTERM).expect("nobody to refuse"));
    }

    #[test]
    fn this_process_knows_itself() {
        let own = ProcessId::own().expect("procfs");
        assert!(own.is_alive() && own.born_ticks > 0);
        assert!(own.signal(0).expect("our own"), "signal 0 only asks");
    }
}
