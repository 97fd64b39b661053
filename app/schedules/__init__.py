"""Schedules create jobs by themselves: at set times, on new versions, or when the data have drifted."""
