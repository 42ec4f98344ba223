"""Reads all events of the log as the consumer group "billing"."""

import json
import os
import signal
import socket
import sys
import time

import redis

PREFIX = "cio:"
GROUP = "billing"
# The same after a restart, and different for each process of the group.
CONSUMER = os.environ.get("CONSUMER", socket.gethostname())
BATCH = 100
BLOCK_MS = 2_000  # Shorter than SOCKET_TIMEOUT_S.
SOCKET_TIMEOUT_S = 10
CLAIM_AFTER_MS = 60_000  # Longer than any batch takes: then the consumer of a pending entry is dead.
CLAIM_EVERY_S = 30

stopping = False


def handle(event):
    """Must be idempotent: an event can come again, with the same id. If it raises, the event is read again."""
    print(event.get("subject"), event["id"], event["type"], flush=True)


def create_groups(client):
    partitions = int(client.get(f"{PREFIX}partitions") or 1)
    streams = [f"{PREFIX}events:{{{n}}}" for n in range(partitions)]
    for stream in streams:
        try:
            client.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
    return streams


def consume(client):
    """Returns when a signal has come. Raises the first error of Redis or of `handle`."""
    next_claim = 0.0
    positions = {}
    while not stopping:
        if time.monotonic() >= next_claim:
            next_claim = time.monotonic() + CLAIM_EVERY_S
            for stream in create_groups(client):
                claimed = client.xautoclaim(
                    stream, GROUP, CONSUMER, CLAIM_AFTER_MS, count=BATCH, justid=True
                )
                # "0": this consumer's pending entries; ">": new ones.
                if claimed or stream not in positions:
                    positions[stream] = "0"
        reply = client.xreadgroup(GROUP, CONSUMER, positions, count=BATCH, block=BLOCK_MS) or {}
        for stream, entries in reply.items() if isinstance(reply, dict) else reply:
            if positions[stream] != ">":
                positions[stream] = entries[-1][0] if entries else ">"
            for entry_id, fields in entries:
                if stopping:
                    return
                # An entry without fields was deleted from the stream. `cio-webhook doctor` sends test events.
                if fields and fields["type"] != "io.customer.doctor":
                    handle(json.loads(fields["event"]))
                client.xack(stream, GROUP, entry_id)


def stop(_signal, _frame):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
with redis.Redis.from_url(url, decode_responses=True, socket_timeout=SOCKET_TIMEOUT_S) as client:
    while not stopping:
        try:
            consume(client)
        except Exception as error:  # Pending entries come first, so the order is kept.
            print(f"trying again: {error!r}", file=sys.stderr)
            time.sleep(1)
