"""Attacks the running server, and says what it made of them.

    python3 run.py --kith ../../../target/release/kith [--only ROW ...] [--full] [--list]

Each row starts servers of its own on 127.0.0.1 with a folder of their own, and ends with the standard oracle: alive, no
panic, a healthy pair of clients within 250 ms (and what `quiet` found this machine to cost them) all through, files and
memory given back. How big an attack is stands in `sizes.py`; `--full` takes the larger ones. `kith-swarm` is looked for beside
the server. One line for each check; the exit status is 0 if all of them held.
"""

import argparse
import os
import resource
import sys
import time

import rows_content
import rows_crowds
import rows_disk
import rows_frames
import rows_http
import rows_load
import rows_process
import rows_requests
import rows_storm
from checks import Checks

ROWS = {**rows_process.ROWS, **rows_http.ROWS, **rows_requests.ROWS, **rows_frames.ROWS, **rows_content.ROWS, **rows_load.ROWS,
        **rows_crowds.ROWS, **rows_disk.ROWS, **rows_storm.ROWS}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kith", help="the program to attack")
    parser.add_argument("--only", action="append", choices=ROWS, help="this row; may be given several times")
    parser.add_argument("--full", action="store_true", help="each attack in full, 20 minutes")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    options = parser.parse_args()
    if options.list:
        for name, row in ROWS.items():
            print(f"{name:<12}  {row.__doc__.splitlines()[0]}")
        return 0
    if not options.kith:
        parser.error("--kith is needed")
    # The attackers need more files than a shell usually gives.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    check, began = Checks(options.full), time.monotonic()
    for name in dict.fromkeys(["quiet", *(options.only or ROWS)]):
        check.row, at = name, time.monotonic()
        try:
            ROWS[name](check, os.path.abspath(options.kith))
        except Exception as error:  # noqa: BLE001 - a row that breaks is a row that failed, the others still count
            check("the row ran to its end", False, repr(error))
        print(f"      {name:<12}  {time.monotonic() - at:.1f} s", flush=True)
    print(f"{check.passed} passed, {check.failed} failed, in {time.monotonic() - began:.0f} s")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
