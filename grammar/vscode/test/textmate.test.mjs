/** The TextMate grammar under the editor's own tokenizer, on the corpus of the engine's tests. */

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import oniguruma from "vscode-oniguruma";
import textmate from "vscode-textmate";

const require = createRequire(import.meta.url);
const root = path.resolve(import.meta.dirname, "../../..");
const wasm = await readFile(require.resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));

const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => {
    const file = path.join(root, "grammar/orch.tmLanguage.json");
    return textmate.parseRawGrammar(await readFile(file, "utf8"), file);
  },
});
const grammar = await registry.loadGrammar("source.orch");

/** Each piece of a text with its innermost scope, without white space. */
function pieces(text) {
  const found = [];
  let stack = textmate.INITIAL;
  for (const line of text.split("\n")) {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, stack);
    stack = ruleStack;
    for (const { startIndex, endIndex, scopes } of tokens) {
      const word = line.slice(startIndex, endIndex);
      if (word.trim()) found.push([word.trim(), scopes.at(-1)]);
    }
  }
  return { found, stack };
}

const scopeOf = (text) => Object.fromEntries(pieces(text).found);

test("what is not closed ends with its line, or with its text", () => {
  for (const open of ['"abc', '"{{ x', '"{% if x', '"{# x', '"""{{ x\n"""', '"""{# x\n"""']) {
    const seen = scopeOf(`model m { id = ${open}\nmodel n {}\n`);
    assert.equal(seen.n, "variable.other.constant.orch", open);
  }
  assert.equal(scopeOf('x = "{{ name | upper }}"').upper, "support.function.filter.orch");
  assert.equal(scopeOf('x = "{% if name %}"').if, "keyword.control.template.orch");
});

test("declarations say what they declare", () => {
  const seen = scopeOf('orch 1\nschema Finding {}\nworker find(n: int) -> string via llm {}\n');
  assert.equal(seen.orch, "keyword.control.edition.orch");
  assert.equal(seen.Finding, "entity.name.type.orch");
  assert.equal(seen.find, "entity.name.function.orch");
  assert.equal(seen.n, "variable.parameter.orch");
  assert.equal(seen.int, "support.type.primitive.orch");
  assert.equal(seen.llm, "support.type.kind.orch");
});

test("a keyword may be a name", () => {
  const seen = scopeOf("x { model = fast  if: int  in = 3 }");
  assert.equal(seen.model, "variable.other.property.orch");
  assert.equal(seen.if, "variable.parameter.orch");
  assert.equal(seen.in, "variable.other.property.orch");
});

test("templates stand out in strings and text blocks", () => {
  const seen = scopeOf('a = "x {{ b | json }}"\nc = """\n{% for d in e %}\n"""\nf = 1');
  assert.equal(seen.b, "variable.other.template.orch");
  assert.equal(seen.json, "support.function.filter.orch");
  assert.equal(seen.for, "keyword.control.template.orch");
  assert.equal(seen.f, "variable.other.property.orch");
});

test("comments, docs and suppressions are told apart", () => {
  const seen = scopeOf("/// Doc.\n// Comment.\n// orch: allow[ORC302] because\n");
  assert.equal(seen["/// Doc."], "comment.line.documentation.orch");
  assert.equal(seen["// Comment."], "comment.line.double-slash.orch");
  assert.equal(seen["[ORC302]"], "constant.other.rule.orch");
});

test("a string that is not closed ends with its line", () => {
  assert.equal(scopeOf('a = "never closed\nb = 1').b, "variable.other.property.orch");
});

test("every word of the language's grammar has a scope of its own", async () => {
  const text = await readFile(path.join(root, "grammar/orch.lark"), "utf8");
  const lines = { as: 'import "x" as y', for: 'test "x" for y', fails: "x fails y", via: "x via y" };
  const words = [...text.matchAll(/^[A-Z]+: "([a-z]+)"$/gm)].map((match) => match[1]);
  assert.ok(words.length > 15);
  for (const word of words) {
    const line = lines[word] ?? { orch: "orch 1", import: 'import "x"', from: 'from "x"', test: 'test "x"' }[word] ?? `${word} x`;
    assert.match(scopeOf(line)[word] ?? "", /^(keyword|storage|constant)\./, word);
  }
});

test("real files end outside of every string and template", async () => {
  const folder = path.join(root, "tests/fixtures/examples");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".orch"));
  assert.ok(files.length >= 4);
  files.push("../../../workflows/repo_review/repo_review.orch");
  for (const name of files) {
    const { stack } = pieces(await readFile(path.join(folder, name), "utf8"));
    assert.equal(stack.depth, 1, name);
  }
});
