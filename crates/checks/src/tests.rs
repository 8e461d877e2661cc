//! The set of checks, from the outside.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidings_types::{Check, CheckId, CheckKind, CheckStatus, Refusal, ServiceId};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    time::{Instant, advance, sleep, timeout},
};

use crate::{Checks, Setup, Sink};

const TTL_MS: u64 = 10_000;

/// What the sink was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Report(CheckStatus, String),
    Deregister(ServiceId),
}

struct Recorder {
    told: mpsc::UnboundedSender<Told>,
    /// Answers in order; accepted when there are none left.
    refusals: Arc<Mutex<Vec<Refusal>>>,
}

impl Recorder {
    fn tell(&self, told: Told) -> Result<(), Refusal> {
        // A test that has seen enough may have gone.
        let _ = self.told.send(told);
        self.refusals.lock().unwrap().pop().map_or(Ok(()), Err)
    }
}

impl Sink for Recorder {
    async fn report(&self, _: CheckId, status: CheckStatus, output: String) -> Result<(), Refusal> {
        self.tell(Told::Report(status, output))
    }

    async fn deregister(&self, id: ServiceId) -> Result<(), Refusal> {
        self.tell(Told::Deregister(id))
    }
}

fn checks_refusing(
    refusals: Vec<Refusal>,
) -> (Arc<Checks<Recorder>>, mpsc::UnboundedReceiver<Told>) {
    let (told, received) = mpsc::unbounded_channel();
    let refusals = Arc::new(Mutex::new(refusals));
    (
        Arc::new(Checks::new(Recorder { told, refusals }, Setup::default())),
        received,
    )
}

fn checks() -> (Arc<Checks<Recorder>>, mpsc::UnboundedReceiver<Told>) {
    checks_refusing(Vec::new())
}

pub(crate) fn ttl_check(ttl_ms: u64) -> Check {
    Check {
        service: Some(ServiceId::new("web").unwrap()),
        status: CheckStatus::Passing,
        ..Check::new("alive".to_owned(), CheckKind::Ttl { ttl_ms })
    }
}

fn tcp_check(address: String) -> Check {
    Check {
        kind: CheckKind::Tcp {
            address: address.into(),
        },
        interval_ms: 1_000,
        timeout_ms: 5_000,
        status: CheckStatus::Critical,
        ..ttl_check(0)
    }
}

fn id() -> CheckId {
    CheckId::new("alive").unwrap()
}

async fn next(told: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    timeout(Duration::from_secs(100), told.recv())
        .await
        .expect("the checks say something")
        .expect("the checks run")
}

async fn silence(told: &mut mpsc::UnboundedReceiver<Told>, span: Duration) {
    if let Ok(said) = timeout(span, told.recv()).await {
        panic!("silence expected, got {said:?}");
    }
}

