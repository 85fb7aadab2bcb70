//! Files that need care: the data directory's lock, secrets, free space, core dumps.
//!
//! Thread: any, cold.  Invariants: one engine per data directory, whatever ends the other (the kernel drops the lock
//! with the process); nothing is created or changed before the lock is held.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Name of the lock file inside the data directory; it holds the owner's process id.
pub const LOCK_FILE: &str = "engine.lock";
const GUARD_LOCK_FILE: &str = "guard.lock";

/// Why a file or directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("`{path}`: cannot {what}: {error}")]
    Io {
        /// Which file.
        path: String,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Another engine (or guard) has it.
    #[error("`{path}`: in use by another {who} (process {pid}); stop it, or choose another storage.data_dir")]
    Locked {
        /// The data directory.
        path: String,
        /// What has it: an engine or a guard.
        who: &'static str,
        /// The holder's process id as it wrote it.
        pid: String,
    },
    /// A secret that others can read.
    #[error("`{path}`: mode {mode:04o} lets others read it; run: chmod 600 {path}")]
    Readable {
        /// Which file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
}

fn io_error(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let path = path.display().to_string();
    move |error| FileError::Io { path, what, error }
}

/// The right to be the one engine (or the one guard) of a data directory; lasts as long as the value.
#[derive(Debug)]
pub struct DirLock {
    _file: File, // the lock lives with the open file
}

/// Creates `dir` where it is missing and locks it for the one engine.
pub fn lock_dir(dir: &Path) -> Result<DirLock, FileError> {
    lock_for(dir, LOCK_FILE, "engine")
}

/// Creates `dir` where it is missing and locks it for the one guard; an engine may hold it as well.
pub fn lock_guard(dir: &Path) -> Result<DirLock, FileError> {
    lock_for(dir, GUARD_LOCK_FILE, "guard")
}

fn lock_for(dir: &Path, file: &str, who: &'static str) -> Result<DirLock, FileError> {
    fs::create_dir_all(dir).map_err(io_error(dir, "create the directory"))?;
    let path = dir.join(file);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    let mut file = options.open(&path).map_err(io_error(&path, "open for writing"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = (&file).take(20).read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
            return Err(FileError::Locked { path: dir.display().to_string(), who, pid });
        }
        Err(TryLockError::Error(error)) => return Err(io_error(&path, "lock")(error)),
    }
    let mut write_pid = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        file.sync_data()
    };
    write_pid().map_err(io_error(&path, "write"))?;
    Ok(DirLock { _file: file })
}

/// Refuses a file of secrets that its group or others can read.
pub fn check_private(path: &Path) -> Result<(), FileError> {
    let mode = fs::metadata(path).map_err(io_error(path, "look at"))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Readable { path: path.display().to_string(), mode });
    }
    Ok(())
}

/// Free bytes for us on the file system that holds `path`.
pub fn free_bytes(path: &Path) -> Result<u64, FileError> {
    let fail = io_error(path, "ask for free space");
    let Ok(text) = CString::new(path.as_os_str().as_bytes()) else {
        return Err(fail(io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `text` ends in NUL and outlives the call; `stat` is a valid place for one statvfs.
    if unsafe { libc::statvfs(text.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(fail(io::Error::last_os_error()));
    }
    // SAFETY: statvfs returned 0, so it filled the struct.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::useless_conversion)] // the fields' width differs between libc targets
    Ok(u64::from(stat.f_bavail).saturating_mul(u64::from(stat.f_frsize)))
}

/// Sets disk space aside for `file` from `at` on, without making it longer. Output: false where the file system cannot.
/// Errors: mostly that the disk is full.
pub fn set_aside(file: &File, at: u64, bytes: u64) -> io::Result<bool> {
    let wrong = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let (at, bytes) = (i64::try_from(at).map_err(wrong)?, i64::try_from(bytes).map_err(wrong)?);
    // SAFETY: fallocate takes integers only, and the descriptor is open as long as `file` is borrowed.
    if unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, at, bytes) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(false),
        error => Err(error),
    }
}

/// Keeps secrets out of core dumps, and this process's memory away from other processes of the same user.
pub fn disable_core_dumps() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is a valid rlimit that outlives the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: PR_SET_DUMPABLE takes one integer and touches no memory of ours.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// A directory of this test alone, gone with the value.
    struct TempDir(PathBuf);
    impl TempDir {
        fn new(name: &str) -> TempDir {
            let path = std::env::temp_dir().join(format!("svb-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("temporary directory");
            TempDir(path)
        }
    }
    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn second_engine_on_a_directory_is_refused_with_the_first_ones_process_id() {
        let dir = TempDir::new("lock");
        let data = dir.0.join("deep/data");
        let first = lock_dir(&data).expect("free");
        let error = lock_dir(&data).expect_err("taken").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        lock_dir(&data).expect("free again");
    }

    #[test]
    fn directory_that_cannot_be_made_is_named() {
        let dir = TempDir::new("file");
        let file = dir.0.join("file");
        fs::write(&file, "x").expect("write");
        let error = lock_dir(&file.join("data")).expect_err("a file is in the way").to_string();
        assert!(error.contains("create the directory") && error.contains("file/data"), "{error}");
    }

    #[test]
    fn secret_file_that_group_or_others_can_read_is_refused_with_the_cure() {
        let dir = TempDir::new("mode");
        let file = dir.0.join(".env");
        fs::write(&file, "K=1").expect("write");
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o644, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(check_private(&file).is_ok(), good, "{mode:o}");
        }
        let error = check_private(&file).expect_err("0644").to_string();
        assert!(error.contains("mode 0644") && error.contains("chmod 600"), "{error}");
        assert!(check_private(&dir.0.join("none")).is_err());
    }

    #[test]
    fn free_space_is_known_and_a_missing_path_is_an_error() {
        assert!(free_bytes(&std::env::temp_dir()).expect("temp dir") > 0);
        assert!(free_bytes(Path::new("/no/such/place")).is_err());
    }

    #[test]
    fn core_dumps_can_be_switched_off() {
        disable_core_dumps().expect("allowed for any process");
        let mut limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: `limit` is a valid place for one rlimit.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) }, 0);
        assert_eq!(limit.rlim_cur, 0);
        // SAFETY: PR_GET_DUMPABLE takes no memory of ours.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }, 0);
    }
}
