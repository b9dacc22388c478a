"""Python loads this at its start in programs that `whence record` runs; it prepares the recorder.

A sitecustomize of the user's own, which this one stands before, is loaded first.
"""

import os
import sys


def _load_the_next() -> None:
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _prepare() -> None:
    if os.environ.get("WHENCE_RECORD") != "1":
        return
    try:
        from whence.integrations.recorded_program import prepare
    except ImportError as error:
        os.environ["WHENCE_RECORD"] = "0"  # its children need not say so again
        sys.stderr.write(
            f"whence: {sys.executable} cannot import whence ({error}); "
            "what this program does is not recorded. Install whence there.\n"
        )
        return
    prepare()


if __name__ == "sitecustomize":
    try:
        _load_the_next()
    finally:
        _prepare()
