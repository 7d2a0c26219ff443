"""Verifies messages of webhooks with the scheme's own library. Its input is a JSON list of {secret, headers, body}; it prints
how many are valid, and how many still are when one word of the body is another one."""

from __future__ import annotations

import json
import sys
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def valid(message: dict[str, Any], body: str) -> bool:
    try:
        Webhook(message["secret"]).verify(body, message["headers"])
    except WebhookVerificationError:
        return False
    return True


if __name__ == "__main__":
    messages = json.load(sys.stdin)
    print(json.dumps({"valid": sum(valid(m, m["body"]) for m in messages), "forged": sum(valid(m, m["body"].replace("type", "tipe")) for m in messages)}))
