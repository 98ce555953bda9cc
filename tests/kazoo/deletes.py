"""Znodes that come and go in every way: python deletes.py host:port /root

Prints one line a znode that is gone: its path, the word that `zkops txnlog who` has for the cause, the session that
did it. Leaves with one session unclosed, so that its ephemeral expires."""

import os
import sys

from kazoo.client import KazooClient

hosts, root = sys.argv[1], sys.argv[2]


def connect(timeout):
    client = KazooClient(hosts=hosts, timeout=timeout)
    client.start(timeout=20)
    return client


def told(path, how, client):
    print(path, how, hex(client.client_id[0] % 2**64))


one, other, closes, expires = connect(60.0), connect(60.0), connect(10.0), connect(2.0)
one.create(root, b"")

one.create(root + "/plain", b"p")
other.delete(root + "/plain")
told(root + "/plain", "client", other)

one.create(root + "/in-multi", b"m")
t = other.transaction()
t.create(root + "/beside", b"b")
t.delete(root + "/in-multi")
assert not [r for r in t.commit() if isinstance(r, Exception)]
told(root + "/in-multi", "multi", other)

# It comes again after it was deleted once; the last time counts.
for client in (one, other):
    client.create(root + "/twice", b"t")
    client.delete(root + "/twice")
told(root + "/twice", "client", other)

closes.create(root + "/closed", b"c", ephemeral=True)
told(root + "/closed", "session_closed", closes)
closes.stop()
closes.close()

expires.create(root + "/expired", b"e", ephemeral=True)
told(root + "/expired", "session_expired", expires)
sys.stdout.flush()
os._exit(0)
