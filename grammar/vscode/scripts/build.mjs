/** Bundles the extension into dist/, and puts the one TextMate grammar beside it. */

import { cp, mkdir, rm } from "node:fs/promises";
import { build } from "esbuild";

await rm("dist", { recursive: true, force: true });
await mkdir("dist", { recursive: true });
await mkdir("syntaxes", { recursive: true });
await cp("../orch.tmLanguage.json", "syntaxes/orch.tmLanguage.json");
await cp("../../LICENSE", "LICENSE");
await build({
  entryPoints: ["src/extension.ts"],
  outfile: "dist/extension.js",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  minify: true,
  logLevel: "warning",
});
