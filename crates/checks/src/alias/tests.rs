use tidings_types::{
    Body, Check, CheckKind, Dot, Epoch, ExternalNode, Instance, Key, NodeId, NodeName, Refusal,
    ServiceName, Text, TextMap, Timestamp, Update,
};
use tidings_view::{ViewSettings, ViewWriter, channel};
use tokio::sync::mpsc;

use super::*;
use crate::{Checks, Setup};

struct Told(mpsc::UnboundedSender<(CheckStatus, String)>);

impl Sink for Told {
    async fn report(
        &self,
        _id: CheckId,
        status: CheckStatus,
        output: String,
    ) -> Result<(), Refusal> {
        let _ = self.0.send((status, output));
        Ok(())
    }

    async fn deregister(&self, _id: ServiceId) -> Result<(), Refusal> {
        Ok(())
    }
}

fn put(writer: &mut ViewWriter, key: Key, body: Option<Body>) {
    let dot = Dot {
        node: NodeId::from_bytes([1; 16]),
        epoch: Epoch::from_bits(1),
        seq: 1,
    };
    let update = Update::Record {
        key,
        body: body.map(Into::into),
        dot: Some(dot),
        conflict: None,
    };
    writer.apply(Timestamp::ZERO, update);
}

fn check(service: Option<&str>, status: CheckStatus) -> Body {
    Body::Check(Check {
        service: service.map(|id| ServiceId::new(id).unwrap()),
        status,
        output: "said".into(),
        ..Check::new("its check", CheckKind::Ttl { ttl_ms: 1_000 })
    })
}

fn alias(node: &str, service: &str) -> Check {
    Check::new(
        "alias",
        CheckKind::Alias(Box::new(AliasCheck {
            node: node.into(),
            service: service.into(),
        })),
    )
}

/// A view of an agent, and the alias check `alias` running on it.
fn running(
    alias: Check,
) -> (
    ViewWriter,
    Checks<Told>,
    mpsc::UnboundedReceiver<(CheckStatus, String)>,
) {
    let me = NodeId::from_bytes([1; 16]);
    let name = NodeName::new("one").unwrap();
    let (writer, view) = channel(ViewSettings::new(me, name, "dc1", 1));
    let (told, received) = mpsc::unbounded_channel();
    let setup = Setup {
        view: Some(view),
        ..Setup::default()
    };
    let checks = Checks::new(Told(told), setup);
    checks.set(CheckId::new("alias").unwrap(), alias);
    (writer, checks, received)
}

async fn until(
    told: &mut mpsc::UnboundedReceiver<(CheckStatus, String)>,
    wanted: CheckStatus,
    word: &str,
) {
    let wait = async {
        while let Some((status, output)) = told.recv().await {
            if status == wanted && output.contains(word) {
                return;
            }
        }
        panic!("the check stopped");
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap_or_else(|_| panic!("no {word:?}"));
}

#[tokio::test]
async fn an_alias_of_an_own_service_turns_as_its_checks_do() {
    let me = NodeId::from_bytes([1; 16]);
    let (mut writer, _checks, mut told) = running(alias("", "db"));
    until(&mut told, CheckStatus::Critical, "could not be found").await;
    let id = CheckId::new("db-check").unwrap();
    let key = Key::Check(me, id);
    put(
        &mut writer,
        key.clone(),
        Some(check(Some("db"), CheckStatus::Passing)),
    );
    let instance = Instance::new(ServiceName::new("db").unwrap(), 1);
    let instance_key = Key::Instance(me, ServiceId::new("db").unwrap());
    put(
        &mut writer,
        instance_key.clone(),
        Some(Body::Instance(instance)),
    );
    until(&mut told, CheckStatus::Passing, "All checks passing").await;
    put(
        &mut writer,
        key.clone(),
        Some(check(Some("db"), CheckStatus::Warning)),
    );
    until(&mut told, CheckStatus::Warning, "failing: said").await;
    put(&mut writer, key, None);
    until(&mut told, CheckStatus::Passing, "No checks found").await;
    put(&mut writer, instance_key, None);
    until(&mut told, CheckStatus::Critical, "could not be found").await;
}

#[tokio::test]
async fn an_alias_of_another_node_looks_at_the_catalog() {
    let (mut writer, _checks, mut told) = running(alias("Db", ""));
    until(&mut told, CheckStatus::Critical, "not registered").await;
    let db = NodeName::new("db").unwrap();
    let node = ExternalNode {
        id: Text::new(),
        address: "10.9.9.9".into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    };
    put(
        &mut writer,
        Key::ExternalNode(db.clone()),
        Some(Body::ExternalNode(node)),
    );
    until(&mut told, CheckStatus::Passing, "No checks found").await;
    let key = Key::ExternalCheck(db, CheckId::new("disk").unwrap());
    put(&mut writer, key, Some(check(None, CheckStatus::Critical)));
    until(&mut told, CheckStatus::Critical, "failing: said").await;
}
