//! Where a story runs.
//!
//! [`story`] starts the test's own executable again, for this one test, in network, mount and
//! process namespaces that it makes with `unshare`; root is not needed where the system lets users
//! have namespaces. When the last process in them ends, the kernel takes all of it away: the
//! processes, the interfaces, the rules, the mounts. The directory is removed by the caller, and by
//! the story itself if its caller is killed.

use std::{
    env, fs,
    io::{self, Read},
    net::{SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::stats::{self, MEASURED, SKIPPED, say};

/// What a story cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Free ports are enough; namespaces are used if they can be had.
    Nothing,
    /// Namespaces, `ip` and `nft`.
    Namespaces,
}

/// Where a story is.
#[derive(Clone, Debug)]
pub struct Stage {
    dir: PathBuf,
    isolated: bool,
}

impl Stage {
    /// The story's directory; it is removed at the end.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether all ports, addresses and the mounts are this story's own.
    pub const fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Has names resolve by this text alone, which may be given again: as in a hosts file, and with
    /// nobody else to ask.
    ///
    /// # Panics
    /// If the stage is not isolated, or the files cannot be put into their places.
    pub fn names(&self, hosts: &str) {
        assert!(self.isolated, "names are the whole host's");
        let file = self.dir.join("hosts");
        let is_new = !file.exists();
        // Written in place: the mount shows this very file.
        fs::write(&file, hosts).expect("the story's directory takes a file");
        if is_new {
            let servers = self.dir.join("resolv.conf");
            fs::write(&servers, "nameserver 127.0.0.1\n").expect("it takes another");
            mount_over(&file, "/etc/hosts");
            mount_over(&servers, "/etc/resolv.conf");
        }
    }

    /// A loopback address whose port is free for UDP and TCP. It lies below the ports that systems
    /// give to clients, so that an agent finds it free again after a restart.
    pub fn free_addr(&self) -> SocketAddr {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Stories that share the host's ports begin at different ones.
        let apart = if self.isolated {
            0
        } else {
            process::id() % 400 * 25
        };
        let first = 20_000 + u16::try_from(apart).expect("it is below 10,000");
        for _ in 0..1_000 {
            let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            if TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok() {
                return addr;
            }
        }
        panic!("no port is free for both UDP and TCP");
    }
}

/// Runs `body` as the test `name`, on a stage of its own.
///
/// Without the rights to namespaces a story that [`Needs::Namespaces`] says so loudly and passes,
/// unless `CI=true`: there it fails.
///
/// # Panics
/// If the story fails.
pub fn story(name: &str, needs: Needs, body: impl FnOnce(&Stage)) {
    if env::var_os(INSIDE).is_some_and(|inside| inside == name) {
        body(&enter());
        return;
    }
    let dir =
        TempDir::with_prefix("tidings-story-").expect("the temporary folder takes a directory");
    match namespaces() {
        Ok(flags) => run_inside(name, flags, dir.path()),
        Err(reason) => {
            let ci = env::var_os("CI").is_some_and(|value| value == "true");
            assert!(
                !ci,
                "{name} needs namespaces, and CI must have them: {reason}"
            );
            if needs == Needs::Namespaces {
                stats::skipped(&format!(
                    "{name} needs root or unprivileged user namespaces, ip and nft: {reason}"
                ));
                return;
            }
            body(&Stage {
                dir: dir.path().to_owned(),
                isolated: false,
            });
        }
    }
}

/// Runs `body` as this program, on a stage of its own, with its output as it comes; returns the exit
/// code, which is 2 if it takes longer than `limit`.
///
/// # Errors
/// What is missing, if there can be no namespaces.
///
/// # Panics
/// If the program cannot be run once more.
pub fn program(limit: Duration, body: impl FnOnce(&Stage) -> u8) -> Result<u8, String> {
    if env::var_os(INSIDE).is_some_and(|inside| inside == PROGRAM) {
        return Ok(body(&enter()));
    }
    let flags = namespaces().as_ref().map_err(|reason| {
        format!("root or unprivileged user namespaces, ip and nft are needed: {reason}")
    })?;
    let dir =
        TempDir::with_prefix("tidings-program-").expect("the temporary folder takes a directory");
    let mut child = again(PROGRAM, flags, dir.path())
        .args(env::args_os().skip(1))
        .spawn()
        .expect("unshare was run before");
    if wait_for(&mut child, limit) {
        let ended = child.wait().expect("it has ended");
        Ok(ended
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(2))
    } else {
        Err(format!("it was ended after {limit:?}"))
    }
}

/// This executable, on a stage of its own, as the story `name`.
fn again(name: &str, flags: &[&str], dir: &Path) -> Command {
    let me = env::current_exe().expect("a running program has an executable");
    let mut command = Command::new("unshare");
    command
        .args(flags)
        .arg("--")
        .arg(me)
        .env(INSIDE, name)
        .env(DIRECTORY, dir)
        .stdin(Stdio::piped());
    command
}

/// The story that is no test but a whole program.
const PROGRAM: &str = "(program)";
/// Names the story that runs in this process, which has namespaces of its own.
const INSIDE: &str = "TIDINGS_STORY";
/// Where that process may write.
const DIRECTORY: &str = "TIDINGS_STORY_DIR";
/// How long a story may take before it is ended: it waits with deadlines, so this is never met.
const STORY_LIMIT: Duration = Duration::from_secs(600);
const LONG_STORY_LIMIT: Duration = Duration::from_secs(3 * 3_600);

/// The flags with which `unshare` gives what a story needs; why not, if it does not.
fn namespaces() -> &'static Result<Vec<&'static str>, String> {
    static FOUND: OnceLock<Result<Vec<&'static str>, String>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let own = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
        let as_root = own.to_vec();
        let as_user = [&["--user", "--map-root-user"], &own[..]].concat();
        let mut reason = String::new();
        for flags in [as_root, as_user] {
            match try_out(&flags) {
                Ok(()) => return Ok(flags),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    })
}

fn try_out(flags: &[&str]) -> Result<(), String> {
    let script = format!("{PREPARE} && ip netns add try && nft add table inet try && {ENTER_TRY}");
    let tried = Command::new("unshare")
        .args(flags)
        .args(["--", "sh", "-c", &script])
        .output()
        .map_err(|error| format!("unshare cannot be run: {error}"))?;
    if tried.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&tried.stderr).trim().to_owned())
}

