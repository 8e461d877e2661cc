"""A user of py-consul: user.py HOST:PORT register ID PORT | deregister ID | ask | follow

`ask` writes the passing instances of `web` once, `follow` whenever they change; a line is a JSON
list of ID:PORT.
"""

import json
import sys
import time

import consul

WAIT = "30s"


def show(nodes):
    found = [f"{node['Service']['ID']}:{node['Service']['Port']}" for node in nodes]
    print(json.dumps(sorted(found)), flush=True)


def follow(client):
    index, shown = None, None
    while True:
        try:
            index, nodes = client.health.service("web", passing=True, index=index, wait=WAIT)
        except Exception as error:  # Who follows goes on, whatever comes back.
            print(f"again: {error}", file=sys.stderr, flush=True)
            index = None
            time.sleep(0.5)
            continue
        if nodes != shown:
            show(nodes)
            shown = nodes


def main(addr, command, *words):
    host, port = addr.split(":")
    client = consul.Consul(host=host, port=int(port))
    match command, words:
        case "register", (name, port):
            check = consul.Check.ttl("1h")
            assert client.agent.service.register("web", service_id=name, port=int(port), check=check)
            assert client.agent.check.ttl_pass(f"service:{name}")
        case "deregister", (name,):
            assert client.agent.service.deregister(name)
        case "ask", ():
            assert client.status.leader()
            assert client.catalog.datacenters() == ["dc1"]
            assert "web" in client.catalog.services()[1]
            show(client.health.service("web", passing=True)[1])
        case "follow", ():
            follow(client)
        case _:
            sys.exit(__doc__)


main(*sys.argv[1:])
