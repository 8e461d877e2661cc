//! The HTTP client of the commands that ask an agent.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

pub(crate) use self::trust::Trust;
use crate::exit::{Code, Failure};

mod trust;

/// An agent answers from memory; what takes longer is not one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Characters of an error's text that are shown.
const ERROR_CHARS: usize = 2_000;
/// Characters of a check's output that are shown.
const REASON_CHARS: usize = 200;

/// One agent's HTTP API.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    base: Url,
    answer_within: Duration,
}

impl Api {
    /// The path of [`Status`].
    pub(crate) const STATUS: [&'static str; 3] = ["v1", "tidings", "status"];

    /// The path of the [`ServiceEntry`]s of `service`.
    pub(crate) const fn health_of(service: &str) -> [&str; 4] {
        ["v1", "health", "service", service]
    }

    /// The API of the agent at `addr`: `HOST:PORT` or a URL.
    pub(crate) fn new(addr: &str, trust: &Trust<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            base: base_of(addr)?,
            client: trust.client()?,
            answer_within: ANSWER_WITHIN,
        })
    }

    /// The same API, given this long for an answer: what an agent asks of others takes a while.
    pub(crate) fn patient(self, answer_within: Duration) -> Self {
        Self {
            answer_within,
            ..self
        }
    }

    /// What `GET path` answers. Each segment is escaped.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.get_with(path, None).await
    }

    /// What `GET path?query` answers.
    pub(crate) async fn get_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Option<&str>,
    ) -> anyhow::Result<T> {
        let body = self.send(Method::GET, path, query, None).await?;
        self.read(&body)
    }

    /// What `GET path` answers, as text.
    pub(crate) async fn text(&self, path: &[&str]) -> anyhow::Result<String> {
        self.send(Method::GET, path, None, None).await
    }

    /// How `addr`, where the agent listens on its host, is reached from here; `None` if it is not.
    pub(crate) async fn seen_from_here(&self, addr: SocketAddr) -> Option<SocketAddr> {
        let host = self.base.host_str()?.trim_matches(['[', ']']);
        let port = self.base.port_or_known_default()?;
        let host = tokio::net::lookup_host((host, port))
            .await
            .ok()?
            .next()?
            .ip();
        if addr.ip().is_unspecified() {
            return Some(SocketAddr::new(host, addr.port()));
        }
        (!addr.ip().is_loopback() || host.is_loopback()).then_some(addr)
    }

    /// Asks for `PUT path?query` to be done.
    pub(crate) async fn put(&self, path: &[&str], query: Option<&str>) -> anyhow::Result<()> {
        self.send(Method::PUT, path, query, None).await.map(drop)
    }

    /// What `PUT path?query` answers to `body`.
    pub(crate) async fn put_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Option<&str>,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<T> {
        let body = self.send(Method::PUT, path, query, body).await?;
        self.read(&body)
    }

    fn read<T: DeserializeOwned>(&self, body: &str) -> anyhow::Result<T> {
        serde_json::from_str(body).map_err(|error| {
            let text = format!(
                "what answers at {} is no tidings agent, or one of another version: {error}",
                self.base
            );
            Failure::new(Code::NoAgent, text).into()
        })
    }

    /// Opens `GET path?query`, whose answer goes on; `last_id` is that of the last event that came of
    /// it before.
    pub(crate) async fn open(
        &self,
        path: &[&str],
        query: &str,
        last_id: Option<&str>,
    ) -> Result<Response, NotOpened> {
        let url = self.url(path, Some(query)).map_err(NotOpened::Ever)?;
        let mut request = self.client.get(url);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = tokio::time::timeout(self.answer_within, request.send()).await;
        let answer = answer
            .map_err(|_| NotOpened::Now(self.late()))?
            .map_err(|error| NotOpened::Now(self.silent(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let reason = answer.text().await.unwrap_or_default();
        let refused = self.refused(status, &reason);
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                NotOpened::Now(refused)
            }
            _ => NotOpened::Ever(refused),
        })
    }

    fn url(&self, path: &[&str], query: Option<&str>) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} is no address", self.base))?
            .pop_if_empty()
            .extend(path);
        url.set_query(query);
        Ok(url)
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: Option<&str>,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<String> {
        let url = self.url(path, query)?;
        let mut request = self.client.request(method, url).timeout(self.answer_within);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.silent(&error))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| self.silent(&error))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refused(status, &body))
    }

    fn refused(&self, status: StatusCode, body: &str) -> anyhow::Error {
        let reason: String = body.trim().chars().take(ERROR_CHARS).collect();
        anyhow::anyhow!(
            "the agent at {} refused ({status}): {reason}",
            self.base.authority()
        )
    }

    fn silent(&self, error: &reqwest::Error) -> anyhow::Error {
        let at = self.base.authority();
        let text = if let Some(reason) = trust::refusal(error) {
            format!("the agent at {at} is not talked to over HTTPS: {reason}")
        } else if error.is_connect() {
            format!(
                "no agent answers at {at}; start one with `tidings dev`, or say where it is with --http"
            )
        } else if error.is_timeout() {
            return self.late();
        } else {
            format!("what listens at {at} does not answer as an agent does: {error}")
        };
        Failure::new(Code::NoAgent, text).into()
    }

    fn late(&self) -> anyhow::Error {
        let text = format!(
            "the agent at {} did not answer within {} s",
            self.base.authority(),
            self.answer_within.as_secs()
        );
        Failure::new(Code::NoAgent, text).into()
    }
}

