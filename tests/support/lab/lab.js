import { Calls, Chat, Connection } from "/static/skillforge-realtime.js";

const { token, name, peer, calls: callOptions } = window.lab;
const at = (id) => document.getElementById(id);
const connection = new Connection({ getToken: async () => token, useTicket: true });
const chat = new Chat(connection);
const calls = new Calls(connection, callOptions);
const log = { states: [], arrived: [], calls: [], faults: [] };

at("me").textContent = name;
connection.addEventListener("state", ({ detail }) => {
  log.states.push(detail);
  at("connection").textContent = detail.state;
});

chat.addEventListener("message", ({ detail }) => log.arrived.push(detail.message.seq));
chat.addEventListener("presence", ({ detail }) => (at("presence").textContent = detail.online ? "online" : "offline"));
chat.addEventListener("change", () => {
  const talk = chat.conversation(peer);
  const lines = talk.messages.map((message) => line(message.body, message.senderId === peer ? "theirs" : "mine"));
  const sent = new Set(talk.messages.map((message) => message.clientMessageId));
  const pending = talk.pending.filter((item) => !sent.has(item.clientMessageId)).map((item) => line(item.body, "mine pending"));
  at("messages").replaceChildren(...lines, ...pending);
  at("typing").textContent = talk.peerTyping ? "is typing…" : "";
  at("receipt").textContent = `delivered ${talk.peerDeliveredSeq}, read ${talk.peerReadSeq}`;
  if (talk.messages.length) chat.markRead(peer);
});

function line(body, kind) {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = body;
  return item;
}

at("body").addEventListener("input", () => chat.typing(peer));
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  chat.send(peer, at("body").value).catch((error) => log.faults.push(String(error)));
  at("body").value = "";
});

let call = null;
function show(next) {
  call = next;
  window.lab.call = next;
  const seen = () => {
    log.calls.push(next.reason ? `${next.state} ${next.reason}` : next.state);
    at("state").textContent = log.calls.at(-1);
    at("local").srcObject = next.localStream;
  };
  next.addEventListener("state", seen);
  next.addEventListener("track", ({ detail }) => (at("remote").srcObject = detail.stream));
  next.addEventListener("fault", ({ detail }) => log.faults.push(String(detail.error)));
  seen();
}
calls.addEventListener("incoming", ({ detail }) => {
  if (!call?.outgoing || call.ended) show(detail.call); // else the two invites cross, and are one call
});
at("call").addEventListener("click", () => show(calls.invite(peer)));
at("accept").addEventListener("click", () => call.accept());
at("hangup").addEventListener("click", () => call.hangup());

/** What has come in and gone out by now, and over which pair of candidates. */
async function traffic() {
  const report = [...(await call.link.pc.getStats()).values()];
  const media = (type, kind) => report.filter((item) => item.type === type && item.kind === kind);
  const sum = (items, field) => items.reduce((total, item) => total + item[field], 0);
  const pair = report.find((item) => item.type === "candidate-pair" && item.nominated && item.state === "succeeded");
  const find = (id) => report.find((item) => item.id === id);
  return {
    videoIn: sum(media("inbound-rtp", "video"), "bytesReceived"),
    audioIn: sum(media("inbound-rtp", "audio"), "bytesReceived"),
    videoOut: sum(media("outbound-rtp", "video"), "bytesSent"),
    frames: sum(media("inbound-rtp", "video"), "framesDecoded"),
    local: pair && find(pair.localCandidateId)?.candidateType,
    remote: pair && find(pair.remoteCandidateId)?.candidateType,
    ufrag: /a=ice-ufrag:(\S+)/.exec(call.link.pc.localDescription.sdp)[1],
  };
}

Object.assign(window.lab, { connection, chat, calls, log, traffic });
connection.connect();
await Promise.all([chat.watch([peer]), chat.loadOlder(peer)]);
window.lab.ready = true;
