"""Receives the events of a push consumer, and verifies them."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

MAX_BYTES = 8 * 1024 * 1024  # An event is never longer.
webhook = Webhook(os.environ["WEBHOOK_SECRET"])


def verify(body, headers):
    """Returns the event, or None if the request is not authentic. Compares in constant time, and allows 5 minutes."""
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # The library raises ValueError for malformed headers.
        return None
    return json.loads(body)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > MAX_BYTES:
            return self.answer(413)
        event = verify(self.rfile.read(length), self.headers)
        if event is None:
            return self.answer(401)
        # Store the event here, once per webhook-id. Answer 2xx only afterwards.
        print(event["id"], event["type"], flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()
