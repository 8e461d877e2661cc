//! What a client that cannot be run here asks an agent, and what it reads from the answers: a file in
//! `tests/clients/contracts`, replayed call by call.

use std::{collections::BTreeMap, fs, path::Path, str::FromStr, thread, time::Duration};

use hickory_proto::rr::RecordType;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    agent::Agent,
    dns::Way,
    http::{Answer, Http},
    wait::ensure,
};

/// Longer than any wait that a contract asks for, and far longer than one that is woken.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);

/// One client's contract.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The client.
    pub client: String,
    /// Where its requests were read from.
    pub read_from: String,
    /// Headers that it sends with each request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Its calls, in order.
    step: Vec<Step>,
}

/// One call, and what the client reads from the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Why the client does it.
    does: String,
    #[serde(flatten)]
    call: Call,
    /// A question over DNS, in place of a call.
    dns: Option<Question>,
    #[serde(default = "ok")]
    status: u16,
    /// The name under which later paths find this answer's index, in braces.
    keeps: Option<String>,
    /// The name of the index that this answer's equals.
    same_index_as: Option<String>,
    /// A call made while this one waits; the answer's index is then above the one in the path.
    woken_by: Option<Call>,
    /// The whole body.
    body_is: Option<String>,
    /// What the client reads from the body: JSON pointers, and what it finds there.
    #[serde(default)]
    reads: BTreeMap<String, Value>,
    /// Fields of one element of the list that is the body.
    #[serde(default)]
    reads_somewhere: BTreeMap<String, Value>,
    /// What the client reads from the headers.
    #[serde(default)]
    headers_are: BTreeMap<String, String>,
    /// What the client makes of a refusal.
    then: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    name: String,
    kind: String,
    code: String,
    answers: Vec<String>,
}

const fn ok() -> u16 {
    200
}

fn get() -> String {
    "GET".to_owned()
}

impl Contract {
    /// The contract in the file.
    ///
    /// # Errors
    /// If it is none, in words.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// How many calls it holds, and how many of them are refused.
    pub fn size(&self) -> (usize, usize) {
        let refused = self.step.iter().filter(|step| step.then.is_some());
        (self.step.len(), refused.count())
    }

    /// Makes all calls to the agent, in order.
    ///
    /// # Errors
    /// The first answer that is not what the client needs.
    pub fn hold(&self, agent: &Agent) -> Result<(), String> {
        let mut client = Client {
            http: Http::waiting(agent.spec().http, ANSWER_WITHIN),
            headers: &self.headers,
            indexes: BTreeMap::new(),
        };
        for step in &self.step {
            let held = match &step.dns {
                Some(question) => question.ask(agent),
                None => client.take(step),
            };
            held.map_err(|error| format!("{}: {}: {error}", self.client, step.does))?;
        }
        Ok(())
    }
}

/// The client, as far as it remembers anything.
struct Client<'a> {
    http: Http,
    headers: &'a BTreeMap<String, String>,
    indexes: BTreeMap<&'a str, u64>,
}

impl<'a> Client<'a> {
    fn take(&mut self, step: &'a Step) -> Result<(), String> {
        let answer = match &step.woken_by {
            None => self.send(&step.call)?,
            Some(waker) => self.be_woken(step, waker)?,
        };
        step.ensure_read(&answer)?;
        if let Some(name) = &step.same_index_as {
            let before = self.indexes.get(name.as_str());
            ensure(before == Some(&answer.index()), || {
                format!("the index is {}, and was {before:?}", answer.index())
            })?;
        }
        if let Some(name) = &step.keeps {
            ensure(answer.index() > 0, || "there is no index".to_owned())?;
            self.indexes.insert(name, answer.index());
        }
        Ok(())
    }

    fn send(&self, call: &Call) -> Result<Answer, String> {
        let mut path = call.path.clone();
        for (name, index) in &self.indexes {
            path = path.replace(&format!("{{{name}}}"), &index.to_string());
        }
        ensure(!path.contains('{'), || format!("{path} names no index"))?;
        let method = call.method.parse().map_err(|_| "no such method")?;
        self.http.send(method, &path, self.headers, &call.body)
    }

    /// Waits with one request while another one changes what it waits for.
    fn be_woken(&self, step: &Step, waker: &Call) -> Result<Answer, String> {
        let answer = thread::scope(|scope| {
            let waiting = scope.spawn(|| self.send(&step.call));
            let woke = self.send(waker).and_then(Answer::success);
            let answer = waiting.join().expect("a request does not panic");
            woke.and(answer)
        })?;
        let named = |(name, _): &(&&str, &u64)| step.call.path.contains(&format!("{{{name}}}"));
        let before = self.indexes.iter().find(named).map(|(_, index)| *index);
        ensure(before.is_some_and(|before| answer.index() > before), || {
            format!("its index is {}, and was {before:?}", answer.index())
        })?;
        Ok(answer)
    }
}

