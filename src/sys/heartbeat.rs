//! The engine's heartbeat: one page of memory that another process may read while the engine turns, freezes or dies.
//!
//! Thread: any; `hot` beats and writes the figures, `gateway` beats, main writes the state; readers are elsewhere.
//! Invariants: writing is plain stores, no system call; a writer stopped between any two instructions leaves figures
//! that are whole; a page is complete before it can be found; only a clean end removes it.
//!
//! The page lies in memory (`/dev/shm`) and `data_dir/heartbeat` is a link to it: stores to a mapped file of a disk
//! wait now and then for that disk, and the hot thread never waits. Where there is no `/dev/shm` it is such a file.
//! A link without a page means that the host was restarted under a living engine.

use super::clock::Clock;
use super::process::ProcessId;
use crate::types::{Notional, Qty, Time};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

/// Name below the data directory.
pub const HEARTBEAT_FILE: &str = "heartbeat";
const MEMORY_DIR: &str = "/dev/shm";
/// `SVBHEART` and the layout's version.
const MAGIC: u64 = u64::from_be_bytes(*b"SVBHEART");
const VERSION: u64 = 1;
const PAGE_BYTES: usize = 4_096;
/// Looks at the figures before a reader gives up: the writer needs two more writes to spoil one look.
const LOOKS_MAX: u32 = 1_000;

/// Why there is no page to write or to read.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
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
    /// The link leads nowhere.
    #[error("`{path}` leads to a page that is gone: the host was restarted before the engine ended cleanly")]
    Lost {
        /// The link.
        path: String,
    },
    /// Not a page of this program.
    #[error("`{path}` is no heartbeat of this version ({why}); remove it if no engine uses this directory")]
    Foreign {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It trades.
    Trading,
    /// It was told to stop.
    Stopping,
    /// It ended; nothing is left to look after but protective orders at rest.
    EndedClean,
    /// It ended with orders unanswered or coins without a stop.
    EndedUnsettled,
}

impl RunState {
    const ALL: [RunState; 4] = [RunState::Trading, RunState::Stopping, RunState::EndedClean, RunState::EndedUnsettled];
}

/// What the engine knows that somebody else needs when it does not answer any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Cash and position at mid; zero = not known yet.
    pub equity: Notional,
    /// The first equity of the UTC day; zero = not known yet.
    pub day_equity: Notional,
    /// Coins that the engine bought and holds, proven by fills.
    pub position: Qty,
    /// Newest trade of the account's that the position counts in.
    pub trades_known_to: i64,
}

const FIGURES: usize = 4;

impl Figures {
    fn words(self) -> [i64; FIGURES] {
        [self.equity.0, self.day_equity.0, self.position.0, self.trades_known_to]
    }
    fn of([equity, day_equity, position, trades_known_to]: [i64; FIGURES]) -> Figures {
        let (equity, day_equity) = (Notional(equity), Notional(day_equity));
        Figures { equity, day_equity, position: Qty(position), trades_known_to }
    }
}

/// A word with a cache line of its own: two threads beat.
#[repr(C, align(64))]
#[derive(Debug)]
struct Line<T>(T);

/// The page as it lies in memory. Every word is an atomic: another process may write to it at any time.
#[repr(C, align(64))]
#[derive(Debug)]
struct Layout {
    magic: AtomicU64,
    version: AtomicU64,
    pid: AtomicU64,
    born_ticks: AtomicU64,
    epoch: AtomicU64,
    state: AtomicU64,
    hot_ns: Line<AtomicI64>,
    gateway_ns: Line<AtomicI64>,
    /// Counts writes; figures of write `n` lie in slot `n % 2`.
    writes: Line<AtomicU64>,
    figures: [Line<[AtomicI64; FIGURES]>; 2],
}

const _: () = assert!(size_of::<Layout>() <= PAGE_BYTES);

/// A mapping of one page, unmapped with the value.
#[derive(Debug)]
struct Mapping(NonNull<Layout>);

// SAFETY: the page is shared memory full of atomics and stays mapped for as long as the value lives.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Layout` gives only atomics.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &File, writable: bool) -> io::Result<Mapping> {
        let access = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours; the callers made sure
        // that the file is a whole page long.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), PAGE_BYTES, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        match NonNull::new(at.cast::<Layout>()) {
            Some(page) if at != libc::MAP_FAILED => Ok(Mapping(page)),
            _ => Err(io::Error::last_os_error()),
        }
    }
    fn page(&self) -> &Layout {
        // SAFETY: mmap gave a page-aligned page, larger than `Layout`, that lives until `drop`; any bits are atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size and unmapped once; no reference outlives the value.
        unsafe { libc::munmap(self.0.as_ptr().cast(), PAGE_BYTES) };
    }
}

