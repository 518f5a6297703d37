// Compile one MJML file with npm mjml and inline a style sheet with juice, again and again in one warm process.
// node peer.js FOLDER MJML_PACKAGE plain|least FILE.mjml FILE.css: "plain" calls juice as its README does, "least" tells
// it to do no more than our mail needs. Each line on standard input asks for one run; each line of the
// answer is JSON: seconds of both steps, user CPU seconds of the process, bytes, and the HTML where "html" was asked for.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const [folder, mjmlPackage, manner, mjmlFile, cssFile] = process.argv.slice(2);
const load = require("module").createRequire(path.join(path.resolve(folder), "index.js"));

const usable = (loaded) => loaded.default || loaded;
const mjml2html = usable(load(mjmlPackage));
const juice = usable(load("juice"));
const mjml = fs.readFileSync(mjmlFile, "utf8");
const css = fs.readFileSync(cssFile, "utf8");

// MJML's own style sheets stay as they are, nothing is added to tables and pictures.
const least = {
  applyStyleTags: false,
  removeStyleTags: false,
  preserveMediaQueries: true,
  inlinePseudoElements: false,
  applyWidthAttributes: false,
  applyHeightAttributes: false,
  applyAttributesTableElements: false,
};

async function run(asked) {
  const cpu = process.cpuUsage();
  const started = process.hrtime.bigint();
  const compiled = await mjml2html(mjml, { validationLevel: "soft", fonts: {}, filePath: mjmlFile });
  const between = process.hrtime.bigint();
  const html =
    manner === "plain" ? juice(compiled.html, { extraCss: css }) : juice.inlineContent(compiled.html, css, least);
  const ended = process.hrtime.bigint();
  const answer = {
    mjml_s: Number(between - started) / 1e9,
    juice_s: Number(ended - between) / 1e9,
    wall_s: Number(ended - started) / 1e9,
    user_s: process.cpuUsage(cpu).user / 1e6,
    bytes: Buffer.byteLength(html),
    errors: compiled.errors.map((error) => error.formattedMessage || error.message),
  };
  if (asked === "html") answer.html = html;
  process.stdout.write(JSON.stringify(answer) + "\n");
}

let last = Promise.resolve();
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  last = last.then(() => run(line.trim()));
});
