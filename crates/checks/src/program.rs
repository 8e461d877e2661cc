//! One run of a check that runs a program of this host.
//!
//! A program gets a process group of its own, and nothing to read. When its time is up, or when the
//! check goes away, the whole group is killed: what a shell started does not outlive it.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tidings_types::CheckStatus;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::{Instant, sleep_until, timeout},
};

use crate::{output::Tail, probe::Found};

/// How long output is waited for that something which outlived the program could still write.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Runs a script check.
pub(crate) async fn script(args: &[String], output_bytes: usize, limit: Duration) -> Found {
    let Some((program, args)) = args.split_first() else {
        return Found::critical("the check names no program");
    };
    match run(program, args, output_bytes, limit).await {
        Ok(ended) => Found {
            status: meaning(ended.code),
            output: ended.output,
        },
        Err(reason) => Found::critical(reason),
    }
}

/// Asks the system's service manager for a unit.
pub(crate) async fn os_service(name: &str, output_bytes: usize, limit: Duration) -> Found {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        return Found::critical(format!("{name:?} is no name of a unit"));
    }
    let args = ["is-active", "--", name].map(str::to_owned);
    match run("systemctl", &args, output_bytes, limit).await {
        Ok(ended) => {
            let state = ended.output.trim();
            Found {
                status: match (ended.code, state) {
                    (Some(0), _) => CheckStatus::Passing,
                    (_, "reloading" | "activating") => CheckStatus::Warning,
                    _ => CheckStatus::Critical,
                },
                output: format!("{name}: {state}"),
            }
        }
        Err(reason) => Found::critical(reason),
    }
}

/// What the exit code of a program says; `None` if a signal ended it.
pub(crate) fn meaning(code: Option<i32>) -> CheckStatus {
    match code {
        Some(0) => CheckStatus::Passing,
        Some(1) => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    }
}

/// How a program ended.
struct Ended {
    code: Option<i32>,
    output: String,
}

async fn run(
    program: &str,
    args: &[String],
    output_bytes: usize,
    limit: Duration,
) -> Result<Ended, String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    let mut group = Group::of(&child);
    let mut tail = Tail::new(output_bytes);
    match timeout(limit, watch(&mut child, &mut group, &mut tail)).await {
        Ok(Ok(code)) => Ok(Ended {
            code,
            output: tail.text(),
        }),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Err(_elapsed) => {
            group.kill();
            Err(format!(
                "Timed out ({limit:?}) running check\n{}",
                tail.text()
            ))
        }
    }
}

/// Waits for the program's end and gathers what it says until then.
async fn watch(
    child: &mut Child,
    group: &mut Group,
    tail: &mut Tail,
) -> std::io::Result<Option<i32>> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut from_out, mut from_err) = ([0; 1_024], [0; 1_024]);
    let mut ended: Option<(Option<i32>, Instant)> = None;
    loop {
        let until = ended.map_or_else(Instant::now, |(_, at)| at + AFTERMATH);
        tokio::select! {
            biased;
            read = read(&mut out, &mut from_out), if out.is_some() => match read {
                0 => out = None,
                read => tail.push(&from_out[..read]),
            },
            read = read(&mut err, &mut from_err), if err.is_some() => match read {
                0 => err = None,
                read => tail.push(&from_err[..read]),
            },
            status = child.wait(), if ended.is_none() => {
                ended = Some((status?.code(), Instant::now()));
                group.is_over();
            }
            () = sleep_until(until), if ended.is_some() => break,
        }
        if ended.is_some() && out.is_none() && err.is_none() {
            break;
        }
    }
    Ok(ended.and_then(|(code, _)| code))
}

/// Bytes read; none at the end, and after an error, which for a pipe is as good.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match from {
        Some(from) => from.read(buffer).await.unwrap_or_default(),
        None => 0,
    }
}

/// The process group of a program that has not been waited for: its number is nobody else's.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn is_over(&mut self) {
        self.0 = None;
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // It fails only if nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn the_exit_code_of_a_script_is_its_status() {
        for (code, status) in [
            (0, CheckStatus::Passing),
            (1, CheckStatus::Warning),
            (2, CheckStatus::Critical),
            (255, CheckStatus::Critical),
        ] {
            let args = shell(&format!("echo out; echo err >&2; exit {code}"));
            let found = script(&args, 100, PATIENCE).await;
            assert_eq!(found.status, status);
            assert!(found.output.contains("out\n") && found.output.contains("err\n"));
        }
        let found = script(&shell("kill -9 $$"), 100, PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Critical);
        let found = script(&["/does/not/exist".to_owned()], 100, PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.contains("cannot be run"), "{}", found.output);
    }

    #[tokio::test]
    async fn of_much_output_the_end_is_kept() {
        let args =
            shell("i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i+1)); done; echo end");
        let found = script(&args, 40, PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Passing);
        let expected = "Captured 40 of 55004 bytes\n...\n";
        assert!(found.output.starts_with(expected), "{}", found.output);
        assert!(
            found.output.ends_with("0123456789\nend\n"),
            "{}",
            found.output
        );
    }

    #[tokio::test]
    async fn a_script_that_takes_too_long_is_killed_with_all_that_it_started() {
        // The reader of the fifo sees its end when the last process that holds it is gone.
        let dir = std::env::temp_dir().join(format!("tidings-script-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&dir).status();
        assert!(made.unwrap().success());
        let fifo = dir.clone();
        let gone = tokio::task::spawn_blocking(move || std::fs::read(fifo).unwrap());
        let args = shell(&format!(
            "exec 3>{}; sleep 1000 & sleep 1000",
            dir.display()
        ));
        let found = script(&args, 100, Duration::from_millis(500)).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.starts_with("Timed out"), "{}", found.output);
        timeout(PATIENCE, gone).await.unwrap().unwrap();
        std::fs::remove_file(dir).unwrap();
    }

    #[tokio::test]
    async fn a_unit_s_name_cannot_be_an_option() {
        for name in ["", "--help", "a b", "a;b"] {
            let found = os_service(name, 100, PATIENCE).await;
            assert!(
                found.output.contains("no name of a unit"),
                "{}",
                found.output
            );
        }
    }
}
