"""``Idempotency-Key`` gives a POST that is sent twice one effect and one answer."""
