//! One run of a check that runs a program within a container, through the engine's HTTP API.

use std::{path::Path, time::Duration};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tidings_types::DockerCheck;
use tokio::time;

use crate::{output::Tail, probe::Found, program::meaning, tls::choose_provider};

/// Bytes of an answer in JSON that are looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A check within a container, ready to be run.
#[derive(Clone)]
pub(crate) struct DockerProbe {
    client: Client,
    container: String,
    command: Vec<String>,
    output_bytes: usize,
}

impl DockerProbe {
    /// Checks the definition. An error is a reason for people.
    pub(crate) fn new(
        check: &DockerCheck,
        output_bytes: usize,
        engine: &Path,
    ) -> Result<Self, String> {
        let container = check.container.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !container.chars().all(plain) || container.starts_with(['.', '-']) {
            return Err(format!("{container:?} is no id or name of a container"));
        }
        choose_provider();
        let client = Client::builder().no_proxy().unix_socket(engine);
        // Nothing is encrypted on a socket of this host, so no certificate is needed.
        let client = client.tls_certs_only([]).build();
        Ok(Self {
            client: client.map_err(|error| format!("no HTTP client: {error}"))?,
            container,
            command: command(check),
            output_bytes,
        })
    }

    /// Runs the program once.
    pub(crate) async fn run(&self, timeout: Duration) -> Found {
        match time::timeout(timeout, self.exec()).await {
            Ok(Ok(found)) => found,
            Ok(Err(reason)) => Found::critical(reason),
            Err(_elapsed) => Found::critical(format!("Timed out ({timeout:?}) running check")),
        }
    }

    async fn exec(&self) -> Result<Found, String> {
        let made = json!({"AttachStdout": true, "AttachStderr": true, "Cmd": self.command});
        let path = format!("containers/{}/exec", self.container);
        let made = answer(self.call(Method::POST, &path, Some(made)).await?).await?;
        let id = made["Id"].as_str().filter(|id| {
            let plain = id.chars().all(|c| c.is_ascii_alphanumeric());
            plain && !id.is_empty()
        });
        let id = id.ok_or("the container engine gave no id of the run")?;
        let start = Some(json!({"Detach": false, "Tty": false}));
        let path = format!("exec/{id}/start");
        let output = self.output_of(self.call(Method::POST, &path, start).await?);
        let output = output.await?;
        let path = format!("exec/{id}/json");
        let ended = answer(self.call(Method::GET, &path, None).await?).await?;
        let code = ended["ExitCode"]
            .as_i64()
            .and_then(|code| i32::try_from(code).ok());
        Ok(Found {
            status: meaning(code),
            output,
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the container engine: {error}");
        let mut request = self.client.request(method, format!("http://engine/{path}"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await;
        let response = response.map_err(|error| failed(&error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said = answer(response).await.unwrap_or_default();
        let said = said["message"].as_str().unwrap_or_default().to_owned();
        Err(failed(&format_args!("{status} {said}")))
    }

    /// What the program says: frames of eight bytes of head, the last four of which are the length.
    async fn output_of(&self, mut response: Response) -> Result<String, String> {
        let mut tail = Tail::new(self.output_bytes);
        let mut head = Vec::with_capacity(8);
        let mut left = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
            let mut rest: &[u8] = &chunk;
            while !rest.is_empty() {
                if left == 0 {
                    let (&byte, behind) = rest.split_first().expect("it is not empty");
                    rest = behind;
                    head.push(byte);
                    if let [_, _, _, _, a, b, c, d] = *head {
                        left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0);
                        head.clear();
                    }
                } else {
                    let (said, behind) = rest.split_at(left.min(rest.len()));
                    tail.push(said);
                    left -= said.len();
                    rest = behind;
                }
            }
        }
        Ok(tail.text())
    }
}

/// What is run: the arguments as they are, or as one line of the shell.
fn command(check: &DockerCheck) -> Vec<String> {
    let args = check.args.iter().map(ToString::to_string);
    if check.shell.is_empty() {
        return args.collect();
    }
    let line = args.collect::<Vec<_>>().join(" ");
    vec![check.shell.to_string(), "-c".to_owned(), line]
}

async fn answer(mut response: Response) -> Result<Value, String> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        text.extend_from_slice(&chunk);
        if text.len() > ANSWER_BYTES_MAX {
            return Err("the container engine says too much".to_owned());
        }
    }
    serde_json::from_slice(&text)
        .map_err(|error| format!("the container engine's answer is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use tidings_types::CheckStatus;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    use super::*;

    /// An engine whose programs say `out` and `err`, and end with the code that their container is
    /// called by.
    async fn engine(path: &Path) -> tokio::task::JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            let mut code = String::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut seen = Vec::new();
                let mut buffer = [0; 4_096];
                let head = loop {
                    let read = stream.read(&mut buffer).await.unwrap();
                    seen.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&seen).into_owned();
                    if text.contains("\r\n\r\n") && (text.ends_with('}') || text.starts_with("GET"))
                    {
                        break text;
                    }
                };
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let (status, body): (&str, Vec<u8>) = if path.ends_with("/start") {
                    let mut frames = vec![1, 0, 0, 0, 0, 0, 0, 3];
                    frames.extend_from_slice(b"out");
                    frames.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 3]);
                    frames.extend_from_slice(b"err");
                    ("200 OK", frames)
                } else if path.contains("/gone/") {
                    (
                        "404 Not Found",
                        br#"{"message":"No such container"}"#.to_vec(),
                    )
                } else if let Some(rest) = path.strip_prefix("/containers/") {
                    assert!(
                        head.contains(r#""Cmd":["/bin/sh","-c","curl -f x"]"#),
                        "{head}"
                    );
                    code = rest.split('/').next().unwrap().to_owned();
                    ("201 Created", br#"{"Id":"abc1"}"#.to_vec())
                } else {
                    assert_eq!(path, "/exec/abc1/json");
                    ("200 OK", format!(r#"{{"ExitCode":{code}}}"#).into_bytes())
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
            }
        })
    }

    #[tokio::test]
    async fn a_program_within_a_container_is_judged_by_its_exit_code() {
        let path = std::env::temp_dir().join(format!("tidings-engine-{}", std::process::id()));
        let engine_task = engine(&path).await;
        let run = async |container: &str| {
            let check = DockerCheck {
                container: container.into(),
                shell: "/bin/sh".into(),
                args: ["curl", "-f", "x"].map(Into::into).into(),
            };
            let probe = DockerProbe::new(&check, 100, &path)?;
            Ok::<_, String>(probe.run(Duration::from_secs(30)).await)
        };
        for (container, status) in [
            ("0", CheckStatus::Passing),
            ("1", CheckStatus::Warning),
            ("2", CheckStatus::Critical),
        ] {
            let found = run(container).await.unwrap();
            assert_eq!((found.status, found.output.as_str()), (status, "outerr"));
        }
        let found = run("gone").await.unwrap();
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(
            found.output.contains("No such container"),
            "{}",
            found.output
        );
        assert!(run("../images").await.is_err());
        engine_task.abort();
        std::fs::remove_file(&path).unwrap();
        let found = run("0").await.unwrap();
        assert_eq!(found.status, CheckStatus::Critical);
    }
}