/// Why an answer that goes on was not begun.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// Nobody answers, or has room for it; it is worth to try again.
    Now(anyhow::Error),
    /// It would be refused again.
    Ever(anyhow::Error),
}

impl NotOpened {
    pub(crate) fn error(self) -> anyhow::Error {
        match self {
            Self::Now(error) | Self::Ever(error) => error,
        }
    }
}

fn base_of(addr: &str) -> Result<Url, Failure> {
    let url = if addr.contains("://") {
        addr.to_owned()
    } else {
        format!("http://{addr}")
    };
    url.parse()
        .ok()
        .filter(|base: &Url| ["http", "https"].contains(&base.scheme()) && base.has_host())
        .ok_or_else(|| {
            let text = format!("{addr:?} is no HTTP address of an agent; give HOST:PORT");
            Failure::new(Code::Usage, text)
        })
}

/// How an agent stands.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) node_id: String,
    pub(crate) cluster: String,
    pub(crate) datacenter: String,
    pub(crate) version: String,
    pub(crate) uptime_ms: u64,
    pub(crate) fingerprint: String,
    pub(crate) reachable: usize,
    pub(crate) expected: usize,
    pub(crate) island: bool,
    pub(crate) pending: u64,
    pub(crate) conflicts: usize,
    pub(crate) feeds: usize,
    pub(crate) entries: usize,
    pub(crate) differs_for_ms: Option<u64>,
    pub(crate) refused: u64,
    pub(crate) members: Vec<Member>,
}

/// A member as an agent sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) node_id: String,
    pub(crate) address: String,
    pub(crate) status: String,
    pub(crate) liveness: String,
    pub(crate) since_ms: u64,
    pub(crate) heard_ms: u64,
    /// By how many milliseconds its clock is ahead of the agent's.
    #[serde(default)]
    pub(crate) clock_ahead_ms: Option<i64>,
}

/// How the cluster keys stand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Keyring {
    pub(crate) reachable: usize,
    pub(crate) keys: Vec<KeyringKey>,
    /// Those asked, the agent itself first.
    pub(crate) members: Vec<KeyringMember>,
}

/// One cluster key, by its public id.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyringKey {
    pub(crate) id: String,
    pub(crate) in_use: bool,
    pub(crate) accepted_by: usize,
    pub(crate) sent_by: usize,
}

/// A member that was asked about its keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyringMember {
    pub(crate) name: String,
    pub(crate) node_id: String,
    pub(crate) accepts: Vec<String>,
    pub(crate) heard_under: Option<String>,
    pub(crate) is_ok: bool,
    pub(crate) outcome: String,
}

/// One instance of a service, as Consul's health endpoint shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceEntry {
    pub(crate) node: Node,
    pub(crate) service: Service,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Node {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) node: String,
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Service {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    address: String,
    pub(crate) port: u16,
    #[serde(deserialize_with = "null_as_empty")]
    pub(crate) tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID", default)]
    check_id: String,
    #[serde(default)]
    name: String,
    status: Health,
    output: String,
    #[serde(default)]
    notes: String,
}

/// How well something is; the order is by badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Passing,
    Warning,
    Critical,
}

impl Health {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl ServiceEntry {
    /// The worst of its checks.
    pub(crate) fn health(&self) -> Health {
        let worst = self.checks.iter().map(|check| check.status).max();
        worst.unwrap_or(Health::Passing)
    }

    /// Whether its node is not heard, and it is served as it was last known.
    pub(crate) fn is_stale(&self) -> bool {
        let mut checks = self.checks.iter();
        checks.any(|check| check.check_id == "serfHealth" && check.output.starts_with("stale"))
    }

    /// What the checks that do not pass say, each in one line.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.checks
            .iter()
            .filter(|check| check.status != Health::Passing)
            .map(|check| {
                // Maintenance has its reason there.
                let said = check.output.lines().chain(check.notes.lines());
                let said = said.filter(|line| !line.trim().is_empty());
                let said = said.clone().next().unwrap_or("it has said nothing yet");
                let said: String = said.chars().take(REASON_CHARS).collect();
                format!("{}: {said}", check.name)
            })
            .collect()
    }

    /// Where it is reached: its own address, or its node's.
    pub(crate) fn address(&self) -> &str {
        if self.service.address.is_empty() {
            &self.node.address
        } else {
            &self.service.address
        }
    }
}

/// Consul's API writes an empty list as null in places.
fn null_as_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_urls_are_taken() {
        for addr in [
            "127.0.0.1:8500",
            "http://node1:8500",
            "https://node1:8501",
            "localhost:8500",
            "[::1]:8500",
        ] {
            assert!(base_of(addr).is_ok(), "{addr}");
        }
        for addr in ["", "ftp://x", "a b"] {
            assert!(base_of(addr).is_err(), "{addr}");
        }
    }
}
