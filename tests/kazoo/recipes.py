"""kazoo, an independent client, against an ensemble: python recipes.py host:port[,…]

Prints one line per recipe and ends with 0 only if every one of them holds."""

import sys
import threading
import uuid

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NodeExistsError, NotEmptyError, NoNodeError
from kazoo.security import make_digest_acl

TIMEOUT = 20.0
ROOT = "/kazoo-" + uuid.uuid4().hex[:8]


def connect(hosts, **options):
    client = KazooClient(hosts=hosts, timeout=10.0, **options)
    client.start(timeout=TIMEOUT)
    return client


def raises(error, call, *args, **options):
    try:
        call(*args, **options)
    except error:
        return
    raise AssertionError(f"{call.__name__}{args} did not raise {error.__name__}")


def basics(zk, other):
    zk.create(ROOT + "/basics", b"one", makepath=True)
    raises(NodeExistsError, zk.create, ROOT + "/basics", b"")
    data, stat = zk.get(ROOT + "/basics")
    assert (data, stat.version, stat.dataLength) == (b"one", 0, 3), (data, stat)
    stat = zk.set(ROOT + "/basics", b"two", version=0)
    assert stat.version == 1
    raises(BadVersionError, zk.set, ROOT + "/basics", b"x", version=0)
    other.sync(ROOT + "/basics")
    assert other.get(ROOT + "/basics")[0] == b"two"
    path, stat = zk.create(ROOT + "/basics/a", b"", sequence=True, include_data=True)
    assert path == ROOT + "/basics/a0000000000" and stat.czxid > 0, (path, stat)
    raises(NotEmptyError, zk.delete, ROOT + "/basics")
    assert zk.get_children(ROOT + "/basics") == ["a0000000000"]
    zk.delete(path)
    assert zk.exists(path) is None
    raises(NoNodeError, zk.get, path)


def transactions(zk, other):
    t = zk.transaction()
    t.create(ROOT + "/t1", b"1")
    t.create(ROOT + "/t2", b"2")
    t.check(ROOT + "/t1", 0)
    t.set_data(ROOT + "/t1", b"11")
    results = t.commit()
    assert results[0] == ROOT + "/t1" and results[2] is True and results[3].version == 1, results
    t = zk.transaction()
    t.create(ROOT + "/t3", b"")
    t.delete(ROOT + "/no-such-node")
    results = t.commit()
    assert [type(r).__name__ for r in results] == ["RolledBackError", "NoNodeError"], results
    assert zk.exists(ROOT + "/t3") is None


def watches(zk, other):
    path = ROOT + "/watched"
    zk.create(path, b"0")
    seen, done = [], threading.Event()

    @zk.DataWatch(path)
    def on_change(data, stat):
        seen.append(data)
        if data == b"2":
            done.set()
            return False

    other.set(path, b"1")
    other.set(path, b"2")
    assert done.wait(TIMEOUT), seen
    assert seen[0] == b"0" and seen[-1] == b"2", seen

    gone = threading.Event()
    zk.exists(path, watch=lambda event: event.type == "DELETED" and gone.set())
    other.delete(path)
    assert gone.wait(TIMEOUT)


def ephemerals(zk, hosts):
    third = connect(hosts)
    path = third.create(ROOT + "/e", b"", ephemeral=True)
    assert third.get(path)[1].ephemeralOwner == third.client_id[0]
    gone = threading.Event()
    zk.sync(path)
    assert zk.exists(path, watch=lambda event: gone.set())
    third.stop()
    third.close()
    assert gone.wait(TIMEOUT)
    zk.sync(ROOT)
    assert zk.exists(path) is None


def locks(zk, other):
    counter = {"n": 0, "inside": 0, "most": 0}

    def work(client):
        for _ in range(10):
            with client.Lock(ROOT + "/lock"):
                counter["inside"] += 1
                counter["most"] = max(counter["most"], counter["inside"])
                counter["n"] += 1
                counter["inside"] -= 1

    threads = [threading.Thread(target=work, args=(client,)) for client in (zk, other)]
    [t.start() for t in threads]
    [t.join(TIMEOUT * 2) for t in threads]
    assert counter["n"] == 20 and counter["most"] == 1, counter


def elections(zk, other):
    led, release = [], threading.Event()

    def lead(name):
        led.append(name)
        if name == "first":
            release.wait(TIMEOUT)

    first = threading.Thread(target=zk.Election(ROOT + "/election", "first").run, args=(lead, "first"))
    first.start()
    deadline = threading.Event()
    while not led and not deadline.wait(0.05):
        pass
    second = threading.Thread(target=other.Election(ROOT + "/election", "second").run, args=(lead, "second"))
    second.start()
    contenders = zk.Election(ROOT + "/election").contenders
    for _ in range(200):
        if len(contenders()) == 2:
            break
        deadline.wait(0.05)
    assert led == ["first"], led
    release.set()
    first.join(TIMEOUT)
    second.join(TIMEOUT)
    assert led == ["first", "second"], led


def access(zk, hosts):
    path = ROOT + "/secret"
    zk.create(path, b"s", acl=[make_digest_acl("ann", "pw", all=True)])
    try:
        zk.get(path)
        raise AssertionError("read without the right to")
    except Exception as error:
        assert type(error).__name__ == "NoAuthError", error
    ann = connect(hosts, auth_data=[("digest", "ann:pw")])
    assert ann.get(path)[0] == b"s"
    ann.delete(path)
    ann.stop()
    ann.close()


def large(zk, other):
    zk.create(ROOT + "/large", b"x" * 900_000)
    other.sync(ROOT + "/large")
    assert len(other.get(ROOT + "/large")[0]) == 900_000
    for n in range(500):
        zk.create_async(ROOT + "/many/%04d" % n, b"", makepath=True)
    other.ensure_path(ROOT + "/many")
    for _ in range(400):
        other.sync(ROOT + "/many")
        if len(other.get_children(ROOT + "/many")) == 500:
            return
        threading.Event().wait(0.05)
    raise AssertionError(len(other.get_children(ROOT + "/many")))


def main():
    hosts = sys.argv[1]
    each = hosts.split(",")
    zk, other = connect(each[0]), connect(each[-1])
    zk.ensure_path(ROOT)
    other.sync(ROOT)
    for recipe, second in [
        (basics, other),
        (transactions, other),
        (watches, other),
        (ephemerals, hosts),
        (locks, other),
        (elections, other),
        (access, hosts),
        (large, other),
    ]:
        recipe(zk, second)
        print("ok", recipe.__name__, flush=True)
    zk.delete(ROOT, recursive=True)
    for client in (zk, other):
        client.stop()
        client.close()


main()
