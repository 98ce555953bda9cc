"""Writes without waiting for them: python tail.py host:port /path count

Connects, prints `ready`, and at a line on stdin sends that many creates below /path, which nobody may ever
acknowledge. Ends when stdin closes."""

import os
import sys

from kazoo.client import KazooClient

hosts, root, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
zk = KazooClient(hosts=hosts, timeout=60.0)
zk.start(timeout=20)
zk.ensure_path(root)
print("ready", flush=True)
sys.stdin.readline()
for n in range(count):
    zk.create_async(root + "/tail-%04d" % n, b"never acknowledged")
sys.stdin.read()
os._exit(0)
