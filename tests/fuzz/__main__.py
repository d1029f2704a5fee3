"""`python -m tests.fuzz --inputs 50000`: more inputs than the tests try, or one of them again."""

from __future__ import annotations

import argparse
import sys
import time
import warnings

from tests.fuzz import fuzz
from tests.fuzz.readers import READERS


def main() -> int:
    """0 where no defect was found."""
    warnings.simplefilter("error")
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", choices=[reader.name for reader in READERS])
    args = parser.parse_args()
    began = time.monotonic()
    findings, counts = fuzz(args.inputs, args.seed, args.only)
    for finding in findings:
        print(f"{finding.reader}, seed {finding.seed}:\n{finding.words}\n")
    took = time.monotonic() - began
    print(f"{args.inputs} inputs in {took:.0f} s: {dict(counts)}, {len(findings)} defects")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
