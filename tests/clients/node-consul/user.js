// A user of the npm package consul: user.js HOST:PORT register ID PORT | deregister ID | ask | follow
//
// `ask` writes the passing instances of `web` once, `follow` whenever they change; a line is a JSON
// list of ID:PORT.
"use strict";

const assert = require("node:assert");
const Consul = require("consul");

const [addr, command, id, servicePort] = process.argv.slice(2);
const [host, port] = addr.split(":");
const consul = new Consul({ host, port });
const web = { service: "web", passing: true };

function show(entries) {
  const found = entries.map(({ Service }) => `${Service.ID}:${Service.Port}`);
  console.log(JSON.stringify(found.sort()));
}

function follow() {
  const watch = consul.watch({ method: consul.health.service, options: web });
  watch.on("change", show);
  watch.on("error", (error) => console.error("again:", error.message));
  watch.on("end", () => assert.fail("the watch has ended"));
}

async function run() {
  switch (command) {
    case "register": {
      const check = { ttl: "1h" };
      await consul.agent.service.register({ name: "web", id, port: Number(servicePort), check });
      return consul.agent.check.pass(`service:${id}`);
    }
    case "deregister":
      return consul.agent.service.deregister(id);
    case "ask":
      assert.ok(await consul.status.leader());
      assert.deepStrictEqual(await consul.catalog.datacenters(), ["dc1"]);
      assert.ok("web" in (await consul.catalog.service.list()));
      return show(await consul.health.service(web));
    case "follow":
      return follow();
    default:
      assert.fail(`unknown command ${command}`);
  }
}

run();
