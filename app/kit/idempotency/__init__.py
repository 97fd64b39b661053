"""``Idempotency-Key``: a creating POST that is sent twice has one effect and one answer."""
