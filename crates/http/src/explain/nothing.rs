//! What could have been meant by a name of which nothing is known.

use serde::Serialize;
use tidings_view::View;

/// Services and instances that the name may stand for.
#[derive(Debug, Serialize)]
pub(super) struct Meant {
    /// Services that are called nearly so, the nearest first.
    services: Vec<String>,
    /// Instances that have the name for their id: a service is looked up by its name.
    ids: Vec<Named>,
}

/// An instance by its id.
#[derive(Debug, Serialize)]
struct Named {
    service: String,
    node: String,
}

impl Meant {
    pub(super) fn of(view: &View, name: &str) -> Self {
        let services = view.services();
        let names = services.iter().map(|service| service.name.as_str());
        let instances = services.iter().flat_map(|service| service.instances.iter());
        let named = instances.filter(|instance| instance.id.as_str() == name);
        let ids = named.take(SHOWN).map(|instance| Named {
            service: instance.service().to_owned(),
            node: instance.node().name.to_string(),
        });
        Self {
            services: nearest(name, names),
            ids: ids.collect(),
        }
    }
}

/// Those of `names` that are nearly `name`, the nearest first.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    let slips_max = (name.chars().count() / CHARS_PER_SLIP).max(1);
    let slips = |other: &str| {
        let folded = other.to_ascii_lowercase();
        let contains = |a: &str, b: &str| b.len() >= PART_BYTES && a.contains(b);
        match strsim::osa_distance(&name, &folded) {
            0 => None,
            slips if slips <= slips_max => Some(slips),
            _ if contains(&folded, &name) || contains(&name, &folded) => Some(slips_max + 1),
            _ => None,
        }
    };
    let mut found: Vec<_> = names
        .filter_map(|other| Some((slips(other)?, other)))
        .collect();
    found.sort_unstable();
    found.truncate(SHOWN);
    let found = found.into_iter();
    found.map(|(_, other)| other.to_owned()).collect()
}

/// One slip of the finger (a letter too much, too few, wrong, or two in the wrong order) is allowed
/// for so many characters.
const CHARS_PER_SLIP: usize = 4;
/// Bytes of a name that may stand for one that it is a part of.
const PART_BYTES: usize = 3;
/// How many are told.
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, names: &[&str]) -> Vec<String> {
        nearest(name, names.iter().copied())
    }

    #[test]
    fn a_slip_of_the_finger_is_seen_through() {
        let names = ["payments", "web", "billing-api", "cache"];
        assert_eq!(found("paymnets", &names), ["payments"]);
        assert_eq!(found("wbe", &names), ["web"]);
        assert_eq!(found("billing", &names), ["billing-api"]);
        assert_eq!(found("my-web-service", &names), ["web"]);
        assert_eq!(found("zzz", &names), Vec::<String>::new());
        assert_eq!(found("WEB", &names), Vec::<String>::new());
    }

    #[test]
    fn no_more_than_a_few_are_told_and_the_nearest_first() {
        let names: Vec<_> = (0..50).map(|n| format!("web{n:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let found = found("web7", &names);
        assert_eq!((found.len(), found[0].as_str()), (SHOWN, "web07"));
    }
}
