"""Pages that people read: charts, and the report of a coreset."""
