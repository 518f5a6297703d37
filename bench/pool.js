// Send personalised messages with nodemailer's pool, and print JSON: seconds of the sending, and CPU seconds meanwhile.
// node pool.js FOLDER PORT COUNT HTML_FILE fields|raw: "fields" lets nodemailer make each message, as its README shows;
// "raw" hands it finished messages, which is the least that it can do. The pool is as its documentation has it.
"use strict";

const fs = require("fs");
const path = require("path");
const [folder, port, count, htmlFile, manner] = process.argv.slice(2);
const load = require("module").createRequire(path.join(path.resolve(folder), "index.js"));
const nodemailer = load("nodemailer");

const html = fs.readFileSync(htmlFile, "utf8");
const from = "China Market Weekly <editor@news.example.org>";
const transport = nodemailer.createTransport({
  pool: true,
  host: "127.0.0.1",
  port: Number(port),
  secure: false,
  ignoreTLS: true,
  maxMessages: Infinity,
});

function message(number) {
  const to = `reader${number}@example.org`;
  const personal = html.replace("@@NAME@@", `Reader ${number}`).replace("@@EMAIL@@", to);
  const subject = "China reins in facial recognition";
  if (manner === "fields") return { from, to, subject, text: `Good morning, Reader ${number}.`, html: personal };
  const head = `From: ${from}\r\nTo: ${to}\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n`;
  return { envelope: { from: "bounces@news.example.org", to }, raw: head + "\r\n" + personal };
}

async function main() {
  const cpu = process.cpuUsage();
  const started = process.hrtime.bigint();
  let next = 0;
  // No more than a pool's worth is asked for at a time, so that no queue of promises is measured.
  async function work() {
    while (next < Number(count)) await transport.sendMail(message(next++));
  }
  await Promise.all(Array.from({ length: 10 }, work));
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  transport.close();
  process.stdout.write(
    JSON.stringify({ sent: Number(count), seconds, user_s: process.cpuUsage(cpu).user / 1e6 }) + "\n",
  );
}

main();
