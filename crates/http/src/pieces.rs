//! Answers of `health/service` put together from pieces that are encoded once.
//!
//! Every instance has what follows from its own records, and shares what follows from its node:
//!
//! ```text
//! {"Node":{...},"Service":{...},"Checks":[serfHealth and the node's others,the instance's own]}
//! \_______ node ________/\___/\_____________ node ______________________/\___ instance ___/
//! ```

use std::sync::Arc;

use tidings_view::{Listed, Made, NodeKey, SerfHealth};

use crate::{
    objects::{CheckServiceNode, HealthCheck, NodeObject, NodeService},
    reply::encoded,
};

/// The array of these instances, in their order, as [`CheckServiceNode`] shows them.
pub(crate) fn array(
    listed: &[Listed],
    serf_health: impl Fn(&NodeKey) -> Option<SerfHealth>,
) -> Vec<u8> {
    let made: Vec<_> = listed
        .iter()
        .map(|listed| Pieces::of(listed, &serf_health))
        .collect();
    let bytes = made.iter().map(|pieces| pieces.len() + 1).sum::<usize>();
    let mut body = Vec::with_capacity(bytes + 2);
    body.push(b'[');
    for (nth, pieces) in made.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        pieces.append_to(&mut body);
    }
    body.push(b']');
    body
}

/// One instance of the array.
enum Pieces {
    /// Its owner is live, or it needs none: the same for every reader.
    Kept {
        node: Arc<Made>,
        instance: Arc<Made>,
    },
    /// For this answer alone.
    Made(Vec<u8>),
}

impl Pieces {
    fn of(listed: &Listed, serf_health: impl Fn(&NodeKey) -> Option<SerfHealth>) -> Self {
        let view = &listed.instance;
        let serf_health = || serf_health(&view.node().key);
        if listed.is_plain() {
            Self::Kept {
                node: view.node_memo(|| node(listed, serf_health())),
                instance: view.memo(|| instance(listed)),
            }
        } else {
            Self::Made(encoded(&CheckServiceNode::of(listed, serf_health())))
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Kept { node, instance } => {
                [node, instance]
                    .iter()
                    .map(|made| made.first().len() + made.second().len())
                    .sum::<usize>()
                    + END.len()
                    + 1
            }
            Self::Made(bytes) => bytes.len(),
        }
    }

    fn append_to(&self, body: &mut Vec<u8>) {
        match self {
            Self::Made(bytes) => body.extend_from_slice(bytes),
            Self::Kept { node, instance } => {
                body.extend_from_slice(node.first());
                body.extend_from_slice(instance.first());
                body.extend_from_slice(node.second());
                // An external node without checks has none to follow.
                let own = instance.second();
                if !own.is_empty() && !node.second().ends_with(CHECKS) {
                    body.push(b',');
                }
                body.extend_from_slice(own);
                body.extend_from_slice(END);
            }
        }
    }
}

fn node(listed: &Listed, serf_health: Option<SerfHealth>) -> [Vec<u8>; 2] {
    let view = &*listed.instance;
    let mut first = br#"{"Node":"#.to_vec();
    first.append(&mut encoded(&NodeObject::of_listed(listed)));
    first.extend_from_slice(br#","Service":"#);
    let checks = HealthCheck::of_whole_node(view, serf_health);
    let second = [CHECKS, &listed_checks(checks)].concat();
    [first, second]
}

fn instance(listed: &Listed) -> [Vec<u8>; 2] {
    let view = &*listed.instance;
    let checks = listed_checks(HealthCheck::of_instance(view));
    [encoded(&NodeService::of(view)), checks]
}

/// The checks one after the other, as they stand in an array.
fn listed_checks<'a>(checks: impl Iterator<Item = HealthCheck<'a>>) -> Vec<u8> {
    let checks: Vec<_> = checks.map(|check| encoded(&check)).collect();
    checks.join(&b',')
}

const CHECKS: &[u8] = br#","Checks":["#;
const END: &[u8] = b"]}";
