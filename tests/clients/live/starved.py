"""How long somebody stood ready to run and was given no processor: what other work on a shared machine costs, as the kernel counts
it, and not the server's doing."""

import threading
import time
from collections import deque

EVERY, WINDOW = 0.1, 1.0


def waited(pid):
    """Milliseconds of this process's first thread so far; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/task/{pid}/schedstat") as stat:
            return int(stat.read().split()[1]) / 1e6
    except (OSError, IndexError, ValueError):
        return 0


class Starved:
    """Watches some processes; `most` is what they waited, together, in the worst second, in milliseconds."""

    def __init__(self, *pids):
        self.most, self.pids, self.done = 0, pids, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        past = deque()
        while not self.done.wait(EVERY):
            now, total = time.monotonic(), sum(waited(pid) for pid in self.pids)
            past.append((now, total))
            while past[0][0] < now - WINDOW:
                past.popleft()
            self.most = max(self.most, total - past[0][1])

    def stop(self):
        self.done.set()
        self.thread.join()
        return self.most
