"""What a user would write first to label issues by their neighbours; `serve.py` runs it beside the product.

    python serve_peer.py label WEIGHTS VECTORS.npy LABELS.json ISSUES.jsonl
    python serve_peer.py embed WEIGHTS TEXTS.json

Needs sentence-transformers, faiss-cpu and PyGithub, and nothing of this project.
"""

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import faiss
import numpy as np
from github import Github
from sentence_transformers import SentenceTransformer

K, M, LIMIT, WARM_UP = 15, 4, 256, 8


def label(weights, vectors, labels, issues):
    """One line of JSON for each issue: the labels that at least M of its K nearest neighbours carry."""
    Github()  # a real one would fetch the issue with it
    model = SentenceTransformer(weights, device="cpu")
    model.max_seq_length = LIMIT
    known = np.load(vectors)
    index = faiss.IndexFlatIP(known.shape[1])
    index.add(known)
    carried = json.loads(Path(labels).read_text())
    for line in Path(issues).read_text().splitlines():
        issue = json.loads(line)
        query = model.encode([f"{issue['title']}\n{issue['body']}"], normalize_embeddings=True)
        _, rows = index.search(query, K)
        votes = Counter(name for row in rows[0] for name in carried[row])
        print(json.dumps({"number": issue["number"], "labels": [n for n, v in votes.items() if v >= M]}))


def embed(weights, texts):
    """Seconds and processor seconds of embedding all texts."""
    model = SentenceTransformer(weights, device="cpu")
    model.max_seq_length = LIMIT
    wanted = json.loads(Path(texts).read_text())
    model.encode(wanted[:WARM_UP])
    start, used = time.perf_counter(), processor_seconds()
    model.encode(wanted, normalize_embeddings=True)
    print(json.dumps({"seconds": time.perf_counter() - start, "processor": processor_seconds() - used}))


def processor_seconds():
    """Of this process and its threads, so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    {"label": label, "embed": embed}[sys.argv[1]](*sys.argv[2:])
