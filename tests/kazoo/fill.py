"""State of every kind: python fill.py host:port /root

Nodes created, set, deleted, sequential and ephemeral, ACLs, transactions that hold and that fail, sessions that
closed and one that did not: leaves without closing it and prints its id and password, for session.py to resume."""

import os
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.security import ACL, Id, make_acl, make_digest_acl

hosts, root = sys.argv[1], sys.argv[2]


def connect(timeout):
    client = KazooClient(hosts=hosts, timeout=timeout, auth_data=[("digest", "ann:pw")])
    client.start(timeout=20)
    return client


def all_of(pending):
    return [one.get(timeout=30) for one in pending]


zk = connect(600.0)
zk.create(root, b"")
zk.create(root + "/many", b"")
all_of([zk.create_async(root + "/many/%04d" % n, b"x" * n) for n in range(400)])
all_of([zk.set_async(root + "/many/%04d" % n, b"set %d" % n) for n in range(0, 400, 3)])
all_of([zk.delete_async(root + "/many/%04d" % n) for n in range(0, 400, 5)])

zk.create(root + "/a/b/c/d/e", b"deep", makepath=True)
zk.create(root + "/null", None)
zk.create(root + "/large", bytes(range(256)) * 2000)
zk.create(root + "/grüße-日本", "ünïcode".encode())
for n in range(5):
    zk.create(root + "/a/job-", b"%d" % n, sequence=True)
zk.delete(root + "/a/job-0000000003")

zk.create(root + "/secret", b"s", acl=[make_digest_acl("ann", "pw", all=True)])
zk.create(root + "/open", b"o", acl=[make_acl("world", "anyone", read=True), make_digest_acl("ann", "pw", all=True)])
zk.create(root + "/mine", b"m", acl=[ACL(31, Id("auth", ""))])
zk.create(root + "/host", b"h", acl=[make_acl("ip", "127.0.0.1", all=True)])
zk.create(root + "/set-acl", b"")
for n in range(3):
    zk.set_acls(root + "/set-acl", [make_digest_acl("ann", "pw%d" % n, read=True), make_acl("world", "anyone", all=True)])

t = zk.transaction()
t.create(root + "/t1", b"1")
t.create(root + "/t1/below", b"")
t.check(root + "/t1", 0)
t.set_data(root + "/t1", b"11")
t.delete(root + "/null")
assert not [r for r in t.commit() if isinstance(r, Exception)]
t = zk.transaction()
t.create(root + "/t2", b"2")
t.set_data(root + "/t1", b"12")
t.delete(root + "/t2-missing")
assert isinstance(t.commit()[-1], NoNodeError)
try:
    zk.create(root + "/t1", b"")
    raise AssertionError("created twice")
except NodeExistsError:
    pass

gone = connect(10.0)
gone.create(root + "/gone", b"", ephemeral=True)
gone.create(root + "/a/gone-", b"", ephemeral=True, sequence=True)
gone.stop()
gone.close()

zk.create(root + "/here", b"e", ephemeral=True)
zk.create(root + "/a/here-", b"e", ephemeral=True, sequence=True)
session, password = zk.client_id
print(session, password.hex(), flush=True)
os._exit(0)
