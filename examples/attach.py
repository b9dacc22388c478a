"""Two processes: one records and is killed, the other reads along and misses nothing.

The lines after `# >` are what it prints. `whence stream --pid PID` does the same from a shell.
"""

from __future__ import annotations

import subprocess
import sys

from whence.collect.sessions import SessionStream, find_sessions

PRODUCER = """
import sys, whence

@whence.kind(component="Counter", rationale="{n} of {of}")
def counted(n: int, of: int) -> None: ...

for line in sys.stdin:
    first, last = map(int, line.split())
    for n in range(first, last + 1):
        counted(n, last)
    print("done", flush=True)
"""


def main() -> None:
    """Start the producer, read along, kill it, read the rest."""
    producer = subprocess.Popen(
        [sys.executable, "-c", PRODUCER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    orders, answers = producer.stdin, producer.stdout
    assert orders is not None
    assert answers is not None

    def record(first: int, last: int) -> None:
        orders.write(f"{first} {last}\n")
        orders.flush()
        answers.readline()

    record(1, 3)
    stream = SessionStream(find_sessions(str(producer.pid))[0])
    print([event.rationale for event in stream.poll()], "live:", stream.info.live)
    # > ['1 of 3', '2 of 3', '3 of 3'] live: True

    record(4, 5)
    print([event.rationale for event in stream.poll()])
    # > ['4 of 5', '5 of 5']

    record(6, 20_005)
    producer.kill()
    producer.wait()
    rest = stream.poll()
    print(len(rest), "more, the last one", rest[-1].rationale, "live:", stream.info.live)
    # > 10000 more, the last one 20005 of 20005 live: False

    ledger = stream.ledger()[0]
    print(f"{ledger.recorded} = {ledger.readable} + {ledger.lost}", ledger.closes)
    # > 20005 = 10000 + 10005 True


if __name__ == "__main__":
    main()
