"""The state machine of jobs and stages: legal moves, their events, and the wake-ups of workers."""
