//! Ten thousand checks of one agent: half HTTP, half TCP, each every 10 s, of a target in a process of its
//! own.
//!
//! `cargo bench -p tidings-checks --bench ten_thousand [-- SECONDS]` prints what they cost in time on a core
//! and in memory, how evenly they begin, and how late the latest began. Linux only: it reads `/proc`.

#![expect(clippy::print_stdout, reason = "a benchmark speaks to whoever runs it")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tidings_checks::{Checks, Setup, Sink};
use tidings_types::{
    Check, CheckId, CheckKind, CheckStatus, Headers, HttpCheck, Refusal, ServiceId, Text,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

const CHECKS: usize = 10_000;
const INTERVAL: Duration = Duration::from_secs(10);
/// How long it is watched after the first two intervals, in which clients are made.
const SECONDS: u64 = 60;
/// Runs are counted in pieces of this length.
const PIECE: Duration = Duration::from_millis(100);
/// `/proc` tells times on a core in hundredths of a second.
const TICKS_PER_S: f64 = 100.0;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let words: Vec<_> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    match words.first().map(String::as_str) {
        Some("target") => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve()),
        seconds => Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(measure(seconds.map_or(Ok(SECONDS), str::parse)?)),
    }
}

/// Runs the checks and prints what is found.
async fn measure(seconds: u64) -> Outcome<()> {
    let mut target = Command::new(env::current_exe()?)
        .arg("target")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(target.stdout.take().ok_or("the target has no output")?);
    let mut address = String::new();
    said.read_line(&mut address)?;
    let empty = memory_kib()?;
    let begin = Instant::now();
    let checks = Checks::new(Accepting, Setup::default());
    for number in 0..CHECKS {
        checks.set(
            CheckId::new(format!("check-{number}"))?,
            check(number, address.trim()),
        );
    }
    println!("set up in {:?}", begin.elapsed());
    tokio::time::sleep(2 * INTERVAL).await;
    let (ticks, runs) = (ticks()?, checks.figures().runs);
    let mut pieces = Vec::new();
    let (begin, mut before) = (Instant::now(), runs);
    while begin.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(PIECE).await;
        let now = checks.figures().runs;
        pieces.push(now - before);
        before = now;
    }
    pieces.sort_unstable();
    let took = begin.elapsed().as_secs_f64();
    let share = (self::ticks()? - ticks) / TICKS_PER_S / took * 100.0;
    println!("runs a second        {:.0}", (before - runs) as f64 / took);
    println!("share of a core      {share:.0} %");
    println!(
        "memory               {} MiB",
        (memory_kib()? - empty) / 1_024
    );
    println!(
        "runs in {PIECE:?}        median {}, most {}",
        pieces[pieces.len() / 2],
        pieces[pieces.len() - 1]
    );
    drop(target.stdin.take());
    let mut told = String::new();
    said.read_to_string(&mut told)?;
    print!("{told}");
    target.wait()?;
    checks.shutdown().await;
    Ok(())
}

fn check(number: usize, address: &str) -> Check {
    let kind = if number.is_multiple_of(2) {
        CheckKind::Tcp {
            address: address.into(),
        }
    } else {
        CheckKind::Http(Box::new(HttpCheck {
            url: format!("http://{address}/{number}").into(),
            method: "GET".into(),
            header: Headers::default(),
            body: Text::new(),
            disable_redirects: false,
            tls_skip_verify: false,
            tls_server_name: Text::new(),
        }))
    };
    Check {
        interval_ms: 10_000,
        timeout_ms: 10_000,
        status: CheckStatus::Passing,
        ..Check::new(format!("check {number}"), kind)
    }
}

/// Takes every result.
struct Accepting;

impl Sink for Accepting {
    async fn report(&self, _: CheckId, _: CheckStatus, _: String) -> Result<(), Refusal> {
        Ok(())
    }

    async fn deregister(&self, _: ServiceId) -> Result<(), Refusal> {
        Ok(())
    }
}

/// When each HTTP check was last here, and the times between two visits.
#[derive(Debug, Default)]
struct Visits {
    last: BTreeMap<String, Instant>,
    gaps: Vec<Duration>,
}

impl Visits {
    fn note(&mut self, path: &str) {
        let now = Instant::now();
        if let Some(before) = self.last.insert(path.to_owned(), now) {
            self.gaps.push(now - before);
        }
    }
}

/// The target: accepts, answers `GET`, and tells at the end of its input how regularly it was asked.
async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let visits = Arc::new(Mutex::new(Visits::default()));
    let mut nothing = [0];
    let mut input = tokio::io::stdin();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let visits = Arc::clone(&visits);
                    tokio::spawn(async move { answer(stream, &visits).await });
                }
            }
            _ = input.read(&mut nothing) => break,
        }
    }
    let mut visits = visits.lock().unwrap_or_else(PoisonError::into_inner);
    visits.gaps.sort_unstable();
    let beyond = |at: usize| visits.gaps.get(at).map(|gap| gap.saturating_sub(INTERVAL));
    let count = visits.gaps.len();
    println!(
        "beyond the due time  median {:?}, latest {:?}, of {count}",
        beyond(count / 2),
        beyond(count.saturating_sub(1))
    );
    Ok(())
}

async fn answer(mut stream: TcpStream, visits: &Mutex<Visits>) {
    let mut bytes = [0; 2_048];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let request = String::from_utf8_lossy(&bytes[..read]);
        let path = request.split(' ').nth(1).unwrap_or_default();
        visits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(path);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Time that this process has had on a core, in ticks.
fn ticks() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    // The third field of all is the first one here; user and system time are the 14th and 15th.
    let times = fields.skip(11).take(2);
    Ok(times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum())
}

/// Memory that this process holds.
fn memory_kib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmRSS in /proc/self/status")?.parse()?)
}
