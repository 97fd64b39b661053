"""Schedules make jobs by themselves: at a time, when data come, or when the data have drifted."""