impl Step {
    fn ensure_read(&self, answer: &Answer) -> Result<(), String> {
        let Answer { status, body, .. } = answer;
        ensure(*status == self.status, || format!("{status}: {body}"))?;
        // Where Consul would have gone on, the text has to say what to do instead.
        ensure(
            self.then.is_none() || body.contains("tidings has no"),
            || format!("the refusal does not explain itself: {body}"),
        )?;
        if let Some(wanted) = &self.body_is {
            ensure(body == wanted, || format!("the body is {body}"))?;
        }
        for (name, wanted) in &self.headers_are {
            let found = answer.header(&name.to_lowercase());
            ensure(is(wanted, &Value::from(found)), || {
                format!("{name} is {found:?}")
            })?;
        }
        if self.reads.is_empty() && self.reads_somewhere.is_empty() {
            return Ok(());
        }
        let body = answer.json()?;
        for (pointer, wanted) in &self.reads {
            let found = body.pointer(pointer);
            ensure(reads(wanted, found), || {
                format!("{pointer} is {found:?} in {body}")
            })?;
        }
        let mut elements = body.as_array().into_iter().flatten();
        let fits = |element: &Value| {
            let mut fields = self.reads_somewhere.iter();
            fields.all(|(name, wanted)| element.get(name) == Some(wanted))
        };
        ensure(
            self.reads_somewhere.is_empty() || elements.any(fits),
            || format!("no element is {:?} in {body}", self.reads_somewhere),
        )
    }
}

impl Question {
    fn ask(&self, agent: &Agent) -> Result<(), String> {
        let kind = RecordType::from_str(&self.kind).map_err(|error| error.to_string())?;
        let answer = agent.dns().ask(&self.name, kind, Way::Udp)?;
        let records = answer.answers.iter().map(|record| record.data.to_string());
        let mut found: Vec<_> = records.collect();
        found.sort();
        let code = format!("{:?}", answer.metadata.response_code);
        ensure(code == self.code && found == self.answers, || {
            format!("it is {code}, {found:?}")
        })
    }
}

/// Whether the client finds what it looks for. `<text>`, `<number>`, `<list>` and `<object>` stand for
/// any value of that kind, `<map>` for an object or `null`, which Go reads as the same, and `<nothing>`
/// for none.
fn reads(wanted: &Value, found: Option<&Value>) -> bool {
    match (wanted.as_str(), found) {
        (Some("<nothing>"), found) => found.is_none(),
        (Some("<number>"), Some(found)) => found.is_number(),
        (Some("<list>"), Some(found)) => found.is_array(),
        (Some("<object>"), Some(found)) => found.is_object(),
        (Some("<map>"), Some(found)) => found.is_object() || found.is_null(),
        (Some(wanted), Some(found)) => is(wanted, found),
        (None, found) => found == Some(wanted),
        (Some(_), None) => false,
    }
}

/// The same of a text: a header's, or one in the body.
fn is(wanted: &str, found: &Value) -> bool {
    let text = found.as_str();
    match wanted {
        "<text>" => text.is_some_and(|text| !text.is_empty()),
        "<number>" => text.is_some_and(|text| text.parse::<u64>().is_ok()),
        wanted => text == Some(wanted),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_not_read() {
        let body = json!({"a": "x", "n": 1, "l": [], "o": {}, "e": "", "null": null});
        let reads = |wanted: Value, pointer: &str| reads(&wanted, body.pointer(pointer));
        assert!(reads(json!("x"), "/a") && reads(json!("<text>"), "/a"));
        assert!(reads(json!(1), "/n") && reads(json!("<number>"), "/n"));
        assert!(reads(json!("<list>"), "/l") && reads(json!("<object>"), "/o"));
        assert!(reads(json!("<nothing>"), "/b"));
        for (wanted, pointer) in [
            (json!("y"), "/a"),
            (json!("<number>"), "/a"),
            (json!("<text>"), "/e"),
            (json!("<object>"), "/null"),
            (json!("<nothing>"), "/null"),
            (json!(1), "/b"),
            (json!("<text>"), "/b"),
        ] {
            assert!(!reads(wanted.clone(), pointer), "{wanted} at {pointer}");
        }
    }
}