fn io_error(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> HeartbeatError {
    let path = path.display().to_string();
    move |error| HeartbeatError::Io { path, what, error }
}

/// The engine's side.
#[derive(Debug)]
pub struct Heartbeat {
    mapping: Mapping,
    clock: Clock,
    link: PathBuf,
    page: PathBuf,
    first: Figures,
}

impl Heartbeat {
    /// A fresh page for this run below `data_dir`, whose lock the caller holds. It beats from now on.
    pub fn create(data_dir: &Path, epoch: u32, clock: Clock, figures: Figures) -> Result<Heartbeat, HeartbeatError> {
        let link = data_dir.join(HEARTBEAT_FILE);
        let meta = fs::metadata(data_dir).map_err(io_error(data_dir, "look at"))?;
        let in_memory = Path::new(MEMORY_DIR).join(format!("sol_volume_bot-{:x}-{:x}", meta.dev(), meta.ino()));
        let own = ProcessId::own().map_err(io_error(&link, "know this process"))?;
        let fill = |page: &Layout| {
            page.pid.store(u64::from(own.pid), Ordering::Relaxed);
            page.born_ticks.store(own.born_ticks, Ordering::Relaxed);
            page.epoch.store(u64::from(epoch), Ordering::Relaxed);
            page.version.store(VERSION, Ordering::Relaxed);
            page.magic.store(MAGIC, Ordering::Relaxed); // the rename publishes the page, whole
            let now_ns = clock.shared_ns(clock.now());
            page.hot_ns.0.store(now_ns, Ordering::Relaxed);
            page.gateway_ns.0.store(now_ns, Ordering::Relaxed);
        };
        let made = make_page(&in_memory, fill).and_then(|mapping| {
            let fresh = data_dir.join("heartbeat.new");
            drop(fs::remove_file(&fresh)); // of a run that died right here
            symlink(&in_memory, &fresh).map_err(io_error(&fresh, "make the link"))?;
            fs::rename(&fresh, &link).map_err(io_error(&link, "put the link in place"))?;
            Ok((mapping, in_memory.clone()))
        });
        let (mapping, page) = match made {
            Ok(made) => made,
            Err(why) => {
                log::warn!("the heartbeat lies on the disk, where writing it may cost the hot thread time: {why}");
                drop(fs::remove_file(&link)); // a link would lead the page elsewhere
                (make_page(&link, fill)?, link.clone())
            }
        };
        let heartbeat = Heartbeat { mapping, clock, link, page, first: figures };
        heartbeat.write(figures);
        Ok(heartbeat)
    }

    /// The figures it began with.
    pub fn first(&self) -> Figures {
        self.first
    }

    /// The hot agent turned at `now`.
    pub fn beat_hot(&self, now: Time) {
        self.mapping.page().hot_ns.0.store(self.clock.shared_ns(now), Ordering::Relaxed); // a figure; pairs with none
    }
    /// The gateway turned at `now`.
    pub fn beat_gateway(&self, now: Time) {
        self.mapping.page().gateway_ns.0.store(self.clock.shared_ns(now), Ordering::Relaxed); // a figure; pairs with none
    }

    /// New figures; by one thread only. A writer that is stopped anywhere in here leaves the last ones in force.
    pub fn write(&self, figures: Figures) {
        let page = self.mapping.page();
        let next = page.writes.0.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release); // pairs with the reader's fence: who sees a word below sees the count before it
        let slot = &page.figures[usize::from(next % 2 == 1)].0;
        for (word, value) in slot.iter().zip(figures.words()) {
            word.store(value, Ordering::Relaxed);
        }
        page.writes.0.store(next, Ordering::Release); // pairs with the reader's first Acquire: the slot is whole
    }

    /// The run was told to stop.
    pub fn stopping(&self) {
        self.set_state(RunState::Stopping);
    }

    /// The run ends. After a clean end there is nothing to find any more; who has the page sees why.
    pub fn end(&self, clean: bool) {
        self.set_state(if clean { RunState::EndedClean } else { RunState::EndedUnsettled });
        if clean {
            drop(fs::remove_file(&self.link)); // gone already: as good
            drop(fs::remove_file(&self.page)); // on the disk it was the same file
        }
    }

    fn set_state(&self, state: RunState) {
        self.mapping.page().state.store(state as u64, Ordering::Release); // pairs with the Acquire in `read`
    }
}

