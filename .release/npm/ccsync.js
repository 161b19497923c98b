#!/usr/bin/env node
// Runs the program from the package of this platform, and ends as it ends.
"use strict";

const { spawn } = require("node:child_process");

const { name } = require("./package.json");
const platform = `${name}-${process.platform}-${process.arch}`;
const file = process.platform === "win32" ? "ccsync.exe" : "ccsync";

let program;
try {
  program = require.resolve(`${platform}/${file}`);
} catch {
  console.error(`ccsync: the package ${platform} is not installed`);
  console.error(`hint: install ${name} without --omit=optional; its README has other ways to install`);
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// A signal from the terminal reaches the program by itself, and it decides what follows.
process.on("SIGINT", () => {});
process.on("SIGQUIT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`ccsync: cannot run ${program}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (!signal) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
