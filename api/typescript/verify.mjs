// Verifies messages of webhooks with the scheme's own library. Its input is a JSON list of {secret, headers, body}; it
// prints how many are valid, and how many still are when one byte of the body is another one.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const valid = (message, body) => {
  try {
    new Webhook(message.secret).verify(body, message.headers);
    return true;
  } catch {
    return false;
  }
};
const messages = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({
  valid: messages.filter((m) => valid(m, m.body)).length,
  forged: messages.filter((m) => valid(m, m.body.replace("type", "tipe"))).length,
}));
