//! A user of rs-consul: `user HOST:PORT register ID PORT | deregister ID | ask | follow`.
//!
//! `ask` writes the passing instances of `web` once, `follow` whenever they change; a line is a JSON
//! list of ID:PORT. rs-consul registers in the catalog, so each instance has a node of its own here.

use std::{collections::HashMap, env, error::Error, time::Duration};

use rs_consul::{
    Config, Consul,
    types::{
        DeregisterEntityPayload, GetServiceNodesRequest, QueryOptions, RegisterEntityCheck,
        RegisterEntityPayload, RegisterEntityService, ServiceNode,
    },
};
use tokio::time::sleep;

const WAIT: Duration = Duration::from_secs(30);
const AGAIN_AFTER: Duration = Duration::from_millis(500);

type Done<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [addr, command, rest @ ..] = words.as_slice() else {
        return Err("HOST:PORT and a command are needed".into());
    };
    let consul = Consul::new(Config {
        address: format!("http://{addr}"),
        ..Config::default()
    });
    match (*command, rest) {
        ("register", [id, port]) => register(&consul, id, port.parse()?).await,
        ("deregister", [id]) => deregister(&consul, id).await,
        ("ask", []) => ask(&consul).await,
        ("follow", []) => follow(&consul).await,
        _ => Err(format!("unknown command {command}").into()),
    }
}

fn node(id: &str) -> String {
    format!("node-of-{id}")
}

async fn register(consul: &Consul, id: &str, port: u16) -> Done<()> {
    let service = RegisterEntityService {
        ID: Some(id.to_owned()),
        Service: "web".to_owned(),
        Tags: Vec::new(),
        TaggedAddresses: HashMap::new(),
        Meta: HashMap::new(),
        Port: Some(port),
        Namespace: None,
    };
    let check = RegisterEntityCheck {
        Node: None,
        CheckID: None,
        Name: "alive".to_owned(),
        Notes: None,
        Status: Some("passing".to_owned()),
        ServiceID: Some(id.to_owned()),
        Definition: HashMap::new(),
    };
    let payload = RegisterEntityPayload {
        ID: None,
        Node: node(id),
        Address: "192.0.2.1".to_owned(),
        Datacenter: None,
        TaggedAddresses: HashMap::new(),
        NodeMeta: HashMap::new(),
        Service: Some(service),
        Checks: vec![check],
        SkipNodeUpdate: None,
    };
    Ok(consul.register_entity(&payload).await?)
}

async fn deregister(consul: &Consul, id: &str) -> Done<()> {
    let payload = DeregisterEntityPayload {
        Node: Some(node(id)),
        Datacenter: None,
        CheckID: None,
        ServiceID: None,
        Namespace: None,
    };
    Ok(consul.deregister_entity(&payload).await?)
}

async fn ask(consul: &Consul) -> Done<()> {
    let names = consul.get_all_registered_service_names(None).await?;
    if !names.response.iter().any(|name| name == "web") {
        return Err(format!("no web among {:?}", names.response).into());
    }
    let found = consul.get_service_nodes(web(), None).await?;
    show(&found.response)
}

async fn follow(consul: &Consul) -> Done<()> {
    let (mut index, mut shown) = (None, None);
    loop {
        let options = QueryOptions {
            timeout: Some(2 * WAIT),
            index,
            wait: Some(WAIT),
            ..QueryOptions::default()
        };
        match consul.get_service_nodes(web(), Some(options)).await {
            Ok(found) => {
                index = Some(found.index);
                if shown.as_ref() != Some(&found.response) {
                    show(&found.response)?;
                    shown = Some(found.response);
                }
            }
            Err(error) => {
                eprintln!("again: {error}");
                index = None;
                sleep(AGAIN_AFTER).await;
            }
        }
    }
}

fn web() -> GetServiceNodesRequest<'static> {
    GetServiceNodesRequest {
        service: "web",
        near: None,
        passing: true,
        filter: None,
    }
}

fn show(nodes: &[ServiceNode]) -> Done<()> {
    let instances = nodes.iter().map(|node| &node.service);
    let mut found: Vec<_> = instances
        .map(|service| format!("{}:{}", service.id, service.port))
        .collect();
    found.sort();
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}
