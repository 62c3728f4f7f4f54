"""An agent as somebody else would write it: the step protocol over plain HTTP, with nothing but urllib."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

with open(os.environ["TASK_FILE"]) as file:
    task = json.load(file)


def send(path, body, method="POST", timeout=None):
    url = os.environ["MCP_SERVER_URL"] + path
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return json.load(reply)


def step(payload):
    return send("/step", json.dumps({"task_id": task["task_id"], "payload": payload}).encode())


def attempt(*request, **named):
    try:
        send(*request, **named)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode(), flush=True)


if sys.argv[1:] == ["misbehave"]:
    attempt("/elsewhere", b"{}")
    attempt("/step", None, method="GET")
    attempt("/step", b'{"task_id":"20261120_abc","payload":{}}')
    sys.exit(3)

if sys.argv[1:2] == ["lose-patience"]:
    body = json.dumps({"task_id": task["task_id"], "payload": {"event": "start", "task": task}}).encode()
    try:
        send("/step", body, timeout=0.5)
    except TimeoutError:
        open(sys.argv[2], "w").close()
    sys.exit(0 if send("/step", body)["event"] == "finish" else 1)

print("works on", task["instruction"], "in", os.path.basename(os.getcwd()), flush=True)
reply = step({"event": "start", "task": task})
while reply["event"] == "tool_call":
    run = subprocess.run(reply["arguments"]["command"], shell=True, capture_output=True, text=True)
    result = {"status": "success", "returncode": run.returncode, "stdout": run.stdout, "stderr": run.stderr}
    reply = step({"event": "tool_result", "name": reply["name"], "arguments": reply["arguments"], "result": result})
print("finished:", reply["summary"], file=sys.stderr)