/// A page under `path`, filled before it can be found there. Its blocks are taken now: a full disk must not kill the
/// writer later.
fn make_page(path: &Path, fill: impl Fn(&Layout)) -> Result<Mapping, HeartbeatError> {
    let fresh = path.with_extension("new");
    drop(fs::remove_file(&fresh)); // of a run that died right here
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file = options.open(&fresh).map_err(io_error(&fresh, "create"))?;
    // SAFETY: the descriptor is open for writing; the call takes integers only.
    let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, PAGE_BYTES as libc::off_t) };
    if code != 0 {
        drop(fs::remove_file(&fresh));
        return Err(io_error(&fresh, "take a page of space")(io::Error::from_raw_os_error(code)));
    }
    let mapping = Mapping::new(&file, true).map_err(io_error(&fresh, "map"))?;
    fill(mapping.page());
    fs::rename(&fresh, path).map_err(io_error(path, "put the page in place"))?;
    Ok(mapping)
}

/// What a page says at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose it is.
    pub process: ProcessId,
    /// Run of that engine.
    pub epoch: u32,
    /// How far it has come.
    pub state: RunState,
    /// Last turn of the hot agent, on the host's shared clock, ns.
    pub hot_ns: i64,
    /// Last turn of the gateway, on the host's shared clock, ns.
    pub gateway_ns: i64,
    /// Money and coins; `None` if they would not hold still.
    pub figures: Option<Figures>,
}

/// Another process's side.
#[derive(Debug)]
pub struct Page {
    mapping: Mapping,
    path: PathBuf,
}

