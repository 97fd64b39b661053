"""The state of the server as its operator sees it: queues, workers and storage."""
