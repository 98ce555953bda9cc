"""Every znode of a server, one a line: python dump.py host:port

Path, data in hex, all fields of the stat, and the ACL, by path. Two servers with the same state print the same.
/zookeeper/config is left out: every server writes its own there, outside the log."""

import sys

from kazoo.client import KazooClient

zk = KazooClient(hosts=sys.argv[1], timeout=10.0, auth_data=[("digest", "ann:pw")])
zk.start(timeout=20)
zk.sync("/")


def dump(path):
    data, stat = zk.get(path)
    acls, _ = zk.get_acls(path)
    rights = ",".join("%d:%s:%s" % (acl.perms, acl.id.scheme, acl.id.id) for acl in acls)
    print(path, "null" if data is None else data.hex() or "empty", *stat, rights)
    for child in sorted(zk.get_children(path)):
        below = path.rstrip("/") + "/" + child
        if below != "/zookeeper/config":
            dump(below)


dump("/")
zk.stop()
zk.close()