impl Page {
    /// The page of the engine of `data_dir`; `None` where none runs since the last clean end.
    pub fn open(data_dir: &Path) -> Result<Option<Page>, HeartbeatError> {
        let path = data_dir.join(HEARTBEAT_FILE);
        let named = || path.display().to_string();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_link = fs::symlink_metadata(&path).is_ok();
                return if is_link { Err(HeartbeatError::Lost { path: named() }) } else { Ok(None) };
            }
            Err(error) => return Err(io_error(&path, "open")(error)),
        };
        let meta = file.metadata().map_err(io_error(&path, "look at"))?;
        let owner = fs::metadata(data_dir).map_err(io_error(data_dir, "look at"))?.uid();
        let foreign = |why| HeartbeatError::Foreign { path: named(), why };
        if !meta.is_file() || meta.len() < PAGE_BYTES as u64 {
            return Err(foreign("it is shorter than a page"));
        }
        if meta.uid() != owner || meta.mode() & 0o022 != 0 {
            return Err(foreign("somebody else than the owner of the directory can write to it"));
        }
        let mapping = Mapping::new(&file, false).map_err(io_error(&path, "map"))?;
        let page = mapping.page();
        if page.magic.load(Ordering::Relaxed) != MAGIC || page.version.load(Ordering::Relaxed) != VERSION {
            return Err(foreign("another magic or version"));
        }
        Ok(Some(Page { mapping, path }))
    }

    /// Reads it. Errors: words that no engine writes.
    pub fn read(&self) -> Result<Reading, HeartbeatError> {
        let page = self.mapping.page();
        let foreign = |why| HeartbeatError::Foreign { path: self.path.display().to_string(), why };
        let narrow = |word: &AtomicU64| u32::try_from(word.load(Ordering::Relaxed)).map_err(|_| foreign("a number"));
        let state = usize::try_from(page.state.load(Ordering::Acquire)).unwrap_or(usize::MAX); // pairs with `set_state`
        Ok(Reading {
            process: ProcessId { pid: narrow(&page.pid)?, born_ticks: page.born_ticks.load(Ordering::Relaxed) },
            epoch: narrow(&page.epoch)?,
            state: *RunState::ALL.get(state).ok_or_else(|| foreign("an unknown state"))?,
            hot_ns: page.hot_ns.0.load(Ordering::Relaxed),
            gateway_ns: page.gateway_ns.0.load(Ordering::Relaxed),
            figures: self.figures(),
        })
    }

    fn figures(&self) -> Option<Figures> {
        let page = self.mapping.page();
        for _ in 0..LOOKS_MAX {
            let before = page.writes.0.load(Ordering::Acquire); // pairs with the Release in `write`: the slot is whole
            let slot = &page.figures[usize::from(before % 2 == 1)].0;
            let words = std::array::from_fn(|at| slot[at].load(Ordering::Relaxed));
            fence(Ordering::Acquire); // pairs with the fence in `write`
            if page.writes.0.load(Ordering::Relaxed) == before {
                return Some(Figures::of(words));
            }
            std::hint::spin_loop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// A directory of this test alone; its page goes with it.
    struct TempDir(PathBuf);
    impl TempDir {
        fn new(name: &str) -> TempDir {
            let path = std::env::temp_dir().join(format!("svb-heartbeat-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("temporary directory");
            TempDir(path)
        }
        fn start(&self, epoch: u32) -> Heartbeat {
            Heartbeat::create(&self.0, epoch, Clock::start(), Figures::default()).expect("a page")
        }
        fn page(&self) -> Page {
            Page::open(&self.0).expect("sound").expect("there")
        }
    }
    impl Drop for TempDir {
        fn drop(&mut self) {
            drop(fs::canonicalize(self.0.join(HEARTBEAT_FILE)).and_then(fs::remove_file));
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_page_tells_who_writes_it_when_both_agents_turned_and_what_they_hold() {
        let dir = TempDir::new("tells");
        let clock = Clock::start();
        let figures =
            Figures { equity: Notional(9_900), day_equity: Notional(10_000), position: Qty(7), trades_known_to: 41 };
        let heart = Heartbeat::create(&dir.0, 12, clock, Figures::default()).expect("a page");
        let page = dir.page();
        let (hot, gateway) = (clock.now().plus(3), clock.now().plus(5));
        heart.beat_hot(hot);
        heart.beat_gateway(gateway);
        heart.write(figures);
        let read = page.read().expect("sound");
        assert_eq!((read.epoch, read.state, read.figures), (12, RunState::Trading, Some(figures)));
        assert_eq!((read.hot_ns, read.gateway_ns), (clock.shared_ns(hot), clock.shared_ns(gateway)));
        assert!(read.process.is_alive() && read.process.pid == std::process::id());
        heart.stopping();
        assert_eq!(page.read().expect("sound").state, RunState::Stopping);
    }

    #[test]
    fn a_clean_end_leaves_nothing_to_find_and_any_other_end_leaves_the_page() {
        let dir = TempDir::new("ends");
        assert!(Page::open(&dir.0).expect("nothing wrong").is_none(), "no engine ran here");
        let first = dir.start(1);
        let page = dir.page();
        first.end(false);
        assert_eq!(dir.page().read().expect("sound").state, RunState::EndedUnsettled);
        drop(first);
        let second = dir.start(2);
        assert_eq!(dir.page().read().expect("sound").epoch, 2);
        assert_eq!(page.read().expect("sound").epoch, 1, "who has the old page keeps the old page");
        let page = dir.page();
        second.end(true);
        assert_eq!(page.read().expect("sound").state, RunState::EndedClean);
        assert!(Page::open(&dir.0).expect("nothing wrong").is_none());
        assert_eq!(fs::read_dir(&dir.0).expect("readable").count(), 0, "no file is left behind");
    }

    #[test]
    fn a_page_lost_in_a_restart_of_the_host_is_told_from_an_engine_that_never_ran() {
        let dir = TempDir::new("lost");
        let heart = dir.start(1);
        fs::remove_file(&heart.page).expect("the page");
        assert!(matches!(Page::open(&dir.0), Err(HeartbeatError::Lost { .. })));
    }

    #[test]
    fn a_file_that_is_no_page_or_that_others_may_write_is_refused_and_named() {
        let dir = TempDir::new("foreign");
        let path = dir.0.join(HEARTBEAT_FILE);
        fs::write(&path, vec![0_u8; 100]).expect("write");
        let why = |dir: &TempDir| Page::open(&dir.0).expect_err("refused").to_string();
        assert!(why(&dir).contains("shorter than a page"), "{}", why(&dir));
        fs::write(&path, vec![0_u8; PAGE_BYTES]).expect("write");
        assert!(why(&dir).contains("another magic"), "{}", why(&dir));
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        fs::set_permissions(&path, open).expect("chmod");
        assert!(why(&dir).contains("somebody else"), "{}", why(&dir));
    }

    #[test]
    fn figures_are_whole_however_fast_they_are_written() {
        let dir = TempDir::new("whole");
        let heart = Arc::new(dir.start(1));
        let page = dir.page();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (heart, stop) = (Arc::clone(&heart), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut n = 0_i64;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    heart.write(Figures::of([n; FIGURES]));
                }
            })
        };
        let mut seen = 0;
        for _ in 0..200_000 {
            if let Some(figures) = page.figures() {
                assert!(figures.words().iter().all(|word| *word == figures.equity.0), "torn: {figures:?}");
                seen += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("no panic");
        assert!(seen > 1_000, "only {seen} looks saw figures");
    }

    #[test]
    fn a_writer_stopped_in_the_middle_of_writing_leaves_the_last_figures_in_force() {
        let dir = TempDir::new("stopped");
        let heart = dir.start(1);
        let whole = Figures::of([5; FIGURES]);
        heart.write(whole);
        let next = heart.mapping.page().writes.0.load(Ordering::Relaxed) + 1;
        heart.mapping.page().figures[usize::from(next % 2 == 1)].0[0].store(99, Ordering::Relaxed);
        assert_eq!(dir.page().figures(), Some(whole));
    }
}
