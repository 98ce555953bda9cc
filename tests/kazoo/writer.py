"""A continuous writer: python writer.py host:port[,…] /path

Appends numbered children one after the other until its stdin closes; prints each number once the ensemble has
acknowledged it, with the time it took in ms. Then checks that every acknowledged number is there, through every
host, and prints `lost N`, and the longest time without an acknowledgement as `gap MS`."""

import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NodeExistsError, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError

hosts, root = sys.argv[1], sys.argv[2]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

zk = KazooClient(hosts=hosts, timeout=10.0, connection_retry={"max_tries": -1, "delay": 0.02, "max_delay": 0.1})
zk.start(timeout=30)
zk.ensure_path(root)
acked, n, last, gap = [], 0, time.monotonic(), 0.0
while not stop.is_set():
    path = "%s/%08d" % (root, n)
    started = time.monotonic()
    try:
        zk.create(path, str(n).encode())
    except NodeExistsError:
        pass  # an earlier try got through before its answer was lost
    except (ConnectionLoss, SessionExpiredError, OperationTimeoutError, KazooTimeoutError):
        time.sleep(0.01)
        continue
    now = time.monotonic()
    gap, last = max(gap, now - last), now
    acked.append(n)
    print(n, round((now - started) * 1000, 1), flush=True)
    n += 1
zk.stop()
zk.close()

lost = set()
for host in hosts.split(","):
    check = KazooClient(hosts=host, timeout=10.0)
    try:
        check.start(timeout=15)
    except KazooTimeoutError:
        continue
    check.sync(root)
    there = set(check.get_children(root))
    lost |= {n for n in acked if "%08d" % n not in there}
    check.stop()
    check.close()
print("acked", len(acked))
print("gap", round(gap * 1000))
print("lost", len(lost), sorted(lost)[:10], flush=True)
sys.exit(1 if lost else 0)
