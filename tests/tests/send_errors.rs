//! A network that refuses to send, each in its own way: the agent lives on and draws the right
//! conclusion, and all is well again afterwards.

use std::time::{Duration, Instant};

use serde_json::json;
use tidings_tests::{
    cluster,
    lab::{Cut, Lab},
    stage::{Needs, story},
    stats::Spans,
    wait::{self, ensure},
};

/// What is cut off is noticed in this time. It is longer than for a clean split: an agent that cannot
/// send still hears the others until they give it up.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// All agents answer the same in this time after a heal.
const HEALED_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn an_agent_survives_every_kind_of_send_error_and_counts_it_as_a_failed_probe() {
    let name = "an_agent_survives_every_kind_of_send_error_and_counts_it_as_a_failed_probe";
    story(name, Needs::Namespaces, |stage| {
        let mut lab = Lab::start(stage, 3);
        for (port, cut) in (1..).zip(Cut::ALL) {
            let (mut noticed, mut healed) = (Spans::new(), Spans::new());
            lab.cut(&[2], &[0, 1], cut);
            let begin = Instant::now();
            for at in 0..3 {
                let what = format!("{cut:?} is noticed by n{}", at + 1);
                let noticing = || ensure_noticed(&lab, at);
                noticed.push(wait::since(begin, &what, NOTICED_WITHIN, noticing).1);
            }
            lab.agents[2]
                .ensure_running()
                .expect("no error of a socket ends an agent");
            let service = json!({"Name": "during", "Port": port});
            let http = lab.agents[2].http();
            http.accept("/v1/agent/service/register", &service)
                .expect("it takes writes");
            let begin = Instant::now();
            lab.mend(&[2], &[0, 1], cut);
            let (_, span) = wait::since(begin, "all agree", HEALED_WITHIN, || {
                cluster::ensure_one(&lab.agents)?;
                let ports = lab.agents[0].dns().ports("during")?;
                ensure(ports == [port].into(), || format!("during is at {ports:?}"))
            });
            healed.push(span);
            noticed.report(&format!("{cut:?}: noticed on both sides"), NOTICED_WITHIN);
            healed.report(&format!("{cut:?}: all agree after the heal"), HEALED_WITHIN);
        }
    });
}

/// Expects `agents[at]` to know who it reaches: the third agent takes itself for an island, the
/// others drop it.
fn ensure_noticed(lab: &Lab, at: usize) -> Result<(), String> {
    let is_cut_off = at == 2;
    let status = lab.agents[at].status()?;
    status.ensure_reaches(if is_cut_off { 1 } else { 2 }, 3)?;
    ensure(status.island == is_cut_off, || {
        format!("island: {}", status.island)
    })?;
    let lost = if is_cut_off { "n1" } else { "n3" };
    let lost = status.member(lost)?;
    ensure(lost.status == "down", || format!("{lost:?}"))
}
