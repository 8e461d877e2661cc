//! The end of a drill: the faults are over, nobody writes any more, and what must come true does.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use super::{
    AGENTS, answer,
    book::Service,
    clients::Clients,
    history::{Look, Moment, Shown, Span, Way},
    oracle::ending::{Ending, ensure_gone, sees},
    plan::{Plan, name},
    sabotage::Sabotage,
    world::World,
};
use crate::{
    agent::Agent,
    answers::{Account, ensure_alike},
};

/// All agents agree in this time, however long they were apart.
const AGREE_WITHIN: Duration = Duration::from_secs(30);
/// They go on to agree for so long.
const SETTLED: Duration = Duration::from_secs(2);
/// Who was killed is gone from all answers in this time.
const GONE_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An invariant that does not hold yet, and why.
type Pending = (&'static str, String);

impl World {
    /// Waits for what must come true; says whether it did.
    pub fn quieten(&mut self, plan: &Plan, clients: &mut Clients) -> Ending {
        let left = self.sabotage.filter(|sabotage| *sabotage == Sabotage::Cut);
        if let Some(cut) = left {
            self.sabotage(cut);
        }
        let healed = self.now();
        self.note("all is well, and nobody writes any more".to_owned());
        clients.stop_writing();
        let everybody: Vec<_> = (0..AGENTS).collect();
        let agreed = self.agree(&everybody, healed);
        let last = self.ask_all(&everybody, &[Way::Http]);
        let gone = agreed.is_ok().then(|| self.lose(plan));
        self.look_for_crashes();
        Ending {
            healed,
            agreed,
            last,
            gone,
            crashes: self.crashes.clone(),
        }
    }

    /// E1 and E3: waits until these agree and see each other, and go on to; returns how long after
    /// `healed` that was so.
    fn agree(&mut self, hosts: &[usize], healed: Moment) -> Result<Duration, Pending> {
        let deadline = Instant::now() + AGREE_WITHIN;
        let mut since = None;
        loop {
            match self.is_one(hosts) {
                Ok(()) => {
                    let since = *since.get_or_insert_with(|| self.now());
                    if self.now() >= since + SETTLED {
                        let took = since.saturating_sub(healed);
                        self.note(format!("all agree, {:.1} s after that", took.as_secs_f64()));
                        return Ok(took);
                    }
                }
                Err((id, reason)) if Instant::now() >= deadline => {
                    let reason = format!("not within {AGREE_WITHIN:?}; {reason}");
                    return Err((id, reason));
                }
                Err(_) => since = None,
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn is_one(&self, hosts: &[usize]) -> Result<(), Pending> {
        let running = self.running(hosts);
        let agents = || hosts.iter().map(|&host| &self.agents[host]);
        for agent in agents() {
            let status = agent.status().map_err(|reason| ("A9", reason))?;
            sees(&status, &running).map_err(|reason| ("E3", reason))?;
        }
        let accounts: Result<Vec<_>, _> = agents().map(Account::of).collect();
        let accounts = accounts.map_err(|reason| ("A9", reason))?;
        ensure_alike(&accounts).map_err(|reason| ("E1", reason))?;
        let looks = self.ask_all(hosts, &[Way::Http]);
        ensure_gone(&looks, &running, None).map_err(|reason| ("E4", reason))
    }

    /// The nodes that these hosts are.
    fn running(&self, hosts: &[usize]) -> BTreeSet<u128> {
        let last = hosts.iter().filter_map(|&host| self.lives.last(host));
        last.map(|life| life.node).collect()
    }

    /// E4: kills an agent for good, and waits until all others have let go of it and agree.
    fn lose(&mut self, plan: &Plan) -> Result<Duration, Pending> {
        let victim = plan.victim;
        self.kill(victim);
        self.note(format!("{} is killed and stays away", name(victim)));
        self.sabotage_the_end(plan);
        let killed = Instant::now();
        let others: Vec<_> = (0..AGENTS).filter(|&host| host != victim).collect();
        loop {
            let looks = self.ask_all(&others, &[Way::Http, Way::Dns]);
            let running = self.running(&others);
            let is_gone = ensure_gone(&looks, &running, Some(victim));
            let is_gone = is_gone.map_err(|reason| ("E4", reason));
            match is_gone.and_then(|()| self.is_one(&others)) {
                Ok(()) => {
                    let took = killed.elapsed();
                    self.note(format!(
                        "it is gone everywhere, {:.1} s after that",
                        took.as_secs_f64()
                    ));
                    return Ok(took);
                }
                Err((id, reason)) if killed.elapsed() >= GONE_WITHIN => {
                    return Err((
                        id,
                        format!("not within {GONE_WITHIN:?} of a kill; {reason}"),
                    ));
                }
                Err(_) => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// What these agents answer now about every service.
    fn ask_all(&self, hosts: &[usize], ways: &[Way]) -> Vec<Look> {
        let mut looks = Vec::new();
        for &at in hosts {
            for service in Service::ALL {
                for &way in ways {
                    let begin = self.now();
                    let answer = ask(&self.agents[at], way, service);
                    let end = self.now();
                    looks.push(Look {
                        at,
                        way,
                        service,
                        span: Span { begin, end },
                        answer,
                    });
                }
            }
        }
        looks
    }
}

fn ask(agent: &Agent, way: Way, service: Service) -> Result<Shown, String> {
    match way {
        Way::Http => answer::over_http(service, &agent.http().json(&answer::path(service))?),
        Way::Dns => answer::over_dns(agent.dns(), service),
    }
}
