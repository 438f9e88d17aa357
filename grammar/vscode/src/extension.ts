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
    documentSelector: [{ language: "orch" }],
    synchronize: {
      fileEvents: vscode.workspace.createFileSystemWatcher("**/*.{orch,j2,jinja,jinja2,json,py,toml}"),
    },
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

/** Runs a command on the server, and shows the text it gives back in a document beside. */
async function show(
  command: string,
  args: unknown[],
  next: (command: string, args: unknown[]) => vscode.ProviderResult<unknown>,
): Promise<unknown> {
  const result = await next(command, args);
  if (command === "orch.showGraph" && isText(result)) {
    const fence = "```mermaid\n" + result.text + "\n```\n";
    const document = await vscode.workspace.openTextDocument({
      language: "markdown",
      content: fence,
    });
    await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside });
    await vscode.commands.executeCommand("markdown.showPreview", document.uri);
  } else if (command === "orch.runTest" && isText(result)) {
    client?.outputChannel.appendLine(result.text);
    client?.outputChannel.show(true);
  }
  return result;
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
  await running?.dispose();
}
