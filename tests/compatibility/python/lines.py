"""The command line, and lines of JSON on stdin and stdout; bytes are base64."""

import argparse
import base64
import json
import sys
import threading


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario")
    for name in ("bootstrap", "topic", "group", "codec"):
        parser.add_argument(f"--{name}")
    for name in ("partitions", "count", "timestamp"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parsed = parser.parse_args()
    parsed.settings = dict(setting.split("=", 1) for setting in parsed.set)
    return parsed


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


def emit(name, value):
    """Prints {name: value}."""
    sys.stdout.write(json.dumps({name: value}) + "\n")
    sys.stdout.flush()


def emit_record(partition, offset, timestamp, key, value, headers):
    emit(
        "record",
        {
            "partition": partition,
            "offset": offset,
            "timestamp": timestamp,
            "key": encode(key),
            "value": encode(value),
            "headers": [[name, encode(value)] for name, value in headers or ()],
        },
    )


def emit_ack(index, partition, offset):
    emit("ack", {"index": index, "partition": partition, "offset": offset})


def emit_failed(index, error):
    emit("failed", {"index": index, "error": str(error)})


def record(line):
    """A record to send."""
    record = json.loads(line)
    record["key"] = decode(record["key"])
    record["value"] = decode(record["value"])
    record["headers"] = [(name, decode(value)) for name, value in record["headers"]]
    return record


class Commands:
    """The lines of stdin, read in the background so that a consumer can poll meanwhile."""

    def __init__(self):
        self.lock = threading.Lock()
        self.commits = 0
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for _ in sys.stdin:
            with self.lock:
                self.commits += 1
        self.ended = True

    def take_commit(self):
        """Whether a commit was asked for since the last call."""
        with self.lock:
            asked, self.commits = self.commits > 0, 0
        return asked


class Background:
    """Calls a function again and again in a thread."""

    def __init__(self, function):
        self.stopped = False
        self.thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self.thread.start()

    def _run(self, function):
        while not self.stopped:
            function()

    def stop(self):
        self.stopped = True
        self.thread.join()


def run(*scenarios):
    """Runs the scenario that the command line names."""
    options = arguments()
    by_name = {scenario.__name__.replace("_", "-"): scenario for scenario in scenarios}
    return by_name[options.scenario](options)
