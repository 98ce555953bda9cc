"""Asks for a reconfiguration: python reconfig.py host:port LEAVING

Prints `done`, or the name of what the server answered; `nothing` when no answer came in ten seconds."""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

zk = KazooClient(hosts=sys.argv[1], timeout=10.0)
zk.start(timeout=30)
try:
    zk.reconfig_async(joining=None, leaving=sys.argv[2], new_members=None, from_config=-1).get(timeout=10)
    print("done")
except KazooTimeoutError:
    print("nothing")
except KazooException as error:
    print(type(error).__name__)
zk.stop()
zk.close()
