"""A Kith of one's own: started on a folder that goes away with it, on a port that is free, and looked at through /proc."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager

# The probe says something ten times a second, which is twice what the defaults allow.
PROBE_RATE = ("limits.talk_rate=20", "limits.talk_burst=60", "limits.address_talk_rate=0")
UNLIMITED = ("limits.talk_rate=0", "limits.address_talk_rate=0", "limits.command_rate=0")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """One process. `prefix` is what it runs under, such as `prlimit`."""

    def __init__(self, kith, settings=PROBE_RATE, *, data=None, host="127.0.0.1", port=None, prefix=(), env=None,
                 listen_wait=10):
        self.kith = kith
        self.host = host
        self.own = data is None
        self.data = data or tempfile.mkdtemp(prefix="kith-live-")
        self.port = port or free_port()
        self.lines = []
        command = [*prefix, kith, "--data", self.data, "--listen", f"{self.host}:{self.port}"]
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
            cwd=tempfile.gettempdir(),
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self._wait_until_listening(listen_wait)

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return f"ws://{self.host}:{self.port}/ws"

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="backslashreplace").rstrip("\n"))

    def _wait_until_listening(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if any("listening on" in line for line in self.lines):
                return
            time.sleep(0.01)
        raise AssertionError(f"did not start: {self.lines[-5:]}")

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _status(self, key):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(rf"^{key}:\s+(\d+)", status.read(), re.M).group(1)) * 1024

    def rss(self):
        return self._status("VmRSS")

    def vm_size(self):
        return self._status("VmSize")

    def cpu(self):
        """Seconds of processor time, so far, of all threads."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name):
        with urllib.request.urlopen(f"http://{self.host}:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return int(re.search(rf"^kith_{name} (\d+)$", text, re.M).group(1))

    def alive(self):
        return self.process.poll() is None

    def panics(self):
        return [line for line in self.lines if "panicked" in line or "a bug ended the server" in line]

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds):
        """The exit status, or None if it goes on for longer than that."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.reader.join(2)
        return code

    def stop(self):
        """Ends it, as an operator would; says with which status."""
        if self.alive():
            self.signal(signal.SIGTERM)
        code = self.wait(15)
        if code is None:
            self.process.kill()
            self.process.wait()
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)
        return code


@contextmanager
def injected(server, calls, error, when):
    """These system calls of the running server fail as told (strace's words), from here to the end of the block."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(server.pid), "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:{when}"],
        stderr=subprocess.PIPE, text=True)
    line = tracer.stderr.readline()
    if "attached" not in line:
        raise AssertionError(f"strace: {line} {tracer.stderr.read()}")
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)