fn about(span: Duration, expected_s: u64) -> bool {
    (expected_s * 1_000..expected_s * 1_000 + 100)
        .contains(&u64::try_from(span.as_millis()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_ttl_check_expires_once_and_says_what_it_last_heard() {
    let (checks, mut told) = checks();
    let start = Instant::now();
    checks.set(id(), ttl_check(TTL_MS));
    checks.ttl_touched(&id(), CheckStatus::Passing, "all is well".to_owned());
    let expired = "TTL expired (last output before timeout follows): all is well";
    assert_eq!(
        next(&mut told).await,
        Told::Report(CheckStatus::Critical, expired.to_owned())
    );
    assert!(about(start.elapsed(), 10), "{:?}", start.elapsed());
    silence(&mut told, Duration::from_secs(60)).await;
    assert_eq!(checks.figures().expirations, 1);
}

#[tokio::test(start_paused = true)]
async fn each_report_starts_the_time_to_live_again() {
    let (checks, mut told) = checks();
    checks.set(id(), ttl_check(TTL_MS));
    for _ in 0..5 {
        silence(&mut told, Duration::from_secs(9)).await;
        checks.ttl_touched(&id(), CheckStatus::Passing, String::new());
    }
    let last = Instant::now();
    assert_eq!(
        next(&mut told).await,
        Told::Report(CheckStatus::Critical, "TTL expired".to_owned())
    );
    assert!(about(last.elapsed(), 10));
}

#[tokio::test(start_paused = true)]
async fn a_paused_process_expires_nothing_and_deregisters_nothing() {
    let (checks, mut told) = checks();
    let mut check = ttl_check(TTL_MS);
    check.status = CheckStatus::Critical;
    check.output = "TTL expired".into();
    check.deregister_after_ms = 30_000;
    checks.set(CheckId::new("dying").unwrap(), check);
    checks.set(id(), ttl_check(TTL_MS));
    sleep(Duration::from_secs(5)).await;
    // Time that passes at once is what a stopped process sees.
    advance(Duration::from_secs(3_600)).await;
    let resumed = Instant::now();
    silence(&mut told, Duration::from_secs(5)).await;
    assert!(matches!(next(&mut told).await, Told::Report(..)));
    assert!(
        resumed.elapsed() <= Duration::from_millis(6_600),
        "{:?}",
        resumed.elapsed()
    );
    assert!(matches!(next(&mut told).await, Told::Deregister(_)));
    assert!(
        resumed.elapsed() > Duration::from_secs(24),
        "{:?}",
        resumed.elapsed()
    );
    assert_eq!(checks.figures().stalls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_critical_for_long_enough_deregisters_its_instance_to_the_second() {
    let (checks, mut told) = checks();
    let mut check = ttl_check(1_000_000);
    check.deregister_after_ms = 30_000;
    check.status = CheckStatus::Critical;
    checks.set(id(), check.clone());
    sleep(Duration::from_secs(29)).await;
    // Good news, however short, start the time again.
    check.status = CheckStatus::Passing;
    checks.set(id(), check.clone());
    check.status = CheckStatus::Critical;
    checks.set(id(), check.clone());
    let start = Instant::now();
    sleep(Duration::from_secs(20)).await;
    // A change of the definition does not.
    check.notes = "changed".into();
    checks.set(id(), check);
    let asked = next(&mut told).await;
    assert_eq!(asked, Told::Deregister(ServiceId::new("web").unwrap()));
    assert!(about(start.elapsed(), 30), "{:?}", start.elapsed());
    checks.remove(&id());
    silence(&mut told, Duration::from_secs(60)).await;
    assert_eq!(checks.figures().deregistrations, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_report_is_made_again() {
    let (checks, mut told) = checks_refusing(vec![Refusal::Busy, Refusal::Busy]);
    checks.set(id(), ttl_check(TTL_MS));
    let first = next(&mut told).await;
    let start = Instant::now();
    assert_eq!(next(&mut told).await, first);
    assert_eq!(next(&mut told).await, first);
    assert!(about(start.elapsed(), 2), "{:?}", start.elapsed());
    silence(&mut told, Duration::from_secs(60)).await;
    assert_eq!(checks.figures().reports_refused, 2);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_changed_elsewhere_does_not_restart_the_timer() {
    let (checks, mut told) = checks();
    let start = Instant::now();
    checks.set(id(), ttl_check(TTL_MS));
    sleep(Duration::from_secs(6)).await;
    let mut check = ttl_check(TTL_MS);
    check.status = CheckStatus::Warning;
    checks.set(id(), check);
    next(&mut told).await;
    assert!(about(start.elapsed(), 10), "{:?}", start.elapsed());
}

/// A TTL check that is critical and has to succeed for 20 s.
fn observed() -> Check {
    Check {
        status: CheckStatus::Critical,
        observe_ms: 20_000,
        ..ttl_check(TTL_MS)
    }
}

#[tokio::test(start_paused = true)]
async fn a_ttl_check_under_observation_passes_when_its_time_is_over() {
    let (checks, mut told) = checks();
    checks.set(id(), observed());
    let start = Instant::now();
    for second in 0..20 {
        let (status, output) = checks.ttl_touched(&id(), CheckStatus::Passing, "up".to_owned());
        assert_eq!(status, CheckStatus::Critical, "after {second} s");
        assert!(output.ends_with("before that counts: up"), "{output}");
        silence(&mut told, Duration::from_millis(990)).await;
    }
    let passes = Told::Report(CheckStatus::Passing, "up".to_owned());
    assert_eq!(next(&mut told).await, passes);
    assert!(about(start.elapsed(), 20), "{:?}", start.elapsed());
    checks.set(
        id(),
        Check {
            status: CheckStatus::Passing,
            ..observed()
        },
    );
    let said = checks.ttl_touched(&id(), CheckStatus::Warning, "busy".to_owned());
    assert_eq!(said, (CheckStatus::Warning, "busy".to_owned()));
    // That it is critical again, by whatever way, begins afresh.
    assert!(matches!(
        next(&mut told).await,
        Told::Report(CheckStatus::Critical, _)
    ));
    checks.set(id(), observed());
    silence(&mut told, Duration::from_secs(60)).await;
    let (status, _) = checks.ttl_touched(&id(), CheckStatus::Passing, String::new());
    assert_eq!(status, CheckStatus::Critical);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_counts_at_once_is_left_to_its_client() {
    let (checks, mut told) = checks();
    let check = Check {
        status: CheckStatus::Critical,
        ..ttl_check(TTL_MS)
    };
    checks.set(id(), check);
    let said = checks.ttl_touched(&id(), CheckStatus::Passing, "up".to_owned());
    assert_eq!(said, (CheckStatus::Passing, "up".to_owned()));
    // A second report could overtake what the client says next.
    silence(&mut told, Duration::from_millis(TTL_MS / 2)).await;
}

/// Passes on what it is told, and answers when it is let.
struct Hesitant {
    told: mpsc::UnboundedSender<Told>,
    answers: Arc<Semaphore>,
}

impl Sink for Hesitant {
    async fn report(&self, _: CheckId, status: CheckStatus, output: String) -> Result<(), Refusal> {
        let _ = self.told.send(Told::Report(status, output));
        self.answers.acquire().await.unwrap().forget();
        Ok(())
    }

    async fn deregister(&self, _: ServiceId) -> Result<(), Refusal> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_says_while_an_observation_ends_is_the_last_word() {
    let (told, mut received) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let sink = Hesitant {
        told,
        answers: Arc::clone(&answers),
    };
    let checks = Checks::new(sink, Setup::default());
    let kind = CheckKind::Ttl { ttl_ms: 3 * TTL_MS };
    checks.set(id(), Check { kind, ..observed() });
    let touch = |status, text: &str| checks.ttl_touched(&id(), status, text.to_owned());
    touch(CheckStatus::Passing, "up");
    assert_eq!(
        next(&mut received).await,
        Told::Report(CheckStatus::Passing, "up".to_owned())
    );
    // The client's own report may have come to the node before that one.
    touch(CheckStatus::Critical, "down again");
    answers.add_permits(1);
    assert_eq!(
        next(&mut received).await,
        Told::Report(CheckStatus::Critical, "down again".to_owned())
    );
    touch(CheckStatus::Passing, "up again");
    answers.add_permits(1);
    let Told::Report(CheckStatus::Critical, held) = next(&mut received).await else {
        panic!("it is observed anew");
    };
    assert!(held.contains("is observed"), "{held}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_or_silence_begins_the_observation_of_a_ttl_check_afresh() {
    let (checks, mut told) = checks();
    checks.set(id(), observed());
    let touch = |status| checks.ttl_touched(&id(), status, String::new()).0;
    assert_eq!(touch(CheckStatus::Passing), CheckStatus::Critical);
    silence(&mut told, Duration::from_secs(9)).await;
    assert_eq!(touch(CheckStatus::Critical), CheckStatus::Critical);
    silence(&mut told, Duration::from_secs(9)).await;
    assert_eq!(touch(CheckStatus::Passing), CheckStatus::Critical);
    let expired = Told::Report(CheckStatus::Critical, "TTL expired".to_owned());
    assert_eq!(next(&mut told).await, expired);
    silence(&mut told, Duration::from_secs(60)).await;
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(touch(CheckStatus::Passing), CheckStatus::Critical);
        sleep(Duration::from_secs(6)).await;
    }
    assert_eq!(touch(CheckStatus::Passing), CheckStatus::Critical);
    assert!(matches!(
        next(&mut told).await,
        Told::Report(CheckStatus::Passing, _)
    ));
    assert!(about(start.elapsed(), 20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_check_under_observation_stays_critical_until_a_run_at_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (checks, mut told) = checks();
    let mut check = tcp_check(address);
    check.observe_ms = 1_500;
    let start = Instant::now();
    checks.set(id(), check.clone());
    let Told::Report(CheckStatus::Critical, held) = next(&mut told).await else {
        panic!("it is observed first");
    };
    assert!(held.contains("observed for 1.5 s"), "{held}");
    check.output = held.into();
    checks.set(id(), check);
    let passed = next(&mut told).await;
    assert!(
        matches!(passed, Told::Report(CheckStatus::Passing, _)),
        "{passed:?}"
    );
    assert!(start.elapsed() >= Duration::from_millis(1_500));
}

#[tokio::test]
async fn a_tcp_check_reports_changes_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (checks, mut told) = checks();
    let mut check = tcp_check(address.clone());
    checks.set(id(), check.clone());
    let passed = format!("TCP connect {address}: Success");
    assert_eq!(
        next(&mut told).await,
        Told::Report(CheckStatus::Passing, passed.clone())
    );
    check.status = CheckStatus::Passing;
    check.output = passed.into();
    checks.set(id(), check);
    // Several runs later nothing more has been said.
    let runs = checks.figures().runs;
    while checks.figures().runs < runs + 2 {
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(told.try_recv().is_err());
    drop(listener);
    assert!(matches!(
        next(&mut told).await,
        Told::Report(CheckStatus::Critical, _)
    ));
}

#[tokio::test]
async fn a_program_is_run_only_if_somebody_asked_this_agent_to() {
    let (checks, mut told) = checks();
    let kind = CheckKind::Script {
        args: ["true".into()].into(),
    };
    let check = |kind: &CheckKind| Check {
        kind: kind.clone(),
        ..tcp_check(String::new())
    };
    // A record may have come from a peer.
    checks.set(id(), check(&kind));
    let Told::Report(CheckStatus::Critical, said) = next(&mut told).await else {
        panic!("it is critical");
    };
    assert!(said.contains("register the check again"), "{said}");
    checks.remove(&id());
    assert!(checks.allow_program(&id(), &kind));
    // The same record again changes nothing, and still the program is run.
    checks.set(id(), check(&kind));
    assert!(matches!(
        next(&mut told).await,
        Told::Report(CheckStatus::Passing, _)
    ));
    // Another program than that which was allowed.
    let other = CheckKind::Script {
        args: ["false".into()].into(),
    };
    checks.set(id(), check(&other));
    assert!(
        matches!(next(&mut told).await, Told::Report(CheckStatus::Critical, said) if said.contains("again"))
    );
    checks.set(id(), check(&kind));
    assert!(matches!(
        next(&mut told).await,
        Told::Report(CheckStatus::Passing, _)
    ));
}

#[tokio::test]
async fn after_shutdown_no_task_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (checks, mut told) = checks();
    for n in 0..50 {
        let id = CheckId::new(format!("check-{n}")).unwrap();
        let mut check = tcp_check(listener.local_addr().unwrap().to_string());
        check.deregister_after_ms = 60_000;
        checks.set(id, check);
    }
    assert!(matches!(next(&mut told).await, Told::Report(..)));
    assert_eq!(checks.figures().checks, 50);
    checks.shutdown().await;
    checks.set(id(), tcp_check(listener.local_addr().unwrap().to_string()));
    assert_eq!(checks.figures().checks, 0, "none is started any more");
    drop(checks);
    // The recorder goes with the last task, and with it the channel's sender.
    while let Some(told) = timeout(Duration::from_secs(5), told.recv()).await.unwrap() {
        assert!(matches!(told, Told::Report(..)));
    }
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0);
}
