//! `tidings services`

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::Asking;
use crate::{
    api::{Api, Health, ServiceEntry},
    output,
    table::{Table, Tone},
};

/// Lists the services with the health of their instances.
#[derive(Debug, Args)]
pub(super) struct Services {
    #[command(flatten)]
    asking: Asking,
}

/// A service as it is shown.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    tags: Vec<String>,
    passing: usize,
    warning: usize,
    critical: usize,
}

impl Services {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        let names: BTreeMap<String, Vec<String>> = api.get(&["v1", "catalog", "services"]).await?;
        let mut lines = Vec::new();
        for (name, tags) in names {
            let entries: Vec<ServiceEntry> = api.get(&Api::health_of(&name)).await?;
            lines.push(Line::new(name, tags, &entries));
        }
        if self.asking.json {
            return output::print_json(&lines);
        }
        if !lines.is_empty() {
            output::print(&table(&lines).render(output::coloured()));
        }
        if lines.iter().all(|line| line.name == AGENTS) {
            output::print(NONE);
        }
        Ok(())
    }
}

impl Line {
    fn new(name: String, tags: Vec<String>, entries: &[ServiceEntry]) -> Self {
        let count = |health| entries.iter().filter(|e| e.health() == health).count();
        Self {
            name,
            tags,
            passing: count(Health::Passing),
            warning: count(Health::Warning),
            critical: count(Health::Critical),
        }
    }

    const fn tone(&self) -> Tone {
        match (self.passing + self.warning, self.critical) {
            (0, _) => Tone::Bad,
            (_, 0) => Tone::Good,
            _ => Tone::Doubtful,
        }
    }
}

/// The service that stands for the agents themselves, for Consul's clients.
const AGENTS: &str = "consul";

/// What to do about a registry that holds the agents and nothing else.
const NONE: &str = "\
no service is registered beside the agents themselves; register one at the agent on its host:
  curl -X PUT 127.0.0.1:8500/v1/agent/service/register -d '{\"Name\": \"web\", \"Port\": 8080}'
";

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new(["service", "passing", "warning", "critical", "tags"]);
    for line in lines {
        let cells = [
            line.name.clone(),
            line.passing.to_string(),
            line.warning.to_string(),
            line.critical.to_string(),
            line.tags.join(", "),
        ];
        table.row(line.tone(), cells);
    }
    table
}
