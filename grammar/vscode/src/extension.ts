/**
 * Starts `orch lsp` and shows what its code lenses ask for. Everything the editor knows of the
 * language comes from that server; nothing of the language is known here.
 */

import * as path from "node:path";

import * as vscode from "vscode";
import { LanguageClient, type ServerOptions } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

/** The command of the settings; a relative path is one in the first folder of the workspace. */
export function serverCommand(configured: readonly string[], folder: string | undefined): string[] {
  const [program = "orch", ...rest] = configured;
  const relative = /[\\/]/.test(program) && !path.isAbsolute(program);
  return [relative && folder ? path.join(folder, program) : program, ...rest];
}

async function start(): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const configured = vscode.workspace.getConfiguration("orch").get<string[]>("command");
  const [command = "orch", ...args] = serverCommand(configured ?? ["orch", "lsp"], folder);
  const server: ServerOptions = { command, args, options: { cwd: folder } };
  client = new LanguageClient("orch", "orch", server, {
    // Not the old versions that a diff shows (`git:`). Templates, so that what is typed into them
    // counts before it is saved. Which files are watched on disk, the server says itself.
    documentSelector: [
      { scheme: "file", language: "orch" },
      { scheme: "untitled", language: "orch" },
      { scheme: "file", pattern: "**/*.{j2,jinja,jinja2}" },
    ],
    middleware: { executeCommand: show },
  });
  try {
    await client.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    void vscode.window.showErrorMessage(
      `The language server "${command}" did not start: ${reason}. ` +
        `Install it with: pip install 'orch-engine[lsp]', or set "orch.command".`,
    );
  }
}

/** A page with a drawing and nothing that could run; the drawing is made for a light ground. */
export function graphPage(svg: string): string {
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return `<!DOCTYPE html>
<html><head><meta http-equiv="Content-Security-Policy" content="${policy}"></head>
<body style="background: white">${svg}</body></html>`;
}

/** Runs a command on the server, and shows what it gives back: a graph beside, a test's output. */
async function show(
  command: string,
  args: unknown[],
  next: (command: string, args: unknown[]) => vscode.ProviderResult<unknown>,
): Promise<unknown> {
  const result = await next(command, args);
  if (command === "orch.showGraph" && isGraph(result)) {
    const beside = vscode.ViewColumn.Beside;
    const panel = vscode.window.createWebviewPanel("orch.graph", result.title, beside);
    panel.webview.html = graphPage(result.svg);
  } else if (command === "orch.runTest" && isText(result)) {
    client?.outputChannel.appendLine(result.text);
    client?.outputChannel.show(true);
  }
  return result;
}

function isGraph(value: unknown): value is { title: string; svg: string } {
  const graph = value as { title?: unknown; svg?: unknown } | null;
  return typeof graph?.title === "string" && typeof graph.svg === "string";
}

function isText(value: unknown): value is { text: string } {
  return typeof (value as { text?: unknown } | null)?.text === "string";
}

/** Called by the editor when the first `.orch` file is opened. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.commands.registerCommand("orch.restart", async () => {
      await deactivate();
      await start();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(start),
  );
  if (vscode.workspace.isTrusted) {
    await start();
  }
}

/** Called by the editor when it closes. */
export async function deactivate(): Promise<void> {
  const running = client;
  client = undefined;
  try {
    await running?.dispose();
  } catch {
    // One that did not start cannot be stopped; another one can be started all the same.
  }
}
