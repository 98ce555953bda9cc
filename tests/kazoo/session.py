"""A session that moves: python session.py host:port /ephemeral [id password]

Without an id: opens a session and an ephemeral node of it. With one: resumes that session here, whichever server it
was opened on, and writes through it. Leaves without closing, prints id and password."""

import os
import sys

from kazoo.client import KazooClient

hosts, path = sys.argv[1], sys.argv[2]
resumed = (int(sys.argv[3]), bytes.fromhex(sys.argv[4])) if len(sys.argv) > 4 else None
zk = KazooClient(hosts=hosts, timeout=600.0, client_id=resumed, auth_data=[("digest", "ann:pw")])
zk.start(timeout=20)
if resumed is None:
    zk.create(path, b"0", ephemeral=True, makepath=True)
assert resumed is None or zk.client_id == resumed, (resumed, zk.client_id)
data, stat = zk.get(path)
owner, session = stat.ephemeralOwner % 2**64, zk.client_id[0] % 2**64
assert owner == session, (hex(owner), hex(session))
zk.set(path, b"written through " + hosts.encode(), version=stat.version)
session, password = zk.client_id
print(session, password.hex(), flush=True)
os._exit(0)
