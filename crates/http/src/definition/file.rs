//! The blocks of a definition file: `service`, `services`, `check` and `checks`.

use serde_json::{Map, Value};
use tidings_types::{Check, CheckId};

use super::service::{self, ServiceDefinition};
use crate::{failure::Failure, json_in::Object};

/// What a definition file defines.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Instances with their checks.
    pub services: Vec<ServiceDefinition>,
    /// Checks of the whole node, or of instances that are defined elsewhere.
    pub checks: Vec<(CheckId, Check)>,
}

/// A definition cannot be used; none of its file is.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct DefinitionError {
    /// The name of the service or check that is wrong, if it has one: where to look in the file.
    pub name: Option<String>,
    reason: String,
}

impl Definitions {
    /// Reads the content of a file, whatever format it was written in. Keys are Consul's, with
    /// underscores or without.
    ///
    /// # Errors
    /// [`DefinitionError`] says what is wrong, in the words of the API.
    pub fn read(file: Value) -> Result<Self, DefinitionError> {
        let Value::Object(blocks) = file else {
            return Err(wrong(None, "the file is no object of blocks"));
        };
        let mut read = Self::default();
        for (key, value) in blocks {
            match key.as_str() {
                "service" | "services" => {
                    for block in several(value) {
                        let (name, object) = block_of(block, "ServiceDefinition")?;
                        let service = service::service(object);
                        read.services
                            .push(service.map_err(|e| wrong(name, e.text()))?);
                    }
                }
                "check" | "checks" => {
                    for block in several(value) {
                        let (name, object) = block_of(block, "CheckDefinition")?;
                        let check = service::check(object);
                        read.checks.push(check.map_err(|e| wrong(name, e.text()))?);
                    }
                }
                other => {
                    let text = format!(
                        "{other:?} is no block of a definition file; it has service, services, \
                         check and checks"
                    );
                    return Err(wrong(Some(other.to_owned()), &text));
                }
            }
        }
        Ok(read)
    }
}

fn wrong(name: Option<String>, reason: &str) -> DefinitionError {
    DefinitionError {
        name,
        reason: reason.to_owned(),
    }
}

/// One block or a list of them: HCL makes a list of a block that is repeated.
fn several(value: Value) -> Vec<Value> {
    match value {
        Value::Array(blocks) => blocks,
        block => vec![block],
    }
}

/// The name of a block, and its fields as the API spells them.
fn block_of(
    block: Value,
    place: &'static str,
) -> Result<(Option<String>, Object), DefinitionError> {
    let mut block = as_the_api_spells(block);
    let named = |key: &str| block.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = ["id", "ID", "name", "Name"].into_iter().find_map(named);
    if let Value::Object(fields) = &mut block {
        list_checks(fields);
    }
    let object = Object::of(block, place);
    let object = object.map_err(|error| wrong(name.clone(), Failure::from(error).text()))?;
    Ok((name, object))
}

/// HCL makes a list of a repeated `check` block, and none of a single `checks` block.
fn list_checks(fields: &mut Map<String, Value>) {
    let is_list = |value: &&Value| value.is_array() || value.is_object();
    if fields
        .get("checks")
        .is_some_and(|checks| !is_list(&checks) && !checks.is_null())
    {
        // It is refused where it is read.
        return;
    }
    let mut checks = Vec::new();
    if fields.get("check").is_some_and(Value::is_array) {
        checks.extend(fields.remove("check").map(several));
    }
    if fields.get("checks").as_ref().is_some_and(is_list) {
        checks.extend(fields.remove("checks").map(several));
    }
    if !checks.is_empty() {
        fields.insert("checks".to_owned(), checks.concat().into());
    }
}

/// The same without underscores in keys, in which the API ignores case. What stands below `meta`,
/// `header` and `tagged_addresses` has keys of the user's own.
fn as_the_api_spells(value: Value) -> Value {
    let fields = match value {
        Value::Array(items) => {
            return items.into_iter().map(as_the_api_spells).collect();
        }
        Value::Object(fields) => fields,
        other => return other,
    };
    let fields = fields.into_iter().map(|(key, value)| {
        let key = key.replace('_', "");
        let value = match key.to_ascii_lowercase().as_str() {
            "meta" | "header" => value,
            "taggedaddresses" => match value {
                Value::Object(tagged) => tagged
                    .into_iter()
                    .map(|(tag, value)| (tag, as_the_api_spells(value)))
                    .collect::<Map<_, _>>()
                    .into(),
                other => other,
            },
            _ => as_the_api_spells(value),
        };
        (key, value)
    });
    fields.collect::<Map<_, _>>().into()
}
