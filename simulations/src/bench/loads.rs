//! What the measured worlds do.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{CoreTime, Sample};
use crate::{Mutant, Plan, Scenario, Verdict, World};

/// Simulated seconds of one steady run. Two minutes would mostly show how a cluster begins.
pub const STEADY: Duration = Duration::from_secs(600);

/// One kind of world.
#[derive(Clone, Debug)]
pub struct Load {
    scenario: Scenario,
}

impl Load {
    /// Healthy nodes that have nothing to tell but that they live.
    ///
    /// # Errors
    /// There is no world of so many nodes.
    pub fn steady(nodes: usize) -> Result<Self> {
        Self::parse(&steady(nodes, ""))
    }

    /// Healthy nodes that hold five instances each, one of which changes in every second.
    ///
    /// # Errors
    /// There is no world of so many nodes.
    pub fn records(nodes: usize) -> Result<Self> {
        let work: String = (0..nodes).map(|node| registers(node, nodes)).collect();
        Self::parse(&steady(nodes, &work))
    }

    /// Five nodes for two minutes, of which two and three are cut apart for half a minute while both
    /// sides write.
    ///
    /// # Errors
    /// None that a test would not show.
    pub fn split_brain() -> Result<Self> {
        Self::parse(SPLIT_BRAIN)
    }

    fn parse(text: &str) -> Result<Self> {
        let scenario = Scenario::parse(text, &[])?;
        Ok(Self { scenario })
    }

    /// Makes the world, runs it and judges it.
    ///
    /// # Errors
    /// An invariant does not hold: then its speed says nothing.
    pub fn run(&self, seed: u64) -> Result<Sample> {
        let begun = CoreTime::now();
        let mut scenario = self.scenario.clone();
        scenario.seed = seed;
        let report = World::new(Plan::new(&scenario)?, Mutant::None, None).run();
        ensure!(
            report.verdict == Verdict::Pass,
            "{} does not pass with seed {seed}: {:?}",
            report.name,
            report.verdict
        );
        let seconds = report.virtual_time.as_secs_f64();
        Ok(Sample {
            runs: 1.0,
            messages: report.messages as f64,
            events: report.events as f64,
            seconds,
            node_seconds: seconds * report.hosts as f64,
            core: begun.elapsed(),
        })
    }
}

fn steady(nodes: usize, work: &str) -> String {
    let chaos = STEADY.as_secs() - 20;
    format!(
        r#"
        name = "steady"
        about = "Healthy nodes."
        nodes = {nodes}
        phases = {{ chaos = "{chaos}s", quiet = "20s" }}
        {work}
        [expect]
        eventually = {{ E1 = "5s", E2 = "5s", E3 = "5s" }}
        "#
    )
}

/// Each host registers its instances again and again with another port, so that all together make one
/// change in a second.
fn registers(node: usize, nodes: usize) -> String {
    let every = nodes;
    let times = (STEADY.as_secs() - 40) / every as u64;
    format!(
        r#"
        [[workload]]
        kind = "register"
        at = "{}s"
        via = {node}
        id = "web-{node}"
        service = "web"
        port = 8000
        check = "passing"
        repeat = {{ every = "{every}s", times = {times}, keys = 5 }}
        "#,
        10 + node
    )
}

const SPLIT_BRAIN: &str = r#"
    name = "split-brain"
    about = "Two and three are cut apart while both sides write."
    nodes = 5
    groups = { left = [0, 1], right = [2, 3, 4] }
    phases = { chaos = "90s", quiet = "30s" }

    [[workload]]
    kind = "register"
    at = "5s"
    via = 0
    id = "left"
    service = "web"
    port = 8000
    check = "passing"
    repeat = { every = "1s", times = 60, keys = 10 }

    [[workload]]
    kind = "register"
    at = "5s"
    via = 3
    id = "right"
    service = "web"
    port = 9000
    check = "passing"
    repeat = { every = "1s", times = 60, keys = 10 }

    [[workload]]
    kind = "deregister"
    at = "40s"
    via = 3
    id = "right-3"

    [[fault]]
    kind = "cut"
    at = "30s"
    for = "30s"
    between = ["left", "right"]

    [expect]
    eventually = { E1 = "10s", E2 = "10s", E3 = "15s", E4 = "15s" }
    sometimes = ["member-down", "repaired"]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_load_passes_what_it_is_judged_by() {
        for load in [Load::steady(5), Load::records(5), Load::split_brain()] {
            let sample = load.unwrap().run(7).unwrap();
            assert!(sample.messages > 2.0 * sample.node_seconds, "{sample:?}");
        }
    }
}
