//! All that an agent answers, in a form that can be compared between agents.
//!
//! Indexes are each agent's own and are left out; arrays are sets here, since each agent shuffles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{agent::Agent, wait::ensure};

/// Paths and names with their answers.
pub type Answers = BTreeMap<String, Value>;

/// What `agent` answers about every service and node that it names.
///
/// # Errors
/// If it does not answer, in words.
pub fn of(agent: &Agent) -> Result<Answers, String> {
    let mut answers = Answers::new();
    let http = agent.http();
    let mut ask = |path: String| -> Result<Value, String> {
        let answer = plain(http.json(&path)?);
        answers.insert(path, answer.clone());
        Ok(answer)
    };
    let services = ask("/v1/catalog/services".to_owned())?;
    let nodes = ask("/v1/catalog/nodes".to_owned())?;
    ask("/v1/health/state/any".to_owned())?;
    let services: Vec<String> = services
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    for name in &services {
        ask(format!("/v1/catalog/service/{name}"))?;
        ask(format!("/v1/health/service/{name}"))?;
        ask(format!("/v1/health/service/{name}?passing"))?;
        ask(format!("/v1/health/checks/{name}"))?;
    }
    for node in nodes.as_array().into_iter().flatten() {
        let name = node["Node"].as_str().unwrap_or_default();
        ask(format!("/v1/catalog/node/{name}"))?;
        ask(format!("/v1/health/node/{name}"))?;
    }
    for name in &services {
        let dns = agent.dns();
        answers.insert(format!("{name} A"), json!(dns.addresses(name)?));
        answers.insert(format!("{name} SRV"), json!(dns.targets(name)?));
    }
    Ok(answers)
}

/// One agent's answers and its fingerprint.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// What it answers.
    pub answers: Answers,
}

impl Account {
    /// What `agent` says now.
    ///
    /// # Errors
    /// If it does not answer, in words.
    pub fn of(agent: &Agent) -> Result<Self, String> {
        Ok(Self {
            name: agent.name().to_owned(),
            fingerprint: agent.status()?.fingerprint,
            answers: of(agent)?,
        })
    }
}

/// Expects all `agents` to answer the same, and to have equal fingerprints.
///
/// # Errors
/// The first difference.
pub fn ensure_equal(agents: &[Agent]) -> Result<(), String> {
    let accounts = agents.iter().map(Account::of);
    ensure_alike(&accounts.collect::<Result<Vec<_>, _>>()?)
}

/// As [`ensure_equal`], of what agents have said.
///
/// # Errors
/// The first difference.
pub fn ensure_alike(accounts: &[Account]) -> Result<(), String> {
    let Some((first, others)) = accounts.split_first() else {
        return Err("no agent was asked".to_owned());
    };
    for other in others {
        ensure(other.fingerprint == first.fingerprint, || {
            format!(
                "{} has fingerprint {}, {} {}",
                other.name, other.fingerprint, first.name, first.fingerprint
            )
        })?;
        if let Some(difference) = difference(&first.answers, &other.answers) {
            return Err(format!("{} and {}: {difference}", first.name, other.name));
        }
    }
    Ok(())
}

fn difference(a: &Answers, b: &Answers) -> Option<String> {
    let asked = a.keys().chain(b.keys());
    let mut differing = asked.filter(|asked| a.get(*asked) != b.get(*asked));
    let asked = differing.next()?;
    let shown = |answers: &Answers| answers.get(asked).unwrap_or(&Value::Null).to_string();
    Some(format!(
        "{asked} is {} here and {} there",
        shown(a),
        shown(b)
    ))
}

/// Without indexes, and with every array sorted.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .into_iter()
                .filter(|(name, _)| !OWN.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(plain).collect();
            items.sort_by_cached_key(ToString::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

/// Fields whose values are the answering agent's own.
const OWN: [&str; 2] = ["CreateIndex", "ModifyIndex"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_indexes_make_no_difference_and_content_does() {
        let a = json!([{"ID": "a", "ModifyIndex": 1}, {"ID": "b", "Tags": ["x", "y"]}]);
        let b = json!([{"ID": "b", "Tags": ["y", "x"]}, {"ID": "a", "CreateIndex": 7}]);
        let c = json!([{"ID": "b", "Tags": ["y", "z"]}, {"ID": "a"}]);
        let answers = |value: &Value| Answers::from([("path".to_owned(), plain(value.clone()))]);
        assert_eq!(difference(&answers(&a), &answers(&b)), None);
        let told = difference(&answers(&a), &answers(&c)).unwrap();
        assert!(told.contains("path is"), "{told}");
        assert!(difference(&answers(&a), &Answers::new()).is_some());
    }
}
