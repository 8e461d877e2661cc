//! `tidings watch`

mod change;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use reqwest::{Response, Url};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use self::change::{Change, Known};
use super::Asking;
use crate::{
    api::{Api, NotOpened, ServiceEntry},
    events::{Event, Events},
    output,
};

/// Follows services: one line per change, until it is interrupted.
///
/// Without a name all services are followed, also those that come later.
///
/// Begins with the instances that there are. When the agent goes away it is tried again, and whatever
/// changed meanwhile, deletions too, is told once it has caught up with its cluster: what an agent has
/// not heard of yet after its start is not gone. With --json each line is one object.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The services, up to 256; all if none is named.
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Only instances whose checks all pass: one that fails counts as gone.
    #[arg(long)]
    passing: bool,
    /// Only instances with this tag; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What the agent tells of one service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    service: String,
    instances: Vec<ServiceEntry>,
}

/// All services that there are, as the agent tells whoever names none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    services: Vec<String>,
}

/// What the agent says of itself in an explanation.
#[derive(Debug, Deserialize)]
struct Explanation {
    agent: Standing,
}

#[derive(Debug, Deserialize)]
struct Standing {
    /// Whether it has not met its cluster since its start.
    starting: bool,
    /// For how long some reachable peer has known something else; `None` if none does.
    differs_for_ms: Option<u64>,
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// It broke off or said nothing for too long; it can be made again.
    Lost(String),
    /// What came cannot be understood; it would be no better the next time.
    Wrong(anyhow::Error),
    /// Whoever reads what is told has gone.
    Unread,
}

impl Watch {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        let mut following = Following {
            json: self.asking.json,
            known: BTreeMap::new(),
            last_id: None,
        };
        // An agent that was never there is a wrong address; one that goes away comes back.
        let opened = self.open(&api, &following).await;
        let mut response = opened.map_err(NotOpened::error)?;
        loop {
            match following.follow(response).await {
                End::Lost(why) => output::note(&format!("{why}; trying again")),
                End::Wrong(error) => return Err(error),
                End::Unread => return Ok(()),
            }
            response = self.open_again(&api, &following).await?;
        }
    }

    async fn open(&self, api: &Api, following: &Following) -> Result<Response, NotOpened> {
        let path = ["v1", "tidings", "watch"];
        let last_id = following.last_id.as_deref();
        api.open(&path, &self.query(), last_id).await
    }

    /// Tries until the agent is back and has caught up, or has had time for it. What it refuses for
    /// good ends the command.
    async fn open_again(&self, api: &Api, following: &Following) -> anyhow::Result<Response> {
        let mut pause = PAUSE_FIRST;
        let mut back_since = None;
        loop {
            sleep(pause).await;
            match self.has_caught_up(api).await {
                Ok(true) => {}
                Ok(false) => {
                    let since = *back_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < CAUGHT_UP_WITHIN {
                        pause = PAUSE_FIRST;
                        continue;
                    }
                }
                Err(_) => {
                    back_since = None;
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
            }
            match self.open(api, following).await {
                Ok(response) => return Ok(response),
                Err(NotOpened::Now(_)) => pause = (pause * 2).min(PAUSE_MAX),
                Err(NotOpened::Ever(error)) => return Err(error),
            }
        }
    }

    async fn has_caught_up(&self, api: &Api) -> anyhow::Result<bool> {
        let service = self.services.first().map_or("consul", String::as_str);
        let path = ["v1", "tidings", "explain", service];
        let Explanation { agent } = api.get(&path).await?;
        Ok(!agent.starting && agent.differs_for_ms.is_none())
    }

    fn query(&self) -> String {
        let mut url = Url::parse("http://agent").expect("a URL that is written here");
        let services = self.services.iter().map(|name| ("service", name));
        let tags = self.tags.iter().map(|tag| ("tag", tag));
        url.query_pairs_mut().extend_pairs(services.chain(tags));
        if self.passing {
            url.query_pairs_mut().append_pair("passing", "true");
        }
        url.query().unwrap_or_default().to_owned()
    }
}

/// What was told so far.
#[derive(Debug)]
struct Following {
    json: bool,
    /// By service, in lower case: its spelling is that of its first instance, and may change.
    known: BTreeMap<String, Known>,
    /// Up to where everything is known.
    last_id: Option<String>,
}

impl Following {
    /// Tells what comes until nothing does.
    async fn follow(&mut self, mut response: Response) -> End {
        let mut events = Events::default();
        loop {
            let piece = match timeout(SILENCE_MAX, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => return End::Lost("the agent ended the connection".to_owned()),
                Ok(Err(error)) => return End::Lost(format!("the connection broke off: {error}")),
                Err(_) => return End::Lost("the agent has fallen silent".to_owned()),
            };
            if let Err(end) = self.take_all(&mut events, &piece) {
                return end;
            }
        }
    }

    fn take_all(&mut self, events: &mut Events, piece: &[u8]) -> Result<(), End> {
        events.push(piece).map_err(End::Wrong)?;
        while let Some(event) = events.next().map_err(End::Wrong)? {
            self.take(&event)?;
        }
        Ok(())
    }

    fn take(&mut self, event: &Event) -> Result<(), End> {
        match event.kind.as_str() {
            "service" => {
                let told = serde_json::from_str(&event.data);
                let told: Told = told.map_err(|error| End::Wrong(error.into()))?;
                self.become_these(&told.service, &told.instances)?;
            }
            "services" => {
                let names = serde_json::from_str(&event.data);
                let names: Names = names.map_err(|error| End::Wrong(error.into()))?;
                let names = names.services.iter().map(|name| name.to_ascii_lowercase());
                let there: BTreeSet<String> = names.collect();
                let known = self.known.keys().filter(|name| !there.contains(*name));
                for gone in known.cloned().collect::<Vec<_>>() {
                    self.become_these(&gone, &[])?;
                    self.known.remove(&gone);
                }
            }
            "end" => self.last_id.clone_from(&event.id),
            // A later agent may say more.
            _ => {}
        }
        Ok(())
    }

    /// Tells what is different of a service, whose instances are these now.
    fn become_these(&mut self, service: &str, instances: &[ServiceEntry]) -> Result<(), End> {
        let known = self.known.entry(service.to_ascii_lowercase()).or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let unix_ms = now.map_or(0, |now| now.as_millis());
        for change in known.become_these(service, instances) {
            self.tell(&change, unix_ms)?;
        }
        Ok(())
    }

    fn tell(&self, change: &Change, unix_ms: u128) -> Result<(), End> {
        let line = if self.json {
            let json = change.json(unix_ms);
            json.map_err(|error| End::Wrong(error.into()))?
        } else {
            change.line(unix_ms, output::coloured())
        };
        output::try_print(&format!("{line}\n")).map_err(|_| End::Unread)
    }
}

/// The agent says something every 15 s; three times as long is a connection that is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// As long as an agent may take to meet its cluster; then what it knows is told, whatever it is.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(40);
/// The pauses before the agent is tried again.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_escaped() {
        let watch = Watch {
            services: vec!["web".to_owned(), "a&b".to_owned()],
            passing: true,
            tags: vec!["x y".to_owned()],
            asking: Asking::default(),
        };
        let query = "service=web&service=a%26b&tag=x+y&passing=true";
        assert_eq!(watch.query(), query);
    }
}