/// What every stage begins with: loopback, and a place for the names of network namespaces that
/// nobody else sees.
const PREPARE: &str = "ip link set lo up && mount -t tmpfs none /run && mkdir /run/netns";
const ENTER_TRY: &str = "nsenter --net=/run/netns/try ip link show lo";

fn enter() -> Stage {
    let dir = PathBuf::from(env::var_os(DIRECTORY).expect("the caller names a directory"));
    let prepared = Command::new("sh").args(["-c", PREPARE]).status();
    assert!(
        prepared.is_ok_and(|status| status.success()),
        "the stage cannot be prepared: {PREPARE}"
    );
    let abandoned = dir.clone();
    thread::spawn(move || {
        // Nothing is ever written there: the end of input is the end of the caller.
        let _ = io::stdin().read(&mut [0]);
        let _ = fs::remove_dir_all(abandoned);
        process::exit(1);
    });
    Stage {
        dir,
        isolated: true,
    }
}

fn mount_over(file: &Path, place: &str) {
    let mut mount = Command::new("mount");
    let done = mount.arg("--bind").arg(file).arg(place).status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "{} cannot be mounted over {place}",
        file.display()
    );
}

fn run_inside(name: &str, flags: &[&str], dir: &Path) {
    let told = dir.join("told");
    let file = fs::File::create(&told).expect("the story's directory takes a file");
    let other = file.try_clone().expect("a file can be written twice");
    let mut child = again(name, flags, dir)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .stdout(file)
        .stderr(other)
        .spawn()
        .expect("unshare was run before");
    let ended = wait_for(&mut child, stats::times(LONG_STORY_LIMIT, STORY_LIMIT));
    let told = fs::read(&told).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    tell(&told);
    assert!(ended, "{name} was ended: it took longer than any story may");
    assert!(
        told.contains("1 passed; 0 failed"),
        "{name} did not pass; what it told stands above"
    );
}

fn wait_for(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Ok(Some(_)) = child.try_wait() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Figures and gaps are shown always, the rest if the test fails.
#[expect(
    clippy::print_stdout,
    reason = "the harness keeps it for tests that fail"
)]
fn tell(told: &str) {
    for line in told.lines() {
        // The harness begins a line with the test's name and ends it with its result.
        if let Some(at) = line.find(MEASURED).or_else(|| line.find(SKIPPED)) {
            say(&line[at..]);
        }
        println!("{line}");
    }
}
