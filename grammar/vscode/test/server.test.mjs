/**
 * The real server behind the protocol library that the editor's client is made of.
 * ORCH names the command (default: the one in the repository's .venv).
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import {
  StreamMessageReader,
  StreamMessageWriter,
  createProtocolConnection,
} from "vscode-languageserver-protocol/node";

const root = path.resolve(import.meta.dirname, "../../..");
const orch = process.env.ORCH ?? path.join(root, ".venv/bin/orch");
const uri = "file:///somewhere/a.orch";
const text = `orch 1
model fast { id = "scripted/none.json" }
/// Looks it up.
worker find(topic: string) -> string via llm {
  model  = fats
  prompt = "Find {{ topic }}"
}
`;

async function session(talk) {
  const server = spawn(orch, ["lsp"], { stdio: ["pipe", "pipe", "inherit"] });
  const exit = once(server, "exit");
  const connection = createProtocolConnection(
    new StreamMessageReader(server.stdout),
    new StreamMessageWriter(server.stdin),
  );
  const published = [];
  let wake = () => {};
  connection.onNotification("textDocument/publishDiagnostics", (params) => {
    published.push(params);
    wake();
  });
  connection.onRequest("workspace/configuration", ({ items }) => items.map(() => null));
  connection.onRequest("client/registerCapability", () => null);
  connection.onRequest("window/workDoneProgress/create", () => null);
  connection.listen();
  const diagnostics = async (wanted) => {
    for (;;) {
      const found = published.findLast((params) => params.uri === uri && wanted(params.diagnostics));
      if (found) return found.diagnostics;
      await new Promise((resolve) => (wake = resolve));
    }
  };
  const { capabilities } = await connection.sendRequest("initialize", {
    processId: process.pid,
    rootUri: null,
    capabilities: {},
  });
  await connection.sendNotification("initialized", {});
  await connection.sendNotification("textDocument/didOpen", {
    textDocument: { uri, languageId: "orch", version: 1, text },
  });
  await talk(connection, diagnostics, capabilities);
  await connection.sendRequest("shutdown");
  await connection.sendNotification("exit");
  const [code] = await exit;
  assert.equal(code, 0);
  connection.dispose();
}

test("what the extension relies on is offered", () =>
  session(async (connection, diagnostics, capabilities) => {
    for (const name of ["hoverProvider", "definitionProvider", "renameProvider", "completionProvider"]) {
      assert.ok(capabilities[name], name);
    }
    const commands = capabilities.executeCommandProvider.commands;
    assert.ok(commands.includes("orch.showGraph"));
    assert.ok(commands.includes("orch.runTest"));
  }));

test("an edit changes the findings, and a fix is offered", () =>
  session(async (connection, diagnostics) => {
    const [found] = (await diagnostics((list) => list.length > 0)).filter((d) => d.code === "ORC101");
    assert.deepEqual(found.range, {
      start: { line: 4, character: 11 },
      end: { line: 4, character: 15 },
    });
    const actions = await connection.sendRequest("textDocument/codeAction", {
      textDocument: { uri },
      range: found.range,
      context: { diagnostics: [found] },
    });
    assert.ok(actions.some((action) => action.title.includes("fast")));
    await connection.sendNotification("textDocument/didChange", {
      textDocument: { uri, version: 2 },
      contentChanges: [{ range: found.range, text: "fast" }],
    });
    await diagnostics((list) => list.every((d) => d.code !== "ORC101"));
  }));
