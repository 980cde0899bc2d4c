"""A registrant that is not ours: obeys one JSON object a line on stdin, answers each with one line, and keeps one session.

{"do": "create", "path", "data" (base64), "ephemeral", "sequence", "acl": "open" | "read_only" | "own"}
{"do": "set", "path", "data"}   {"do": "protect", "path", "acl"}   {"do": "delete", "path"}   {"do": "drop"}
"own" is kazoo's make_digest_acl for the user of this session: nobody else may read the node. "drop" ends the process without
closing the session, as a crash would.
"""
import base64
import json
import os
import sys

from kazoo.client import KazooClient
from kazoo.security import ACL, ANYONE_ID_UNSAFE, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, make_digest_acl
from kazoo.security import Permissions

hosts, timeout = sys.argv[1], float(sys.argv[2])
client = KazooClient(hosts=hosts, timeout=timeout, auth_data=[("digest", "registrant:secret")])
client.start(timeout=20)
ACLS = {
    "open": OPEN_ACL_UNSAFE,
    "read_only": READ_ACL_UNSAFE + [make_digest_acl("registrant", "secret", all=True)],
    "own": [make_digest_acl("registrant", "secret", all=True)],
    "write_only": [
        ACL(Permissions.WRITE | Permissions.CREATE | Permissions.DELETE, ANYONE_ID_UNSAFE),
        make_digest_acl("registrant", "secret", all=True),
    ],
}


def obey(ask):
    verb, path = ask["do"], ask.get("path")
    data = base64.b64decode(ask.get("data", ""))
    if verb == "create":
        return client.create(
            path,
            data,
            acl=ACLS[ask.get("acl", "open")],
            ephemeral=ask.get("ephemeral", False),
            sequence=ask.get("sequence", False),
            makepath=True,
        )
    if verb == "set":
        return client.set(path, data).mzxid
    if verb == "protect":
        return client.set_acls(path, ACLS[ask["acl"]]).aversion
    if verb == "delete":
        return client.delete(path, recursive=True)
    if verb == "drop":
        os._exit(0)
    raise ValueError(verb)


print(json.dumps({"ok": True, "value": format(client.client_id[0], "x")}), flush=True)
for line in sys.stdin:
    try:
        print(json.dumps({"ok": True, "value": obey(json.loads(line))}), flush=True)
    except Exception as error:  # reported to whoever asked
        print(json.dumps({"ok": False, "error": repr(error)}), flush=True)
client.stop()
client.close()
