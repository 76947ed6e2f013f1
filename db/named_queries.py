"""The former name of `python -m db.reads.named`; says so, and does the same."""

import sys

from db.reads.named import main

if __name__ == "__main__":
    print("note: python -m db.named_queries is called python -m db.reads.named now", file=sys.stderr)
    sys.exit(main())
