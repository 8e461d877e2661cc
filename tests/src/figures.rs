//! An agent's own figures, `/v1/tidings/metrics`.

use std::collections::BTreeMap;

use crate::agent::Agent;

/// Figures without labels, by their names.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// What `agent` counts now.
    ///
    /// # Errors
    /// If it does not say so, in words.
    pub fn of(agent: &Agent) -> Result<Self, String> {
        let told = agent.http().get("/v1/tidings/metrics")?.success()?;
        let lines = told.body.lines().filter(|line| !line.starts_with('#'));
        let figures = lines.filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(Self(figures.collect()))
    }

    /// One figure.
    ///
    /// # Panics
    /// If the agent has no figure of that name: a wrong name must not pass for zero.
    pub fn get(&self, name: &str) -> f64 {
        let figure = self.0.get(name);
        *figure.unwrap_or_else(|| panic!("no figure is called {name}"))
    }

    /// A number of things.
    ///
    /// # Panics
    /// If there is no such figure, or it is no number of things.
    pub fn count(&self, name: &str) -> u64 {
        let figure = self.get(name);
        let text = format!("{figure:.0}");
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {figure}"))
    }

    /// A counter of the transport, by the reason that its log lines name.
    ///
    /// # Panics
    /// If there is none.
    pub fn transport(&self, reason: &str) -> u64 {
        self.count(&format!("tidings_transport_{reason}_total"))
    }

    /// Memory of the process, bytes.
    ///
    /// # Panics
    /// If the agent does not tell it.
    pub fn resident_bytes(&self) -> u64 {
        self.count("tidings_process_resident_bytes")
    }

    /// Processor time of the process, seconds.
    ///
    /// # Panics
    /// If the agent does not tell it.
    pub fn cpu_seconds(&self) -> f64 {
        self.get("tidings_process_cpu_seconds_total")
    }
}
